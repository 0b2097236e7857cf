//! Log lines with the ids of their trace, and the bridge that exports log records.
//!
//! Each line that is written inside a request carries the ids of the current span:
//!
//! ```json
//! {"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7",
//!  "trace_flags":"01","timestamp":"2026-11-23T09:30:00.123456Z","level":"INFO",
//!  "fields":{"message":"paid","amount":3},"target":"shop"}
//! ```
//!
//! (on one line). `trace_flags` is two hexadecimal digits; `01` means that the trace is sampled.
//! Lines that are written outside of a request have no ids. The fields of an event are in an object
//! of their own, so that none of them can be taken for an id. [`JsonFormat`] has the keys of Google
//! Cloud, Datadog and Elastic, too.
//!
//! The ids are those of [`Context::current`](opentelemetry::Context::current). The layers of this
//! crate set it, and so does `tracing-opentelemetry` with its defaults. Neither the place of the
//! telemetry layer in the stack nor the order of the subscriber's layers matters, and `tracing`
//! needs no span.
//!
//! # Without a subscriber of your own
//!
//! [`TelemetryBuilder::with_log_lines`](crate::setup::TelemetryBuilder::with_log_lines) installs a
//! subscriber, for `tracing` and for `log`.
//!
//! # With a subscriber of your own
//!
//! ```
//! use tower_telemetry::{Telemetry, logs::{self, Levels}};
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
//!     .with(Levels::from_env())
//!     .with(logs::without_export_failures());
//! # drop(subscriber);
//! # Ok(())
//! # }
//! ```
//!
//! [`WithTraceContext`] adds the ids to an `fmt` layer of your own. [`JsonFormat`] and
//! [`PrettyFormat`] are event formats for such a layer, and [`Stdout`] is a writer.
//!
//! # Levels
//!
//! [`Levels`] reads `RUST_LOG`. [`LogLevel`] changes levels for some time while the program runs, and
//! [`LogLevelService`] does so over HTTP.
//!
//! # What callers send
//!
//! Control characters are escaped in messages, fields, targets and the names of spans: a value
//! cannot forge a line, and cannot send escape sequences to a terminal.
//!
//! # Standard output that nobody reads
//!
//! Lines go through [`Stdout`], which drops lines instead of blocking a request or the shutdown.
//!
//! # No feedback
//!
//! Exporting log records causes log records: of the connection, of HTTP/2, of the SDK. Those of
//! this crate's exporters come from threads on which telemetry is suppressed. They are written as
//! lines if the filter lets them, but they are never exported.

mod format;
mod json;
mod json_line;
mod json_object;
mod levels;
mod lines;
mod log_level;
mod log_level_service;
mod pretty;
mod teardown;
mod with_trace_context;
mod writer;

use std::fmt::Debug;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::Subscriber;
use tracing_subscriber::{
    Layer,
    filter::{FilterFn, filter_fn},
    fmt::{self, FormatEvent, FormatFields, MakeWriter},
    registry::LookupSpan,
};

use crate::baggage_keys::BaggageKeys;

pub use self::{
    format::LogFormat,
    json::JsonFormat,
    levels::Levels,
    log_level::{LogLevel, LogLevelError},
    log_level_service::LogLevelService,
    pretty::PrettyFormat,
    with_trace_context::WithTraceContext,
    writer::Stdout,
};
use self::{
    format::WriteLine,
    teardown::{LinesAtTeardown, SkipAtTeardown},
    writer::LineWriter,
};
pub(crate) use self::{lines::LogLines, writer::TakeLine};
use crate::stdout::Colours;

/// Writes JSON lines to standard output, each with the ids of the current span.
pub fn json<S>() -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    layer(LogFormat::Json)
}

/// Writes lines for a terminal to standard output, each with the ids of the current span.
pub fn pretty<S>() -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    layer(LogFormat::Pretty)
}

/// Writes lines in this format to standard output, each with the ids of the current span.
pub fn layer<S>(format: LogFormat) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    layer_with_baggage(format, None)
}

/// Does the same, with keys of baggage for a format that has none.
fn layer_with_baggage<S>(
    format: LogFormat,
    keys: Option<BaggageKeys>,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    match (format.chosen(false), keys) {
        (LogFormat::Json, keys) => layer_of(JsonFormat::new().with_default_baggage(keys)),
        (LogFormat::CustomJson(format), keys) => layer_of(format.with_default_baggage(keys)),
        (LogFormat::Pretty | LogFormat::Auto, None) => layer_of(PrettyFormat::new()),
        (LogFormat::Pretty | LogFormat::Auto, Some(keys)) => {
            layer_of(PrettyFormat::new().with_baggage(keys))
        }
    }
}

/// Passes lines for a terminal to a function, without their time and ids.
fn console<S>(take: TakeLine, keys: Option<BaggageKeys>) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let format = PrettyFormat::for_console();
    let format = match keys {
        Some(keys) => format.with_baggage(keys),
        None => format,
    };
    layer_to(format, LineWriter(take))
}

fn layer_of<S, F>(format: F) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: FormatEvent<S, F> + for<'a> FormatFields<'a> + WriteLine,
    F: Clone + Debug + Send + Sync + 'static,
{
    layer_to(format, Stdout)
}

fn layer_to<S, F, W>(format: F, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: FormatEvent<S, F> + for<'a> FormatFields<'a> + WriteLine,
    F: Clone + Debug + Send + Sync + 'static,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer()
        .with_ansi(Colours::of_stdout().are_on())
        .fmt_fields(format.clone())
        .event_format(format.clone())
        .with_writer(writer);
    Box::new(LinesAtTeardown { layer, format })
}

/// Exports `tracing`'s events as log records of this provider, with the ids of the current span.
pub fn bridge<S>(loggers: &SdkLoggerProvider) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    SkipAtTeardown(OpenTelemetryTracingBridge::new(loggers))
}

/// Omits what the SDK and its exporters log about each batch that fails: [`setup`](crate::setup)
/// reports the first failure, and the recovery.
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
