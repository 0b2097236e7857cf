//! W3c as the global propagator that this crate has installed, and knows again.

use std::{ptr, sync::LazyLock};

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

use super::W3c;

/// The global propagator is behind a lock that all threads share, and of a type that nobody sees. One
/// that names these very fields does what layers do without it. They are of this type alone, so that
/// a propagator which wraps [`W3c`], and does more, is none of it.
#[derive(Debug, Default)]
pub(crate) struct GlobalW3c(W3c);

impl GlobalW3c {
    /// Whether a propagator of unknown type, of which this is the first field, is this one.
    pub(super) fn is_own(field: &str) -> bool {
        ptr::eq(field, &*FIELDS[0])
    }
}

impl TextMapPropagator for GlobalW3c {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        self.0.inject_context(cx, injector);
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        self.0.extract_with_context(cx, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&FIELDS)
    }
}

static FIELDS: LazyLock<Vec<String>> =
    LazyLock::new(|| W3c::new().fields().map(String::from).collect());

#[cfg(test)]
mod tests {
    use opentelemetry::propagation::TextMapCompositePropagator;

    use super::*;

    #[test]
    fn it_knows_itself_alone() {
        let is_own = |propagator: &dyn TextMapPropagator| {
            propagator.fields().next().is_some_and(GlobalW3c::is_own)
        };
        assert!(is_own(&GlobalW3c::default()));
        assert!(!is_own(&W3c::new()), "what wraps it names its fields");
        let others = TextMapCompositePropagator::new(vec![Box::new(GlobalW3c::default())]);
        assert!(!is_own(&others), "it may do more");
    }
}
