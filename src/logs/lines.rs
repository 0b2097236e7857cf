//! The subscriber for those who have none.

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer,
    filter::Targets,
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
        let levels = levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
        Self { format, levels }
    }

    /// Makes it the subscriber of the process, for `tracing` and for `log`.
    pub(crate) fn install(self, exported: Option<&SdkLoggerProvider>) -> Result<(), TryInitError> {
        let lines = match self.format {
            LogFormat::Json => json().boxed(),
            LogFormat::Pretty => pretty().boxed(),
        };
        let bridge = exported.map(OpenTelemetryTracingBridge::new);
        tracing_subscriber::registry().with(bridge).with(lines).with(self.levels).try_init()
    }
}
