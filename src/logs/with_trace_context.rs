//! The ids of the current span, for any format.

use std::fmt;

use opentelemetry::trace::{SpanId, TraceContextExt, TraceFlags, TraceId};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::teardown;

/// The current span, as log lines name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) flags: TraceFlags,
}

impl Ids {
    /// Returns the ids of the current span, if there is a valid one.
    pub(super) fn current() -> Option<Self> {
        teardown::map_context(|cx| {
            let span = cx.span();
            let span = span.span_context();
            span.is_valid().then(|| Self {
                trace: span.trace_id(),
                span: span.span_id(),
                flags: span.trace_flags(),
            })
        })
        .flatten()
    }
}

/// Adds the ids of the current span to the lines of another event format.
///
/// It is for an `fmt` layer of your own, with a writer, a timer or a format of your choice. Lines
/// that are written outside of a span are not changed. In contrast to
/// [`PrettyFormat`](super::PrettyFormat) it does not escape anything: what the inner format lets
/// through reaches the writer.
///
/// # Example
///
/// ```
/// use tower_telemetry::logs::{Stdout, WithTraceContext};
/// use tracing_subscriber::{fmt, layer::SubscriberExt};
///
/// let text = fmt::layer()
///     .without_time()
///     .with_writer(std::io::stderr)
///     .map_event_format(WithTraceContext::text);
/// let json = fmt::layer().json().with_writer(Stdout).map_event_format(WithTraceContext::json);
/// let subscriber = tracing_subscriber::registry().with(text).with(json);
/// # drop(subscriber);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct WithTraceContext<F> {
    inner: F,
    is_json: bool,
}

impl<F> WithTraceContext<F> {
    /// Appends ` trace_id=… span_id=…` to each line of a text format.
    ///
    /// The inner format is in colour if its own
    /// [`with_ansi`](tracing_subscriber::fmt::format::Format::with_ansi) says so; that of the layer
    /// has no effect here.
    pub fn text(inner: F) -> Self {
        Self { inner, is_json: false }
    }

    /// Inserts `trace_id`, `span_id` and `trace_flags` as the first members into each object of a
    /// JSON format, such as `fmt::layer().json()`.
    pub fn json(inner: F) -> Self {
        Self { inner, is_json: true }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithTraceContext<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(Ids { trace, span, flags }) = Ids::current() else {
            return self.inner.format_event(cx, writer, event);
        };
        let mut line = String::new();
        self.inner.format_event(cx, Writer::new(&mut line), event)?;
        if !self.is_json {
            return writeln!(writer, "{} trace_id={trace} span_id={span}", line.trim_end());
        }
        let Some(members) = line.strip_prefix('{') else { return writer.write_str(&line) };
        let comma = if members.starts_with('}') { "" } else { "," };
        let flags = flags.to_u8();
        write!(writer, r#"{{"trace_id":"{trace}","span_id":"{span}","#)?;
        write!(writer, r#""trace_flags":"{flags:02x}"{comma}{members}"#)
    }
}
