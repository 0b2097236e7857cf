//! A series: its attributes, its exemplars and, if asked for, the instruments bound to them.

use std::sync::Arc;
#[cfg(feature = "bound-instruments")]
use std::sync::OnceLock;

#[cfg(feature = "bound-instruments")]
use opentelemetry::metrics::{BoundHistogram, BoundUpDownCounter};
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, UpDownCounter},
};

use crate::exemplars::{Measure, Sampled, SeriesExemplars};

/// A cached series.
#[derive(Debug)]
pub(super) struct CachedSeries {
    labels: Arc<[KeyValue]>,
    duration: Cached<f64>,
    request_size: Cached<u64>,
    response_size: Cached<u64>,
    #[cfg(feature = "bound-instruments")]
    active: OnceLock<BoundUpDownCounter<i64>>,
    #[cfg(feature = "bound-instruments")]
    binds: bool,
}

/// A cached series of one histogram.
#[derive(Debug)]
struct Cached<T> {
    exemplars: SeriesExemplars,
    /// Bound when it first records, because the SDK exports a bound instrument even if it has recorded
    /// nothing.
    #[cfg(feature = "bound-instruments")]
    bound: OnceLock<BoundHistogram<T>>,
    #[cfg(not(feature = "bound-instruments"))]
    bound: std::marker::PhantomData<T>,
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
            duration: Cached::default(),
            request_size: Cached::default(),
            response_size: Cached::default(),
            #[cfg(feature = "bound-instruments")]
            active: OnceLock::new(),
            #[cfg(feature = "bound-instruments")]
            binds: binds && number < MAX_BOUND,
        }
    }

    pub(super) fn add_active(&self, counter: &UpDownCounter<i64>, change: i64) {
        #[cfg(feature = "bound-instruments")]
        if self.binds {
            return self.active.get_or_init(|| counter.bind(&self.labels)).add(change);
        }
        counter.add(change, &self.labels);
    }

    #[inline]
    #[cfg_attr(
        not(feature = "bound-instruments"),
        expect(unused_variables, reason = "nothing is bound without the feature")
    )]
    fn record<T>(&self, histogram: &Histogram<T>, cached: &Cached<T>, value: T) {
        #[cfg(feature = "bound-instruments")]
        if self.binds {
            let bind = || histogram.bind(&self.labels);
            return cached.bound.get_or_init(bind).record(value);
        }
        histogram.record(value, &self.labels);
    }
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { exemplars: SeriesExemplars::default(), bound: Default::default() }
    }
}

/// A series to record to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Series<'a> {
    Cached(&'a CachedSeries),
    Uncached(&'a [KeyValue]),
}

impl Series<'_> {
    #[inline]
    pub(super) fn record_duration(self, duration: &Measure<f64>, seconds: f64) {
        match self {
            Self::Cached(series) => series.record(&duration.histogram, &series.duration, seconds),
            Self::Uncached(labels) => duration.histogram.record(seconds, labels),
        }
    }

    /// Returns the attributes of the series.
    pub(super) fn labels(&self) -> &[KeyValue] {
        match self {
            Self::Cached(series) => &series.labels,
            Self::Uncached(labels) => labels,
        }
    }

    #[inline]
    pub(super) fn record_request_size(self, size: &Measure<u64>, bytes: u64) {
        match self {
            Self::Cached(series) => series.record(&size.histogram, &series.request_size, bytes),
            Self::Uncached(labels) => size.histogram.record(bytes, labels),
        }
    }

    #[inline]
    pub(super) fn record_response_size(self, size: &Measure<u64>, bytes: u64) {
        match self {
            Self::Cached(series) => series.record(&size.histogram, &series.response_size, bytes),
            Self::Uncached(labels) => size.histogram.record(bytes, labels),
        }
    }

    #[inline]
    pub(super) fn offer_duration(self, duration: &Measure<f64>, seconds: f64, sampled: &Sampled) {
        self.offer(duration, |series| &series.duration.exemplars, seconds, sampled);
    }

    #[inline]
    pub(super) fn offer_request_size(self, size: &Measure<u64>, bytes: u64, sampled: &Sampled) {
        self.offer(size, |series| &series.request_size.exemplars, bytes as f64, sampled);
    }

    #[inline]
    pub(super) fn offer_response_size(self, size: &Measure<u64>, bytes: u64, sampled: &Sampled) {
        self.offer(size, |series| &series.response_size.exemplars, bytes as f64, sampled);
    }

    #[inline]
    fn offer<T>(
        self,
        measure: &Measure<T>,
        exemplars: impl FnOnce(&CachedSeries) -> &SeriesExemplars,
        value: f64,
        sampled: &Sampled,
    ) {
        let Some(instrument) = &measure.exemplars else { return };
        match self {
            Self::Cached(series) => {
                exemplars(series).offer(instrument, &series.labels, value, sampled);
            }
            Self::Uncached(labels) => instrument.offer_uncached(labels, value, sampled),
        }
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
        let is_bound = |number, binds| CachedSeries::new(&[], number, binds).binds;
        assert!(is_bound(0, true) && is_bound(MAX_BOUND - 1, true));
        assert!(!is_bound(MAX_BOUND, true) && !is_bound(0, false));
    }
}
