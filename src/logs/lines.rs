//! The subscriber that `with_log_lines` installs.

use std::error::Error;

use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing_log::LogTracer;
use tracing_subscriber::layer::SubscriberExt;

use super::{
    LogFormat, LogLevel, TakeLine, bridge, layer_with_baggage, teardown::NoSpansAtTeardown,
    without_export_failures,
};
use crate::{baggage_keys::BaggageKeys, stdout};

/// Lines on standard output, and records for a provider.
#[derive(Debug)]
pub(crate) struct LogLines {
    format: LogFormat,
    level: LogLevel,
    baggage: Option<BaggageKeys>,
}

impl LogLines {
    pub(crate) fn new(format: LogFormat, level: LogLevel, baggage: Option<BaggageKeys>) -> Self {
        Self { format, level, baggage }
    }

    /// Sets the name of the service for a format that has a key for it.
    pub(crate) fn with_service_name(mut self, name: Option<String>) -> Self {
        if let LogFormat::CustomJson(format) = self.format {
            self.format = LogFormat::CustomJson(format.with_default_service_name(name));
        }
        self
    }

    /// Returns the handle of the levels.
    pub(crate) fn level(&self) -> LogLevel {
        self.level.clone()
    }

    /// Chooses a format for [`LogFormat::Auto`].
    pub(crate) fn chosen(self, has_console: bool) -> Self {
        Self { format: self.format.chosen(has_console), ..self }
    }

    /// Returns true if the lines are for a person.
    pub(crate) fn are_pretty(&self) -> bool {
        self.format == LogFormat::Pretty
    }

    /// Installs the global subscriber, for `tracing` and for `log`. Lines go to `console`, if it is given, and
    /// otherwise to standard output.
    pub(crate) fn install(
        self,
        exported: Option<&SdkLoggerProvider>,
        console: Option<TakeLine>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let subscriber = tracing_subscriber::registry()
            // Innermost, so that a span that another filter disables is not asked for again.
            .with(NoSpansAtTeardown)
            .with(exported.map(bridge))
            .with(match console {
                Some(take) => super::console(take, self.baggage),
                None => layer_with_baggage(self.format, self.baggage),
            })
            .with(self.level.clone())
            .with(without_export_failures());
        tracing::subscriber::set_global_default(subscriber)?;
        match LogTracer::init() {
            Ok(()) => self.level.rule_log(),
            // Programs that log with `tracing` lose nothing.
            Err(_) => stdout::warn(
                "another logger of the `log` crate is installed: records of `log` are not written by \
                 `with_log_lines`, and not exported",
            ),
        }
        self.level.rejected().iter().for_each(|text| stdout::warn(text));
        Ok(())
    }
}
