//! Meters and instruments of a given provider, or of the global one.

use std::sync::{Arc, OnceLock};

use opentelemetry::{
    global,
    metrics::{Meter, MeterProvider},
};

use crate::convention::emit;

/// Returns a meter of the global provider, if one is installed.
pub(crate) fn global_meter() -> Option<Meter> {
    global_meter_provider().map(|provider| provider.meter_with_scope(emit::scope()))
}

/// Returns the global provider, if one is installed.
pub(crate) fn global_meter_provider() -> Option<Arc<dyn MeterProvider + Send + Sync>> {
    let provider = global::meter_provider();
    // The API's default provider has no state, so it can't record anything.
    let is_noop = size_of_val(&*provider) == 0;
    (!is_noop).then_some(provider)
}

/// Instruments that are created when they are used first, of the provider that is installed then.
pub(crate) struct LazyInstruments<I> {
    created: OnceLock<I>,
    create: fn(&Meter) -> I,
}

impl<I> LazyInstruments<I> {
    /// Uses the global provider, which is looked up until there is one.
    pub(crate) fn of_global(create: fn(&Meter) -> I) -> Self {
        Self { created: OnceLock::new(), create }
    }

    pub(crate) fn of<P>(provider: &P, create: fn(&Meter) -> I) -> Self
    where
        P: MeterProvider + ?Sized,
    {
        let created = create(&provider.meter_with_scope(emit::scope()));
        Self { created: OnceLock::from(created), create }
    }

    /// Returns the instruments. `None`: no global provider is installed yet.
    pub(crate) fn get(&self) -> Option<&I> {
        if let Some(instruments) = self.created.get() {
            return Some(instruments);
        }
        let meter = global_meter()?;
        Some(self.created.get_or_init(|| (self.create)(&meter)))
    }
}
