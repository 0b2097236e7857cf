//! The tracer of a given provider, or of the global one.

use std::sync::Arc;

use opentelemetry::{
    Context, global,
    trace::{Span, SpanBuilder, TraceContextExt, Tracer, TracerProvider},
};

use super::{latest::Latest, retry::Retry};
use crate::convention::emit;

/// Starts spans with the tracer of a given provider, or of the global one.
#[derive(Default)]
pub(crate) struct Tracers {
    given: Option<Arc<dyn StartSpan>>,
    /// The tracer of the global provider that was found last.
    global: Latest<Box<dyn StartSpan>>,
    /// When to ask a tracer again that made no-op spans, and to look for a global provider.
    retry: Retry,
}

impl Tracers {
    pub(crate) fn of<P>(provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
    {
        let tracer = provider.tracer_with_scope(emit::scope());
        Self { given: Some(Arc::new(tracer)), ..Self::default() }
    }

    /// Returns true if no provider is expected.
    pub(crate) fn gave_up(&self) -> bool {
        self.retry.gave_up()
    }

    /// Returns true if no span should be started this time.
    pub(crate) fn skips(&self) -> bool {
        self.retry.skips()
    }

    /// Starts a child of `parent` in a copy of `context`.
    #[inline]
    pub(crate) fn start(
        &self,
        builder: SpanBuilder,
        parent: &Context,
        context: &Context,
    ) -> Started {
        let started = match self.given.as_deref().or_else(|| self.known_global()) {
            Some(tracer) => tracer.start(builder, parent, context),
            None => {
                let tracer: Box<dyn StartSpan> = Box::new(global::tracer_with_scope(emit::scope()));
                let started = tracer.start(builder, parent, context);
                if !started.is_noop {
                    self.global.set(tracer);
                }
                started
            }
        };
        self.retry.answered(started.is_noop);
        started
    }

    /// Returns the global tracer that was found last. `None` if it made only no-op spans lately:
    /// another provider may have replaced its provider.
    fn known_global(&self) -> Option<&dyn StartSpan> {
        if self.retry.gave_up() {
            return None;
        }
        self.global.get().map(|tracer| &**tracer)
    }
}

impl Clone for Tracers {
    /// Clones what was given. The clone looks for the global provider itself.
    fn clone(&self) -> Self {
        Self { given: self.given.clone(), ..Self::default() }
    }
}

/// A span that was started.
pub(crate) struct Started {
    pub(crate) context: Context,
    pub(crate) is_recording: bool,
    /// True without a provider, or after its shutdown.
    pub(crate) is_noop: bool,
}

/// A tracer of any type. The spans that it starts go directly into a context.
trait StartSpan: Send + Sync {
    fn start(&self, builder: SpanBuilder, parent: &Context, context: &Context) -> Started;
}

impl<T> StartSpan for T
where
    T: Tracer + Send + Sync,
    T::Span: Span + Send + Sync + 'static,
{
    fn start(&self, builder: SpanBuilder, parent: &Context, context: &Context) -> Started {
        let span = self.build_with_context(builder, parent);
        let own = span.span_context();
        // A no-op span is invalid, or has the ids of the span around.
        let around = context.span().span_context().span_id();
        let is_noop = !own.is_valid() || own.span_id() == around;
        let is_recording = span.is_recording();
        let context = match is_recording {
            true => context.with_span(span),
            // Only the ids of a span that is not recorded matter. They need no box and no lock.
            false => context.with_remote_span_context(own.clone()),
        };
        Started { context, is_recording, is_noop }
    }
}
