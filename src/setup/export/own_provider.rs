//! Exporters for providers of the user's own.

use std::{sync::Arc, time::Duration};

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_sdk::metrics::Temporality;
use tokio::sync::watch;

use super::{
    notices::Route,
    otlp::{
        Core, ExportRequest, OtlpLogExporter, OtlpMetricExporter, OtlpSpanExporter, Own, Phase,
    },
    pipelines::{route, sender},
    private_runtime::PrivateRuntime,
};
use crate::{
    setup::settings::{Exporter, Otlp, Plan, SetupError, Signal, TelemetryBuilder},
    stdout::warn,
};

impl Otlp {
    /// Creates an exporter of spans for a tracer provider of your own.
    ///
    /// [`Telemetry`](crate::Telemetry) does not need it. The variables `OTEL_EXPORTER_OTLP_*` of the process
    /// override these settings, as they do there.
    ///
    /// ```
    /// use opentelemetry_sdk::trace::SdkTracerProvider;
    /// use tower_telemetry::setup::Otlp;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let exporter = Otlp::new().with_endpoint("http://127.0.0.1:4318").span_exporter()?;
    /// let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If a setting in code is invalid, if the endpoint or a certificate in the environment is, or if
    /// `OTEL_SDK_DISABLED` is set.
    pub fn span_exporter(&self) -> Result<OtlpSpanExporter, SetupError> {
        let plan = self.plan(Signal::Traces)?;
        let core = core::<ExportTraceServiceRequest>(&plan, Signal::Traces, plan.spans.timeout)?;
        Ok(OtlpSpanExporter { core, resource: (&plan.resource).into() })
    }

    /// Creates an exporter of log records for a logger provider of your own.
    ///
    /// # Errors
    ///
    /// See [`span_exporter`](Self::span_exporter).
    pub fn log_exporter(&self) -> Result<OtlpLogExporter, SetupError> {
        let plan = self.plan(Signal::Logs)?;
        let limit = plan.log_records.timeout;
        let core = core::<ExportLogsServiceRequest>(&plan, Signal::Logs, limit)?;
        Ok(OtlpLogExporter { core, resource: (&plan.resource).into() })
    }

    /// Creates an exporter of metrics for a meter provider of your own.
    ///
    /// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` overrides the temporality.
    ///
    /// ```
    /// use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
    /// use tower_telemetry::setup::Otlp;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let otlp = Otlp::new().with_endpoint("http://127.0.0.1:4318");
    /// let exporter = otlp.metric_exporter(Temporality::Cumulative)?;
    /// let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).build();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`span_exporter`](Self::span_exporter).
    pub fn metric_exporter(
        &self,
        temporality: Temporality,
    ) -> Result<OtlpMetricExporter, SetupError> {
        let plan = self.plan(Signal::Metrics)?;
        let temporality = plan.temporality.unwrap_or(temporality);
        let limit = plan.metric_limit(temporality);
        let core = core::<ExportMetricsServiceRequest>(&plan, Signal::Metrics, limit)?;
        Ok(OtlpMetricExporter { core, temporality, exemplars: None })
    }

    fn plan(&self, signal: Signal) -> Result<Plan, SetupError> {
        let mut builder = TelemetryBuilder::new().with_otlp(self.clone());
        for other in Signal::ALL {
            let exporter = if other == signal { Exporter::Otlp } else { Exporter::None };
            builder = builder.with_exporters(other, [exporter]);
        }
        Plan::new(&builder)
    }
}

/// Returns an exporter with a runtime and a ledger of its own.
fn core<R: ExportRequest>(
    plan: &Plan,
    signal: Signal,
    limit: Option<Duration>,
) -> Result<Core, SetupError> {
    let Some(destination) = plan.destination_of(signal) else {
        let reason = match plan.warnings.first() {
            Some(warning) => warning,
            None => "OTEL_SDK_DISABLED is set",
        };
        return Err(SetupError::setting("the exporter", reason));
    };
    plan.warnings.iter().for_each(|warning| warn(warning));
    let (phase, phases) = watch::channel(Phase::Running);
    let runtime = PrivateRuntime::start()?;
    let route = Route { limit, ..route(destination, signal) };
    let sender = Arc::new(sender::<R>(destination, route, phases));
    let handle = runtime.handle();
    Ok(Core { sender, runtime: handle, own: Some(Own { phase, _runtime: runtime }) })
}
