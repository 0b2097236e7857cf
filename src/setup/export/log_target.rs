//! Targets of records that come from the `log` crate.

use std::time::Duration;

use opentelemetry::{
    InstrumentationScope,
    logs::{AnyValue, LogRecord},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogProcessor, SdkLogRecord},
};

/// Sets the target of a record of the `log` crate to the one that its caller named.
///
/// `tracing-log` gives all of them the target `log`, and puts theirs into the field `log.target`.
#[derive(Debug)]
pub(crate) struct LogTarget;

impl LogProcessor for LogTarget {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        if record.target().is_none_or(|target| target != "log") {
            return;
        }
        let target = record.attributes_iter().find_map(|(key, value)| match value {
            AnyValue::String(target) if key.as_str() == "log.target" => Some(target.to_string()),
            _ => None,
        });
        if let Some(target) = target {
            record.set_target(target);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
