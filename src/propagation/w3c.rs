//! The two propagators of the W3C as one.

use std::sync::LazyLock;

use http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};
use smallvec::SmallVec;

use super::{Baggage, TraceContext, carrier};

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

    /// What [`extract_with_context`](TextMapPropagator::extract_with_context) does with the carrier of
    /// this crate, without the lists of lines that a carrier has to give.
    ///
    /// One pass over a usual request's headers costs less than three look-ups.
    pub(super) fn read(cx: &Context, headers: &HeaderMap) -> Option<Context> {
        let [mut parents, mut states, mut baggage] = [Lines::new(), Lines::new(), Lines::new()];
        for (name, value) in headers {
            let lines = match name.as_str() {
                carrier::TRACEPARENT => &mut parents,
                carrier::TRACESTATE => &mut states,
                carrier::BAGGAGE => &mut baggage,
                _ => continue,
            };
            // Lines that are not text are skipped.
            lines.extend(value.to_str());
        }
        // Of two nobody knows which is the caller's.
        let parent = match parents[..] {
            [parent] => Some(parent),
            _ => None,
        };
        let called = TraceContext::read(cx, parent, || states);
        Baggage::read(called.as_ref().unwrap_or(cx), baggage).or(called)
    }
}

/// The lines of a header, which is mostly one.
type Lines<'a> = SmallVec<[&'a str; 1]>;

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
        FieldIter::new(&FIELDS)
    }
}

static FIELDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let W3c { trace_context, baggage } = W3c::new();
    trace_context.fields().chain(baggage.fields()).map(String::from).collect()
});
