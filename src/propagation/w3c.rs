//! The W3C's two propagators, combined.

use std::sync::LazyLock;

use http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};
use smallvec::SmallVec;

use super::{Baggage, TraceContext, carrier};

/// Combines [`TraceContext`] and [`Baggage`].
///
/// It is the default propagator of a layer: it is used if the layer has no propagator of its own
/// and no global one is installed.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct W3c {
    trace_context: TraceContext,
    baggage: Baggage,
}

impl W3c {
    /// Creates the propagator.
    pub fn new() -> Self {
        Self::default()
    }

    /// Extracts from a header map, with the same result as
    /// [`extract_with_context`](TextMapPropagator::extract_with_context) on a
    /// [`HeaderExtractor`](super::HeaderExtractor). Returns `None` if `cx` doesn't change.
    ///
    /// It is faster: it makes one pass over the headers instead of three lookups, and doesn't
    /// allocate the lists of lines that [`Extractor::get_all`] returns.
    pub(super) fn read(cx: &Context, headers: &HeaderMap) -> Option<Context> {
        let [mut parents, mut states, mut baggage] = [Lines::new(), Lines::new(), Lines::new()];
        for (name, value) in headers {
            let lines = match name.as_str() {
                carrier::TRACEPARENT => &mut parents,
                carrier::TRACESTATE => &mut states,
                carrier::BAGGAGE => &mut baggage,
                _ => continue,
            };
            // Lines that are not visible ASCII are skipped.
            lines.extend(value.to_str());
        }
        // A `traceparent` that was sent twice is invalid.
        let parent = match parents[..] {
            [parent] => Some(parent),
            _ => None,
        };
        let traced = TraceContext::read(cx, parent, || states);
        Baggage::read(traced.as_ref().unwrap_or(cx), baggage).or(traced)
    }
}

/// The lines of a header. Usually there is one.
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
