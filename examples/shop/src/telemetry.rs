//! The set-up of telemetry, the same in each process.

use tower_telemetry::{Telemetry, logs::LogFormat, pull::PullReader, setup::SetupError};

/// Starts telemetry. The environment decides where it goes: without an OTLP endpoint to the console.
pub(crate) fn start(service: &str) -> Result<Telemetry, SetupError> {
    Telemetry::builder()
        .with_service_name(service)
        .with_service_version(env!("CARGO_PKG_VERSION"))
        .with_environment("development")
        .with_console_by_default()
        .with_log_lines(LogFormat::Auto)
        .with_pull_reader(PullReader::builder().with_resource_labels(RESOURCE_LABELS))
        .with_process_metrics()
        .with_runtime_metrics()
        .build()
}

/// A Collector adds them to what is pushed, so the pull endpoint adds them, too.
const RESOURCE_LABELS: [&str; 4] =
    ["service.name", "service.version", "service.instance.id", "deployment.environment.name"];
