//! Labels that a handler adds to its own exchange.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::{Context, KeyValue};

use super::attribute_set;

/// Labels that a handler adds to the metrics and the span of its exchange.
///
/// Turn them on with
/// [`Convention::with_handler_labels`](crate::Convention::with_handler_labels). They are available to
/// all code that runs under the exchange's `opentelemetry::Context`. Labels that are added before the
/// exchange ends are recorded. A label that is added twice has its last value.
///
/// To set an attribute on the span only, use `Context::current().span().set_attribute(..)`, which
/// needs no option.
///
/// # Example
///
/// ```
/// use tower_telemetry::opentelemetry::KeyValue;
/// use tower_telemetry::Labels;
///
/// async fn handler() {
///     if let Some(labels) = Labels::current() {
///         labels.add(KeyValue::new("tenant.tier", "gold"));
///     }
/// }
/// ```
///
/// # Cardinality
///
/// Each value of a label creates a series. Add values from a closed set.
#[derive(Debug, Clone, Default)]
pub struct Labels(Arc<Mutex<Vec<KeyValue>>>);

impl Labels {
    /// Returns the labels of the exchange that the current context belongs to.
    pub fn current() -> Option<Self> {
        Context::map_current(Self::of)
    }

    /// Returns the labels of the exchange that `context` belongs to.
    pub fn of(context: &Context) -> Option<Self> {
        context.get::<Self>().cloned()
    }

    /// Adds a label, replacing one of the same key.
    pub fn add(&self, label: KeyValue) {
        let mut labels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attribute_set::set(&mut *labels, label);
    }

    pub(crate) fn append_to(&self, labels: &mut Vec<KeyValue>) {
        for label in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            attribute_set::set(labels, label.clone());
        }
    }
}
