//! The instruments of a meter, and how exchanges are recorded with them.

use opentelemetry::{
    Key, KeyValue,
    metrics::{Histogram, HistogramBuilder, Meter, UpDownCounter},
};

use super::{Settings, kept::Kept, series::Table};
use crate::convention::{Convention, Facts, Identity, Instrument, LabelSet};

pub(super) struct Instruments {
    /// What is kept of a series holds for the convention that it was first recorded by.
    convention: Convention,
    call_duration: Histogram<f64>,
    duration: Histogram<f64>,
    active_requests: UpDownCounter<i64>,
    body_sizes: Option<BodySizes>,
    active_series: Table,
    series: Table,
    dropped: Vec<Key>,
    binds: bool,
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

struct BodySizes {
    request: Histogram<u64>,
    response: Histogram<u64>,
}

impl Instruments {
    pub(super) fn new(settings: &Settings, convention: &Convention, meter: &Meter) -> Self {
        let duration = |instrument: Instrument| {
            let histogram = meter.f64_histogram(instrument.name);
            described(histogram, &instrument, &settings.duration_boundaries).build()
        };
        let body_size = |instrument: Instrument| {
            let histogram = meter.u64_histogram(instrument.name);
            described(histogram, &instrument, &settings.body_size_boundaries).build()
        };
        let active = convention.active_requests();
        Self {
            call_duration: duration(convention.call_duration()),
            duration: duration(convention.duration()),
            active_requests: meter
                .i64_up_down_counter(active.name)
                .with_unit(active.unit)
                .with_description(active.description)
                .build(),
            body_sizes: settings.has_body_sizes.then(|| BodySizes {
                request: body_size(convention.request_body_size()),
                response: body_size(convention.response_body_size()),
            }),
            active_series: Table::default(),
            series: Table::default(),
            convention: convention.clone(),
            dropped: settings.dropped.clone(),
            binds: settings.binds,
        }
    }

    fn active_labels(&self, convention: &Convention, facts: &Facts) -> LabelSet {
        let mut labels = LabelSet::new();
        convention.push_active_labels(&mut labels, facts);
        self.drop_from(&mut labels);
        labels
    }

    fn end_labels(&self, convention: &Convention, facts: &Facts) -> LabelSet {
        let mut labels = LabelSet::new();
        convention.push_active_labels(&mut labels, facts);
        convention.push_end_labels(&mut labels, facts);
        self.drop_from(&mut labels);
        labels
    }

    fn drop_from(&self, labels: &mut LabelSet) {
        if !self.dropped.is_empty() {
            labels.retain(|label| !self.dropped.contains(&label.key));
        }
    }

    /// Counts an exchange as active from here on (1), or no longer (-1), where there is an instrument
    /// of that.
    pub(super) fn count_active(&self, convention: &Convention, facts: &Facts, change: i64) {
        if facts.is_call() {
            return;
        }
        let labels = || self.active_labels(convention, facts);
        let series = convention.active_series(facts);
        match self.known(&self.active_series, convention, series, labels) {
            Some(known) => known.count_active(&self.active_requests, change),
            None => self.active_requests.add(change, &labels()),
        }
    }

    /// Records how an exchange was, once it has ended.
    pub(super) fn record(
        &self,
        convention: &Convention,
        facts: &Facts,
        seconds: f64,
        sizes: (Option<u64>, Option<u64>),
    ) {
        let labels = || self.end_labels(convention, facts);
        if facts.is_call() {
            return self.call_duration.record(seconds, &labels());
        }
        match self.known(&self.series, convention, convention.end_series(facts), labels) {
            Some(known) => self.record_series(known, seconds, sizes),
            None => self.record_series(&Kept::new(labels(), 0, false), seconds, sizes),
        }
    }

    /// What is kept of a series, where anything is.
    fn known<'a>(
        &self,
        table: &'a Table,
        convention: &Convention,
        series: Option<Identity<&str>>,
        labels: impl FnOnce() -> LabelSet,
    ) -> Option<&'a Kept<Box<[KeyValue]>>> {
        let series = series.filter(|_| convention.is(&self.convention))?;
        let keep = |number| Kept::new(labels().into_boxed_slice(), number, self.binds);
        table.get_or_add(&series, keep)
    }

    fn record_series<L: AsRef<[KeyValue]>>(
        &self,
        series: &Kept<L>,
        seconds: f64,
        (request_size, response_size): (Option<u64>, Option<u64>),
    ) {
        series.record_duration(&self.duration, seconds);
        let Some(sizes) = &self.body_sizes else { return };
        if let Some(bytes) = request_size {
            series.record_request_size(&sizes.request, bytes);
        }
        if let Some(bytes) = response_size {
            series.record_response_size(&sizes.response, bytes);
        }
    }
}
