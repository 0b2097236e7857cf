//! Records exchanges with the instruments of a meter.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use opentelemetry::{
    Key,
    metrics::{HistogramBuilder, Meter, UpDownCounter},
};

use super::{
    Active, MetricsOptions,
    cached_series::Series,
    call_series::CallSeries,
    own_instruments::OwnInstruments,
    series_cache::{Found, SeriesCache},
};
use crate::{
    convention::{
        Facts,
        attribute_set::AttributeSet,
        emit,
        grpc::call_key::CallKey,
        instruments::{self, Instrument},
        rules::Rules,
        series_key,
    },
    exemplars::{Measure, Sampled},
};

pub(super) struct Recorder {
    /// Cached series are valid under these rules only.
    rules: Arc<Rules>,
    call_duration: Measure<f64>,
    duration: Measure<f64>,
    active_requests: UpDownCounter<i64>,
    body_sizes: Option<BodySizes>,
    own: OwnInstruments,
    active_series: SeriesCache,
    series: SeriesCache,
    calls: CallSeries,
    dropped: Vec<Key>,
    binds: bool,
}

struct BodySizes {
    request: Measure<u64>,
    response: Measure<u64>,
    /// The sum of all recorded request sizes.
    announced: AtomicU64,
}

/// The measurements of an exchange that has ended.
#[derive(Debug)]
pub(super) struct Measurements {
    pub(super) seconds: f64,
    pub(super) response_size: Option<u64>,
    /// The sampled span of the exchange, if exemplars are wanted.
    pub(super) sampled: Option<Sampled>,
    /// Seconds to the first byte of the response.
    pub(super) first_byte: Option<f64>,
}

impl BodySizes {
    /// Returns true if a size fits into the sum. Callers announce sizes without sending them, and the
    /// SDK's sum of a series would overflow: a panic in a debug build.
    fn fits(&self, bytes: u64) -> bool {
        let add = |sum: u64| sum.checked_add(bytes);
        self.announced.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }
}

