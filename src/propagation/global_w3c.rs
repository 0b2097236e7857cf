//! The global propagator that set-up installs, in a form that layers recognize.

use std::{ptr, sync::LazyLock};

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

use super::W3c;

/// [`W3c`] as the global propagator. Layers recognize it and then use [`W3c`] directly.
///
/// The API hides the type of the global propagator and guards it with a lock that all threads
/// share. Its fields are the only thing that identifies it, so this type has [`FIELDS`] of its own,
/// and layers compare the address of the first field. The text would not do: another propagator may
/// have the same fields and do more.
///
/// Going through the API instead costs about 6 % of a request (`benches/peers`).
#[derive(Debug, Default)]
pub(crate) struct GlobalW3c(W3c);

impl GlobalW3c {
    /// Returns true if `field`, the first field of some propagator, belongs to this type.
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
    fn only_this_type_is_recognized() {
        let is_own = |propagator: &dyn TextMapPropagator| {
            propagator.fields().next().is_some_and(GlobalW3c::is_own)
        };
        assert!(is_own(&GlobalW3c::default()));
        assert!(!is_own(&W3c::new()), "it has the same fields at another address");
        let others = TextMapCompositePropagator::new(vec![Box::new(GlobalW3c::default())]);
        assert!(!is_own(&others), "a composite may do more");
    }
}
