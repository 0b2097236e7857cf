//! What is kept of a series: its labels, and where that is asked for, instruments bound to them.

#[cfg(feature = "bound-instruments")]
use std::sync::OnceLock;

#[cfg(feature = "bound-instruments")]
use opentelemetry::metrics::{BoundHistogram, BoundUpDownCounter};
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, UpDownCounter},
};

/// The labels of a series.
#[derive(Debug)]
pub(super) struct Kept<L> {
    labels: L,
    #[cfg(feature = "bound-instruments")]
    bound: Option<Box<Bound>>,
}

/// Each instrument is bound when it first records: the SDK exports what is bound, also where nothing
/// was recorded.
#[cfg(feature = "bound-instruments")]
#[derive(Debug, Default)]
struct Bound {
    active: OnceLock<BoundUpDownCounter<i64>>,
    duration: OnceLock<BoundHistogram<f64>>,
    request_size: OnceLock<BoundHistogram<u64>>,
    response_size: OnceLock<BoundHistogram<u64>>,
}

/// Methods that measure by an instrument: the bound one, where the series is bound. The instruments, and
/// what they become when they are bound, share no type.
macro_rules! through {
    ($($method:ident($instrument:ty, $value:ty) by $measure:ident, bound as $bound:ident;)*) => {$(
        pub(super) fn $method(&self, instrument: &$instrument, value: $value) {
            let labels = self.labels.as_ref();
            #[cfg(feature = "bound-instruments")]
            if let Some(bound) = &self.bound {
                return bound.$bound.get_or_init(|| instrument.bind(labels)).$measure(value);
            }
            instrument.$measure(value, labels);
        }
    )*};
}

impl<L: AsRef<[KeyValue]>> Kept<L> {
    /// Keeps the labels of a series that has this number, and binds if it is asked to and may.
    #[cfg_attr(
        not(feature = "bound-instruments"),
        expect(unused_variables, reason = "nothing is bound without the feature")
    )]
    pub(super) fn new(labels: L, number: usize, binds: bool) -> Self {
        Self {
            labels,
            #[cfg(feature = "bound-instruments")]
            bound: (binds && number < MAX_BOUND).then(Box::default),
        }
    }

    through! {
        count_active(UpDownCounter<i64>, i64) by add, bound as active;
        record_duration(Histogram<f64>, f64) by record, bound as duration;
        record_request_size(Histogram<u64>, u64) by record, bound as request_size;
        record_response_size(Histogram<u64>, u64) by record, bound as response_size;
    }
}

/// Half of what a metric has by default in the SDK: what is bound is never evicted there, and has to
/// leave room for what isn't.
#[cfg(feature = "bound-instruments")]
const MAX_BOUND: usize = 1000;

#[cfg(all(test, feature = "bound-instruments"))]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_number_is_bound() {
        let is_bound = |number, binds| Kept::new([], number, binds).bound.is_some();
        assert!(is_bound(0, true) && is_bound(MAX_BOUND - 1, true));
        assert!(!is_bound(MAX_BOUND, true) && !is_bound(0, false));
    }
}
