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

    pub(super) fn count_active(&self, counter: &UpDownCounter<i64>, change: i64) {
        #[cfg(feature = "bound-instruments")]
        if let Some(bound) = &self.bound {
            return bound.active.get_or_init(|| counter.bind(self.labels.as_ref())).add(change);
        }
        counter.add(change, self.labels.as_ref());
    }

    pub(super) fn record_duration(&self, histogram: &Histogram<f64>, seconds: f64) {
        #[cfg(feature = "bound-instruments")]
        if let Some(bound) = &self.bound {
            return bound
                .duration
                .get_or_init(|| histogram.bind(self.labels.as_ref()))
                .record(seconds);
        }
        histogram.record(seconds, self.labels.as_ref());
    }

    pub(super) fn record_request_size(&self, histogram: &Histogram<u64>, bytes: u64) {
        #[cfg(feature = "bound-instruments")]
        if let Some(bound) = &self.bound {
            return bound
                .request_size
                .get_or_init(|| histogram.bind(self.labels.as_ref()))
                .record(bytes);
        }
        histogram.record(bytes, self.labels.as_ref());
    }

    pub(super) fn record_response_size(&self, histogram: &Histogram<u64>, bytes: u64) {
        #[cfg(feature = "bound-instruments")]
        if let Some(bound) = &self.bound {
            return bound
                .response_size
                .get_or_init(|| histogram.bind(self.labels.as_ref()))
                .record(bytes);
        }
        histogram.record(bytes, self.labels.as_ref());
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
