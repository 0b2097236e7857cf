//! Labels that a handler adds to its own exchange.

use std::{
    ops::DerefMut,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry::{Context, KeyValue};
use smallvec::SmallVec;

/// The attributes of one measurement, in an order that is always the same: the SDK finds a series
/// fastest by the order it first saw.
pub(crate) type LabelSet = SmallVec<[KeyValue; 10]>;

/// Labels that code inside an exchange adds to the metrics and the span of it.
///
/// They are there where [`Convention::with_handler_labels`](crate::Convention::with_handler_labels)
/// asks for them, in whatever runs under the exchange's `opentelemetry::Context`. Labels added
/// until the exchange ends are recorded; a label added twice has its last value.
///
/// For the span alone, `Context::current().span().set_attribute(..)` needs no switch.
///
/// # Example
///
/// ```
/// use opentelemetry::KeyValue;
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
/// Each value of a label makes a series: add values from a closed set.
#[derive(Debug, Clone, Default)]
pub struct Labels(Arc<Mutex<Vec<KeyValue>>>);

impl Labels {
    /// The labels of the exchange that the current context belongs to.
    pub fn current() -> Option<Self> {
        Context::map_current(Self::of)
    }

    /// The labels of the exchange that `context` belongs to.
    pub fn of(context: &Context) -> Option<Self> {
        context.get::<Self>().cloned()
    }

    /// Adds a label, in place of one of the same key.
    pub fn add(&self, label: KeyValue) {
        let mut labels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        set(&mut *labels, label);
    }

    pub(crate) fn append_to(&self, labels: &mut Vec<KeyValue>) {
        for label in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            set(labels, label.clone());
        }
    }
}

/// Sets a label where keys are few: the SDK would record a key that comes twice as two attributes.
pub(super) fn set<L>(labels: &mut L, label: KeyValue)
where
    L: DerefMut<Target = [KeyValue]> + Extend<KeyValue>,
{
    match labels.iter_mut().find(|known| known.key == label.key) {
        Some(known) => *known = label,
        None => labels.extend([label]),
    }
}
