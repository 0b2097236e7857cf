//! Records exchanges with the instruments of a meter.

use std::sync::Arc;

use opentelemetry::{
    Key,
    metrics::{Histogram, HistogramBuilder, Meter, UpDownCounter},
};

use super::{
    MetricsOptions,
    cached_series::{CachedSeries, Series},
    series_cache::SeriesCache,
};
use crate::convention::{
    Facts,
    attribute_set::AttributeSet,
    emit,
    instruments::{self, Instrument},
    rules::Rules,
    series_key::{self, SeriesKey},
};

pub(super) struct Recorder {
    /// Cached series are valid under these rules only.
    rules: Arc<Rules>,
    call_duration: Histogram<f64>,
    duration: Histogram<f64>,
    active_requests: UpDownCounter<i64>,
    body_sizes: Option<BodySizes>,
    active_series: SeriesCache,
    series: SeriesCache,
    dropped: Vec<Key>,
    binds: bool,
}

struct BodySizes {
    request: Histogram<u64>,
    response: Histogram<u64>,
}

impl Recorder {
    pub(super) fn new(options: &MetricsOptions, rules: &Arc<Rules>, meter: &Meter) -> Self {
        let side = rules.side();
        let duration = |instrument: Instrument| {
            let histogram = meter.f64_histogram(instrument.name);
            described(histogram, &instrument, &options.duration_boundaries).build()
        };
        let body_size = |instrument: Instrument| {
            let histogram = meter.u64_histogram(instrument.name);
            described(histogram, &instrument, &options.body_size_boundaries).build()
        };
        let active = instruments::active_requests(side);
        Self {
            call_duration: duration(instruments::call_duration(side)),
            duration: duration(instruments::duration(side)),
            active_requests: meter
                .i64_up_down_counter(active.name)
                .with_unit(active.unit)
                .with_description(active.description)
                .build(),
            body_sizes: options.has_body_sizes.then(|| BodySizes {
                request: body_size(instruments::request_body_size(side)),
                response: body_size(instruments::response_body_size(side)),
            }),
            active_series: SeriesCache::default(),
            series: SeriesCache::default(),
            rules: Arc::clone(rules),
            dropped: options.dropped.clone(),
            binds: options.binds,
        }
    }

    /// Adds `change` to the active requests. gRPC has no such metric.
    pub(super) fn add_active(&self, rules: &Arc<Rules>, facts: &Facts, change: i64) {
        if facts.is_call() {
            return;
        }
        let labels = || self.without_dropped(emit::active_labels(rules, facts));
        let key = series_key::of_active(rules, facts);
        match self.cached(&self.active_series, rules, key, labels) {
            Some(series) => series.add_active(&self.active_requests, change),
            None => Series::of(&labels()).add_active(&self.active_requests, change),
        }
    }

    /// Records the duration of an exchange that has ended, and its body sizes.
    pub(super) fn record(
        &self,
        rules: &Arc<Rules>,
        facts: &Facts,
        seconds: f64,
        response_size: Option<u64>,
    ) {
        let labels = || self.without_dropped(emit::end_labels(rules, facts));
        if facts.is_call() {
            return Series::of(&labels()).record_duration(&self.call_duration, seconds);
        }
        let request_size = facts.request_body_size();
        let record = |series: Series<'_>| {
            series.record_duration(&self.duration, seconds);
            let Some(sizes) = &self.body_sizes else { return };
            if let Some(bytes) = request_size {
                series.record_request_size(&sizes.request, bytes);
            }
            if let Some(bytes) = response_size {
                series.record_response_size(&sizes.response, bytes);
            }
        };
        match self.cached(&self.series, rules, series_key::of_end(rules, facts), labels) {
            Some(series) => record(series),
            None => record(Series::of(&labels())),
        }
    }

    /// Returns the cached series of a key. `None` without a key, or if the cache is full.
    fn cached<'a>(
        &self,
        cache: &'a SeriesCache,
        rules: &Arc<Rules>,
        key: Option<SeriesKey<&str>>,
        labels: impl FnOnce() -> AttributeSet,
    ) -> Option<Series<'a>> {
        let key = key.filter(|_| Arc::ptr_eq(rules, &self.rules))?;
        let make = |number| CachedSeries::new(&labels(), number, self.binds);
        cache.get_or_insert(&key, make).map(CachedSeries::series)
    }

    fn without_dropped(&self, mut labels: AttributeSet) -> AttributeSet {
        if !self.dropped.is_empty() {
            labels.retain(|label| !self.dropped.contains(&label.key));
        }
        labels
    }
}

fn described<'a, T>(
    histogram: HistogramBuilder<'a, T>,
    instrument: &Instrument,
    boundaries: &[f64],
) -> HistogramBuilder<'a, T> {
    histogram
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_boundaries(boundaries.to_vec())
}
