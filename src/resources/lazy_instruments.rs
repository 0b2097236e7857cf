//! Instruments of a given provider, or of the global one.

use std::sync::OnceLock;

use opentelemetry::{
    global,
    metrics::{Meter, MeterProvider},
};

use crate::convention::emit;

/// Instruments that are created when they are used first, of the provider that is installed then.
pub(super) struct LazyInstruments<I> {
    created: OnceLock<I>,
    create: fn(&Meter) -> I,
}

impl<I> LazyInstruments<I> {
    /// Uses the global provider, which is looked up until there is one.
    pub(super) fn of_global(create: fn(&Meter) -> I) -> Self {
        Self { created: OnceLock::new(), create }
    }

    pub(super) fn of<P>(provider: &P, create: fn(&Meter) -> I) -> Self
    where
        P: MeterProvider + ?Sized,
    {
        let created = create(&provider.meter_with_scope(emit::scope()));
        Self { created: OnceLock::from(created), create }
    }

    /// Returns the instruments. `None`: no global provider is installed yet.
    pub(super) fn get(&self) -> Option<&I> {
        if let Some(instruments) = self.created.get() {
            return Some(instruments);
        }
        let provider = global::meter_provider();
        // The API's own no-op provider is the one without any state.
        if size_of_val(&*provider) == 0 {
            return None;
        }
        Some(self.created.get_or_init(|| (self.create)(&provider.meter_with_scope(emit::scope()))))
    }
}
