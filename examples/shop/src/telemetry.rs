//! The set-up of telemetry, the same in each process.

use std::io::{self, IsTerminal};

use tower_telemetry::{
    Telemetry, logs::LogFormat, opentelemetry::KeyValue, pull::PullReader, setup::SetupError,
};

/// Starts telemetry. The environment decides where it goes: without an OTLP endpoint to the console.
pub(crate) fn start(service: &str) -> Result<Telemetry, SetupError> {
    let format = if io::stdout().is_terminal() { LogFormat::Pretty } else { LogFormat::Json };
    Telemetry::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_environment("development")
        .with_console_by_default()
        .with_log_lines(format)
        .with_pull_reader(PullReader::builder().with_resource_labels(RESOURCE_LABELS))
        .with_process_metrics()
        .with_runtime_metrics()
        .build()
}

/// A Collector adds them to what is pushed, so the pull endpoint adds them, too.
const RESOURCE_LABELS: [&str; 4] =
    ["service.name", "service.version", "service.instance.id", "deployment.environment.name"];
