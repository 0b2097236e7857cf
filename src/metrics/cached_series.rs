//! A series: its attributes and, if asked for, the instruments bound to them.

#[cfg(feature = "bound-instruments")]
use std::sync::OnceLock;

#[cfg(feature = "bound-instruments")]
use opentelemetry::metrics::{BoundHistogram, BoundUpDownCounter};
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, UpDownCounter},
};

/// A cached series.
#[derive(Debug)]
pub(super) struct CachedSeries {
    labels: Box<[KeyValue]>,
    #[cfg(feature = "bound-instruments")]
    bound: Option<Box<Bound>>,
}

/// Each instrument is bound when it first records, because the SDK exports a bound instrument even if
/// it has recorded nothing.
#[cfg(feature = "bound-instruments")]
#[derive(Debug, Default)]
struct Bound {
    active: OnceLock<BoundUpDownCounter<i64>>,
    duration: OnceLock<BoundHistogram<f64>>,
    request_size: OnceLock<BoundHistogram<u64>>,
    response_size: OnceLock<BoundHistogram<u64>>,
}

impl CachedSeries {
    /// Creates the series with this number. Only the first [`MAX_BOUND`] series are bound.
    #[cfg_attr(
        not(feature = "bound-instruments"),
        expect(unused_variables, reason = "nothing is bound without the feature")
    )]
    pub(super) fn new(labels: &[KeyValue], number: usize, binds: bool) -> Self {
        Self {
            labels: labels.into(),
            #[cfg(feature = "bound-instruments")]
            bound: (binds && number < MAX_BOUND).then(Box::default),
        }
    }

    pub(super) fn series(&self) -> Series<'_> {
        Series {
            labels: &self.labels,
            #[cfg(feature = "bound-instruments")]
            bound: self.bound.as_deref(),
        }
    }
}

/// A series to record to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series<'a> {
    labels: &'a [KeyValue],
    #[cfg(feature = "bound-instruments")]
    bound: Option<&'a Bound>,
}

impl<'a> Series<'a> {
    /// Creates a series that is not cached.
    pub(super) fn of(labels: &'a [KeyValue]) -> Self {
        Self {
            labels,
            #[cfg(feature = "bound-instruments")]
            bound: None,
        }
    }

    pub(super) fn add_active(self, counter: &UpDownCounter<i64>, change: i64) {
        #[cfg(feature = "bound-instruments")]
        if let Some(bound) = self.bound {
            return bound.active.get_or_init(|| counter.bind(self.labels)).add(change);
        }
        counter.add(change, self.labels);
    }

    pub(super) fn record_duration(self, histogram: &Histogram<f64>, seconds: f64) {
        #[cfg(feature = "bound-instruments")]
        if let Some(bound) = self.bound {
            return bound.duration.get_or_init(|| histogram.bind(self.labels)).record(seconds);
        }
        histogram.record(seconds, self.labels);
    }

    pub(super) fn record_request_size(self, histogram: &Histogram<u64>, bytes: u64) {
        #[cfg(feature = "bound-instruments")]
        if let Some(bound) = self.bound {
            return bound.request_size.get_or_init(|| histogram.bind(self.labels)).record(bytes);
        }
        histogram.record(bytes, self.labels);
    }

    pub(super) fn record_response_size(self, histogram: &Histogram<u64>, bytes: u64) {
        #[cfg(feature = "bound-instruments")]
        if let Some(bound) = self.bound {
            return bound.response_size.get_or_init(|| histogram.bind(self.labels)).record(bytes);
        }
        histogram.record(bytes, self.labels);
    }
}

/// Half of the SDK's default limit of series per metric. The SDK never evicts a bound series, so room
/// has to stay for the others.
#[cfg(feature = "bound-instruments")]
const MAX_BOUND: usize = 1000;

#[cfg(all(test, feature = "bound-instruments"))]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_bound_series_is_limited() {
        let is_bound = |number, binds| CachedSeries::new(&[], number, binds).bound.is_some();
        assert!(is_bound(0, true) && is_bound(MAX_BOUND - 1, true));
        assert!(!is_bound(MAX_BOUND, true) && !is_bound(0, false));
    }
}
