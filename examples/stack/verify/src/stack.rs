//! Backends of the three signals.

use crate::{Collector, Jaeger, Prometheus, VictoriaLogs};

/// The backends: traces, metrics and logs.
pub struct Stack {
    pub jaeger: Jaeger,
    pub prometheus: Prometheus,
    pub logs: VictoriaLogs,
}

impl Stack {
    /// Starts the backends. They become ready while the Collector starts.
    pub fn start() -> Self {
        Self {
            jaeger: Jaeger::start(),
            prometheus: Prometheus::start(),
            logs: VictoriaLogs::start(),
        }
    }

    /// Starts the default Collector in front of the backends, and scrapes its own metrics.
    pub async fn collector(&mut self) -> Collector {
        let collector = Collector::start(self, &["otelcol.yaml"], &[]).await;
        self.prometheus.scrape("collector", &collector.own_metrics).await;
        collector
    }
}
