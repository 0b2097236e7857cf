//! The ids of the current span, put into a line that somebody else formats.

use std::fmt;

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt},
};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Puts the ids first into the object that the format writes.
pub(super) struct JsonWithIds<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for JsonWithIds<F>
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
        let Some(span) = current_span() else { return self.0.format_event(cx, writer, event) };
        let mut object = Object { writer: &mut writer, span: Some(span) };
        self.0.format_event(cx, Writer::new(&mut object), event)
    }
}

/// A JSON object on its way, until its brace has gone by.
struct Object<'a, 'w> {
    writer: &'a mut Writer<'w>,
    span: Option<SpanContext>,
}

impl fmt::Write for Object<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some(rest) = text.strip_prefix('{') else { return self.writer.write_str(text) };
        let Some(span) = self.span.take() else { return self.writer.write_str(text) };
        // The object goes on with its timestamp, so that a comma is due.
        write!(
            self.writer,
            r#"{{"trace_id":"{}","span_id":"{}","trace_flags":"{:02x}",{rest}"#,
            span.trace_id(),
            span.span_id(),
            span.trace_flags().to_u8(),
        )
    }
}

/// Puts the ids at the end of the line that the format writes.
pub(super) struct TextWithIds<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for TextWithIds<F>
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
        let mut line = String::new();
        self.0.format_event(cx, Writer::new(&mut line), event)?;
        writer.write_str(line.trim_end())?;
        if let Some(span) = current_span() {
            write!(writer, " trace_id={} span_id={}", span.trace_id(), span.span_id())?;
        }
        writeln!(writer)
    }
}

fn current_span() -> Option<SpanContext> {
    Context::map_current(|cx| {
        let span = cx.span();
        let span = span.span_context();
        span.is_valid().then(|| span.clone())
    })
}
