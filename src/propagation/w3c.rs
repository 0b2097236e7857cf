//! The two propagators of the W3C as one.

use std::sync::OnceLock;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

use super::{
    Baggage, HeaderExtractor, TraceContext,
    baggage::BAGGAGE,
    trace_context::{TRACEPARENT, TRACESTATE},
};

/// [`TraceContext`] and [`Baggage`]: what is used where no propagator is given and no global one is
/// installed.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct W3c {
    trace_context: TraceContext,
    baggage: Baggage,
}

impl W3c {
    /// Makes the propagator.
    pub fn new() -> Self {
        Self::default()
    }
}

impl W3c {
    /// What [`extract_with_context`](TextMapPropagator::extract_with_context) does, for the carrier of
    /// this crate: it lends its lines, where others must give a list of them.
    pub(super) fn read(cx: &Context, headers: &HeaderExtractor<'_>) -> Option<Context> {
        let lines = || headers.lines(TRACESTATE);
        let called = TraceContext::read(cx, headers.get(TRACEPARENT), lines);
        let baggage = Baggage::read(called.as_ref().unwrap_or(cx), headers.lines(BAGGAGE));
        baggage.or(called)
    }
}

impl TextMapPropagator for W3c {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        self.trace_context.inject_context(cx, injector);
        self.baggage.inject_context(cx, injector);
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let cx = self.trace_context.extract_with_context(cx, extractor);
        self.baggage.extract_with_context(&cx, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: OnceLock<Vec<String>> = OnceLock::new();
        let fields = || self.trace_context.fields().chain(self.baggage.fields());
        FieldIter::new(FIELDS.get_or_init(|| fields().map(String::from).collect()))
    }
}
