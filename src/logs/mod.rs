//! Log lines that lead to their trace, and log records that are exported with it.
//!
//! Each line that is written inside a request carries the ids of the span that was current:
//!
//! ```json
//! {"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","trace_flags":"01",
//!  "timestamp":"2026-11-23T09:30:00.123456Z","level":"INFO","fields":{"message":"paid","amount":3},
//!  "target":"shop"}
//! ```
//!
//! (on one line). `trace_flags` are two hex digits; `01` says that the trace is sampled. What is
//! written outside of a request has no ids. The fields of an event are under `fields`, so that none
//! of them can pass for an id.
//!
//! The ids are those of [`Context::current`](opentelemetry::Context::current), which the layers of
//! this crate make current, as does `tracing-opentelemetry` with its defaults. So it matters neither
//! where in the stack of layers telemetry stands, nor in which order a subscriber's layers do, nor
//! whether `tracing` has any span.
//!
//! # With nothing of your own
//!
//! [`TelemetryBuilder::with_log_lines`](crate::setup::TelemetryBuilder::with_log_lines) installs a
//! subscriber, for `tracing` and for `log`.
//!
//! # With a subscriber of your own
//!
//! ```
//! use tower_telemetry::{Telemetry, logs};
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let none = |name: &str| name.ends_with("EXPORTER").then(|| "none".to_owned());
//! let telemetry = Telemetry::builder()
//! #   .with_variables(none)
//!     .build()?;
//! let subscriber = tracing_subscriber::registry()
//!     .with(logs::json())
//!     .with(logs::bridge(telemetry.logger_provider()))
//!     .with(logs::without_export_failures());
//! # drop(subscriber);
//! # Ok(())
//! # }
//! ```
//!
//! # No feedback
//!
//! To export log records causes log records: of the connection, of HTTP/2, of the SDK. Those of this
//! crate's exporters are made on threads on which telemetry is suppressed, and so are written as
//! lines, where the filter lets them, but never exported in their turn.

mod ids;
mod lines;

use std::io::{self, IsTerminal};

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::Subscriber;
use tracing_subscriber::{
    Layer,
    filter::{FilterFn, filter_fn},
    fmt,
    registry::LookupSpan,
};

use self::ids::{JsonWithIds, TextWithIds};
pub(crate) use self::lines::LogLines;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// One JSON object a line, for what collects them.
    Json,
    /// For a terminal, in colour where it is one.
    Pretty,
}

/// Writes JSON lines to standard output, each with the ids of the trace.
pub fn json<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fmt::layer().json().with_current_span(false).map_event_format(JsonWithIds)
}

/// Writes lines for the eyes to standard output, each with the ids of the trace at its end.
pub fn pretty<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_terminal = io::stdout().is_terminal();
    let format = fmt::format().with_ansi(is_terminal);
    fmt::layer().with_ansi(is_terminal).event_format(TextWithIds(format))
}

/// Exports what `tracing` records as log records of this provider, with their trace and span.
pub fn bridge<S>(loggers: &SdkLoggerProvider) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    OpenTelemetryTracingBridge::new(loggers)
}

/// A layer that leaves out what the SDK and its exporters log of each batch that fails: of that,
/// [`setup`](crate::setup) tells once, and once more when it is over.
pub fn without_export_failures() -> FilterFn {
    filter_fn(|metadata| {
        let name = metadata.name();
        match metadata.target() {
            "opentelemetry-otlp" => !name.starts_with("Export."),
            "opentelemetry_sdk" => !name.ends_with("ExportError"),
            _ => true,
        }
    })
}
