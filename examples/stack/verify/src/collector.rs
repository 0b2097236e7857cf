//! The Collector.

use crate::{
    Part, Stack,
    ask::until,
    part::{built, file, ports},
};

/// A Collector.
pub struct Collector {
    pub part: Part,
    /// The base of OTLP by gRPC.
    pub grpc: String,
    /// The base of OTLP by HTTP.
    pub http: String,
    /// The address of its own metrics.
    pub own_metrics: String,
    health: String,
}

impl Collector {
    /// Starts a Collector that passes telemetry on to the backends of a stack, and waits until it is ready.
    pub async fn start(stack: &Stack, configs: &[&str], variables: &[(&str, String)]) -> Self {
        let mut all = vec![
            ("TRACES_ENDPOINT", stack.jaeger.otlp.clone()),
            ("METRICS_ENDPOINT", format!("{}/api/v1/otlp", stack.prometheus.url)),
            ("LOGS_ENDPOINT", format!("{}/insert/opentelemetry/v1/logs", stack.logs.url)),
        ];
        all.extend_from_slice(variables);
        let collector = Self::prepare(configs, &all);
        collector.ready().await;
        collector
    }

    /// Starts a Collector that passes telemetry on to gateways, and waits until it is ready.
    pub async fn start_agent(gateways: &str) -> Self {
        let agent = Self::prepare(&["otelcol.agent.yaml"], &[("GATEWAYS", gateways.to_owned())]);
        agent.ready().await;
        agent
    }

    fn prepare(configs: &[&str], variables: &[(&str, String)]) -> Self {
        let [grpc, http, own, health] = ports();
        let configs: Vec<_> =
            configs.iter().map(|config| format!("--config={}", file(config))).collect();
        let mut all = vec![
            ("OTLP_GRPC_PORT", grpc.to_string()),
            ("OTLP_HTTP_PORT", http.to_string()),
            ("SELF_PORT", own.to_string()),
            ("HEALTH_PORT", health.to_string()),
            ("QUEUE_DIR", "{folder}/queue".to_owned()),
        ];
        all.extend_from_slice(variables);
        let arguments: Vec<_> = configs.iter().map(String::as_str).collect();
        Self {
            part: Part::start(&built("otelcol"), &arguments, &all),
            grpc: format!("http://127.0.0.1:{grpc}"),
            http: format!("http://127.0.0.1:{http}"),
            own_metrics: format!("127.0.0.1:{own}"),
            health: format!("http://127.0.0.1:{health}"),
        }
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        if let Err(last) = until(&self.health, &[], |answer| answer.status == 200).await {
            panic!("the Collector is not ready: {last:?}\n{}", self.part.log());
        }
    }
}