impl Recorder {
    pub(super) fn new(options: &MetricsOptions, rules: &Arc<Rules>, meter: &Meter) -> Self {
        let side = rules.side();
        let given = options.exemplars.as_ref();
        let duration = |instrument: Instrument| {
            let boundaries = &options.duration_boundaries;
            let histogram = meter.f64_histogram(instrument.name);
            let histogram = described(histogram, &instrument, boundaries);
            Measure::new(instrument, boundaries, given, || histogram.build())
        };
        let body_size = |instrument: Instrument| {
            let boundaries = &options.body_size_boundaries;
            let histogram = meter.u64_histogram(instrument.name);
            let histogram = described(histogram, &instrument, boundaries);
            Measure::new(instrument, boundaries, given, || histogram.build())
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
                announced: AtomicU64::new(0),
            }),
            own: OwnInstruments::new(options, side, meter),
            active_series: SeriesCache::new(options.series_limit),
            series: SeriesCache::new(options.series_limit),
            calls: CallSeries::new(options.series_limit),
            rules: Arc::clone(rules),
            dropped: options.dropped.clone(),
            binds: options.binds,
        }
    }

    /// Returns true if exemplars are collected.
    #[inline]
    pub(super) fn has_exemplars(&self) -> bool {
        self.duration.exemplars.is_some()
    }

    /// Counts an exchange as active. gRPC has no such metric.
    pub(super) fn begin(&self, rules: &Arc<Rules>, facts: &Facts) -> Option<Active> {
        (!facts.is_certain_call()).then(|| self.add_active(rules, facts, 1, None))
    }

    /// Counts an exchange as no longer active. `active` is what `begin` returned.
    pub(super) fn end(&self, rules: &Arc<Rules>, facts: &Facts, active: Active) {
        self.add_active(rules, facts, -1, Some(active));
    }

    fn add_active(
        &self,
        rules: &Arc<Rules>,
        facts: &Facts,
        change: i64,
        counted: Option<Active>,
    ) -> Active {
        let key = self.cacheable(rules, series_key::of_active(rules, facts));
        let was_reduced = counted.is_some_and(|active| active.is_reduced);
        let known = key.as_ref().filter(|_| !was_reduced);
        if let Some(series) = known.and_then(|key| self.active_series.get(key)) {
            series.add_active(&self.active_requests, change);
            return Active { is_reduced: false };
        }
        let labels =
            |is_reduced| self.without_dropped(emit::active_labels(rules, facts, is_reduced));
        let found = match &key {
            Some(key) if was_reduced => self.active_series.reduced(key, labels),
            Some(key) if counted.is_none() => self.active_series.insert(key, self.binds, labels),
            // The exact labels were counted, so the same ones are subtracted.
            _ => Found { series: None, is_reduced: false },
        };
        match found.series {
            Some(series) => series.add_active(&self.active_requests, change),
            None => self.active_requests.add(change, &labels(found.is_reduced)),
        }
        Active { is_reduced: found.is_reduced }
    }

    /// Records an exchange that has ended.
    pub(super) fn record(&self, rules: &Arc<Rules>, facts: &Facts, measured: &Measurements) {
        if facts.is_call() {
            return self.record_call(rules, facts, measured);
        }
        let labels = |is_reduced| self.without_dropped(emit::end_labels(rules, facts, is_reduced));
        let key = self.cacheable(rules, series_key::of_end(rules, facts));
        let cached = key.as_ref().and_then(|key| self.series.get(key));
        let found = match &key {
            Some(key) if cached.is_none() => self.series.insert(key, self.binds, labels),
            _ => Found { series: cached, is_reduced: false },
        };
        let own_labels;
        let series = match found.series.filter(|_| !facts.has_own_labels()) {
            Some(series) => Series::Cached(series),
            None => {
                own_labels = labels(found.is_reduced);
                Series::Uncached(&own_labels)
            }
        };
        self.record_series(series, measured, facts.request_body_size());
    }

    fn record_call(&self, rules: &Arc<Rules>, facts: &Facts, measured: &Measurements) {
        let labels = || self.without_dropped(emit::end_labels(rules, facts, false));
        let key = CallKey::of(rules, facts).filter(|_| !facts.has_own_labels());
        let key = self.cacheable(rules, key);
        let cached = key.and_then(|key| self.calls.get_or_insert(&key, labels));
        match cached {
            Some(series) => self.record_call_series(Series::Cached(series), facts, measured),
            None => self.record_call_series(Series::Uncached(&labels()), facts, measured),
        }
    }

    fn record_call_series(&self, series: Series<'_>, facts: &Facts, measured: &Measurements) {
        series.record_duration(&self.call_duration, measured.seconds);
        let sizes = (facts.counted_request_body(), measured.response_size);
        self.own.record_call(measured.first_byte, sizes, series.labels());
        if let Some(sampled) = &measured.sampled {
            series.offer_duration(&self.call_duration, measured.seconds, sampled);
        }
    }

    #[inline]
    fn record_series(
        &self,
        series: Series<'_>,
        measured: &Measurements,
        request_size: Option<u64>,
    ) {
        series.record_duration(&self.duration, measured.seconds);
        self.own.record(measured.first_byte, series.labels());
        let sizes = self.body_sizes.as_ref();
        let request_size = request_size.filter(|bytes| sizes.is_some_and(|s| s.fits(*bytes)));
        if let Some(sizes) = sizes {
            if let Some(bytes) = request_size {
                series.record_request_size(&sizes.request, bytes);
            }
            if let Some(bytes) = measured.response_size {
                series.record_response_size(&sizes.response, bytes);
            }
        }
        if let Some(sampled) = &measured.sampled {
            self.offer(series, measured, request_size, sampled);
        }
    }

    /// Offers exemplars of what was recorded.
    #[inline(never)]
    fn offer(
        &self,
        series: Series<'_>,
        measured: &Measurements,
        request_size: Option<u64>,
        sampled: &Sampled,
    ) {
        series.offer_duration(&self.duration, measured.seconds, sampled);
        let Some(sizes) = &self.body_sizes else { return };
        if let Some(bytes) = request_size {
            series.offer_request_size(&sizes.request, bytes, sampled);
        }
        if let Some(bytes) = measured.response_size {
            series.offer_response_size(&sizes.response, bytes, sampled);
        }
    }

    /// Returns the key if the cache is valid for it.
    fn cacheable<K>(&self, rules: &Arc<Rules>, key: Option<K>) -> Option<K> {
        key.filter(|_| Arc::ptr_eq(rules, &self.rules))
    }

    fn without_dropped(&self, mut labels: AttributeSet) -> AttributeSet {
        if !self.dropped.is_empty() {
            labels.retain(|label| !self.dropped.contains(&label.key));
        }
        labels
    }
}

pub(super) fn described<'a, T>(
    histogram: HistogramBuilder<'a, T>,
    instrument: &Instrument,
    boundaries: &[f64],
) -> HistogramBuilder<'a, T> {
    histogram
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_boundaries(boundaries.to_vec())
}
