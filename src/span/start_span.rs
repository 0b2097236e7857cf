//! Tracers without their type.

use opentelemetry::{
    Context,
    trace::{Span, SpanBuilder, TraceContextExt, Tracer},
};

/// A tracer of any type. The spans that it starts go directly into a context.
pub(super) trait StartSpan: Send + Sync {
    /// Starts a child of `parent` in a copy of `context`. Returns true if the span is recording.
    fn start(&self, builder: SpanBuilder, parent: &Context, context: &Context) -> (Context, bool);
}

impl<T> StartSpan for T
where
    T: Tracer + Send + Sync,
    T::Span: Span + Send + Sync + 'static,
{
    fn start(&self, builder: SpanBuilder, parent: &Context, context: &Context) -> (Context, bool) {
        let span = self.build_with_context(builder, parent);
        match span.is_recording() {
            true => (context.with_span(span), true),
            // Only the ids of a span that is not recorded matter. They need no box and no lock.
            false => (context.with_remote_span_context(span.span_context().clone()), false),
        }
    }
}
