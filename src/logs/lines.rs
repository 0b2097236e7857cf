//! The subscriber for those who have none.

use std::error::Error;

use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::level_filters::LevelFilter;
use tracing_log::{AsLog, LogTracer, log};
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt};

use super::{LogFormat, bridge, json, pretty, without_export_failures};

/// Lines on standard output, and perhaps records that are exported.
#[derive(Debug)]
pub(crate) struct LogLines {
    format: LogFormat,
    levels: Targets,
}

impl LogLines {
    pub(crate) fn new(format: LogFormat, levels: Option<Targets>) -> Self {
        let mut levels = levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
        // What telemetry has to say of itself is heard unless it is named, or all is off; what the
        // SDK says of its start and its end is of no use to who did not write it.
        let named = |target: &str| levels.iter().any(|(name, _)| name.starts_with(target));
        let default = levels.default_level().unwrap_or(LevelFilter::OFF);
        let is_off = levels.iter().all(|(_, level)| level == LevelFilter::OFF)
            && default == LevelFilter::OFF;
        let is_told = named(TARGET) || is_off;
        let is_sdk_told = named(SDK_TARGETS) || default < LevelFilter::WARN;
        if !is_told {
            levels = levels.with_target(TARGET, LevelFilter::WARN);
        }
        if !is_sdk_told {
            levels = levels.with_target(SDK_TARGETS, LevelFilter::WARN);
        }
        Self { format, levels }
    }

    /// Makes it the subscriber of the process, for `tracing` and for `log`.
    pub(crate) fn install(
        self,
        exported: Option<&SdkLoggerProvider>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let lines = match self.format {
            LogFormat::Json => json().boxed(),
            LogFormat::Pretty => pretty().boxed(),
        };
        let subscriber = tracing_subscriber::registry()
            .with(exported.map(bridge))
            .with(lines)
            .with(self.levels)
            .with(without_export_failures());
        // The logger first: one that is in the way leaves no subscriber behind.
        LogTracer::init()?;
        tracing::subscriber::set_global_default(subscriber)?;
        log::set_max_level(LevelFilter::current().as_log());
        Ok(())
    }
}

/// The target of this crate's notices.
const TARGET: &str = env!("CARGO_CRATE_NAME");

/// The beginning of the targets of the SDK and its exporters.
const SDK_TARGETS: &str = "opentelemetry";
