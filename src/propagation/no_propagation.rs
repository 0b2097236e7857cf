//! No propagation at all.

use std::sync::OnceLock;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

/// The propagator of `OTEL_PROPAGATORS=none`: it does nothing.
#[derive(Debug)]
pub(crate) struct NoPropagation;

impl TextMapPropagator for NoPropagation {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, cx: &Context, _: &dyn Extractor) -> Context {
        cx.clone()
    }

    /// Layers take a global propagator without fields for the API's no-op default, and would use W3C's
    /// propagators instead. Therefore this one has a field.
    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: OnceLock<[String; 1]> = OnceLock::new();
        FieldIter::new(FIELDS.get_or_init(|| ["none".to_owned()]))
    }
}
