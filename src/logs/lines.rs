//! The subscriber for those who have none.

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{Targets, filter_fn},
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

use super::{LogFormat, json, pretty};

/// Lines on standard output, and perhaps records that are exported.
#[derive(Debug)]
pub(crate) struct LogLines {
    format: LogFormat,
    levels: Targets,
}

impl LogLines {
    pub(crate) fn new(format: LogFormat, levels: Option<Targets>) -> Self {
        let of_libraries = || {
            // What the SDK has to say of its start and end is of no use to who did not write it.
            Targets::new()
                .with_default(LevelFilter::INFO)
                .with_target("opentelemetry", LevelFilter::WARN)
        };
        let levels = levels.unwrap_or_else(of_libraries);
        Self { format, levels }
    }

    /// Makes it the subscriber of the process, for `tracing` and for `log`.
    pub(crate) fn install(self, exported: Option<&SdkLoggerProvider>) -> Result<(), TryInitError> {
        let lines = match self.format {
            LogFormat::Json => json().boxed(),
            LogFormat::Pretty => pretty().boxed(),
        };
        let bridge = exported.map(OpenTelemetryTracingBridge::new);
        tracing_subscriber::registry()
            .with(bridge)
            .with(lines)
            .with(self.levels)
            .with(filter_fn(is_news))
            .try_init()
    }
}

/// Not what the exporters log of each batch that fails: of that, [`setup`](crate::setup) tells once.
fn is_news(metadata: &Metadata<'_>) -> bool {
    let name = metadata.name();
    match metadata.target() {
        "opentelemetry-otlp" => !name.starts_with("Export.Failed"),
        "opentelemetry_sdk" => !name.ends_with("ExportError"),
        _ => true,
    }
}
