//! No propagation at all.

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

/// The propagator of who wants none (`OTEL_PROPAGATORS=none`).
#[derive(Debug)]
pub(crate) struct Nothing;

impl TextMapPropagator for Nothing {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, cx: &Context, _: &dyn Extractor) -> Context {
        cx.clone()
    }

    /// A global propagator without fields is taken for none installed, and the default in its stead.
    fn fields(&self) -> FieldIter<'_> {
        use std::sync::OnceLock;

        static FIELDS: OnceLock<[String; 1]> = OnceLock::new();
        FieldIter::new(FIELDS.get_or_init(|| ["none".to_owned()]))
    }
}
