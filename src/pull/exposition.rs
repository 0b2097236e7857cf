//! Both formats, from one walk over the SDK's data.

use std::{fmt::Write, io, ops::Range, time::SystemTime};

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};

use super::{
    buckets::{Buckets, Grid},
    compression::Body,
    constants::Constant,
    exemplar_line,
    families::{self, Family},
    label_writer::LabelWriter,
    metadata::{header, is_free, target_info},
    metric_name::Kind,
    number::{self, Format, Number},
    reader::Settings,
    registry::Registry,
};
use crate::exemplars::{Exemplar, Exemplars, Snapshot};

/// Writes all metrics.
pub(super) fn write(
    metrics: &ResourceMetrics,
    settings: &Settings,
    registry: &mut Registry,
    format: Format,
    body: &mut Body,
) -> io::Result<()> {
    let (families, constants) = families::families(metrics, settings, registry);
    let mut labels = LabelWriter::new(settings.has_scope_labels);
    // The text format has no exemplars.
    let exemplars = settings.exemplars.as_ref().filter(|_| format == Format::OpenMetrics);
    let exemplars = exemplars.map(Exemplars::snapshot);
    let has_target_info = !metrics.resource().is_empty();
    if has_target_info {
        target_info(&mut body.text, &mut labels, metrics.resource(), format, registry);
    }
    for family in &families {
        let is_typed = family.kind != Kind::Counter
            || is_free(family.name.family(Kind::Counter), has_target_info, registry);
        header(&mut body.text, family, format, is_typed);
        let exemplars = exemplars.as_ref();
        let mut writer = Writer { family, format, is_typed, settings, exemplars, body: &mut *body };
        writer.series(&constants, &mut labels, registry)?;
    }
    if format == Format::OpenMetrics {
        body.text.push_str("# EOF\n");
    }
    Ok(())
}

/// Writes the series of one family.
struct Writer<'w, 'a> {
    family: &'w Family<'a>,
    format: Format,
    /// False for a counter that OpenMetrics cannot call a counter.
    is_typed: bool,
    settings: &'w Settings,
    exemplars: Option<&'w Snapshot>,
    body: &'w mut Body,
}

/// The value of a series.
#[derive(Clone, Copy)]
enum Point<'a> {
    Number(Number),
    Histogram(Histogram<'a>),
}

#[derive(Clone, Copy)]
struct Histogram<'a> {
    buckets: &'a dyn Buckets,
    /// Index of the boundaries that all series of an exponential histogram share.
    grid: Option<usize>,
    time: SystemTime,
}

/// A series of a family.
struct Series<'a> {
    /// Index of its stream in the family.
    stream: usize,
    /// Its labels, within one text for the family.
    labels: Range<usize>,
    point: Point<'a>,
    start_time: Option<SystemTime>,
}

impl<'a> Writer<'_, 'a> {
    fn series(
        &mut self,
        constants: &'a [Vec<Constant>],
        labels: &mut LabelWriter<'a>,
        registry: &mut Registry,
    ) -> io::Result<()> {
        let mut text = String::new();
        let mut grids = Vec::new();
        let mut all: Vec<Series<'a>> = Vec::new();
        let streams = &self.family.streams;
        let matcher = |stream| exemplar_line::of_stream(self.exemplars?, stream);
        let matchers: Vec<_> = streams.iter().map(matcher).collect();
        for (at, stream) in streams.iter().enumerate() {
            let constants = &constants[stream.constants];
            let add =
                &mut |attributes: &mut dyn Iterator<Item = &'a KeyValue>, point, start_time| {
                    let start = text.len();
                    let attributes = attributes.map(|attribute| (&attribute.key, &attribute.value));
                    labels.write(&mut text, attributes, constants);
                    all.push(Series { stream: at, labels: start..text.len(), point, start_time });
                };
            match stream.metric.data() {
                AggregatedMetrics::F64(data) => points(data, &mut grids, add),
                AggregatedMetrics::U64(data) => points(data, &mut grids, add),
                AggregatedMetrics::I64(data) => points(data, &mut grids, add),
            }
        }
        // Stable, so that of two equals the first is written.
        all.sort_by(|a, b| text[a.labels.clone()].cmp(&text[b.labels.clone()]));
        let mut previous = None;
        for series in all {
            let labels = &text[series.labels.clone()];
            if previous == Some(labels) {
                self.warn(registry, "has two series with the same labels: the second");
                continue;
            }
            previous = Some(labels);
            match series.point {
                Point::Number(number) => {
                    if self.family.kind == Kind::Counter && !number.is_cumulative() {
                        self.warn(registry, "is negative or not a number: such a series");
                        continue;
                    }
                    self.sample(&self.family.name.full, "", labels, number);
                }
                Point::Histogram(Histogram { buckets, grid, time }) => {
                    let exemplars = matchers[series.stream].as_ref().map(|matcher| {
                        let start = series.start_time.unwrap_or(SystemTime::UNIX_EPOCH);
                        matcher.of_point(&buckets.attributes(), start, time)
                    });
                    let grid = grid.and_then(|grid| grids.get(grid));
                    self.histogram(labels, buckets, grid, &exemplars.unwrap_or_default());
                }
            }
            self.created(labels, series.start_time);
            self.body.spill()?;
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        labels: &str,
        buckets: &dyn Buckets,
        grid: Option<&Grid>,
        exemplars: &[Exemplar<'_>],
    ) {
        let mut total = 0;
        let mut lower = f64::NEG_INFINITY;
        let mut bucket = |bound, count| {
            self.bucket(labels, bound, count);
            // The SDK may have taken the data a moment before it recorded an exemplar's measurement.
            if count > total {
                exemplar_line::write(exemplars, lower, bound, &mut self.body.text);
            }
            self.body.text.push('\n');
            (lower, total) = (bound, count);
        };
        let (mut is_positive, mut finite) = (true, 0);
        buckets.for_each(grid, &mut |bound, count| {
            is_positive &= bound >= 0.0;
            finite = count;
            bucket(bound, count);
        });
        let total = buckets.count().max(finite);
        bucket(f64::INFINITY, total);
        // A sum of negative values may decrease, which Prometheus would take for a restart.
        let has_sum = is_positive
            && buckets.sum().is_cumulative()
            && buckets.min().is_none_or(Number::is_cumulative);
        let name = &self.family.name.full;
        if has_sum {
            self.sample(name, "_sum", labels, buckets.sum());
        }
        // OpenMetrics wants both samples or neither.
        if has_sum || self.format == Format::Text {
            self.sample(name, "_count", labels, total.into());
        }
    }

    /// Writes the line of one bucket, up to its exemplar.
    fn bucket(&mut self, labels: &str, bound: f64, count: u64) {
        self.start(&self.family.name.full, "_bucket", labels, Some(bound));
        Number::from(count).write(self.format, &mut self.body.text);
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &str, value: Number) {
        self.start(name, suffix, labels, None);
        value.write(self.format, &mut self.body.text);
        self.body.text.push('\n');
    }

    /// Writes when a counter or a histogram began.
    fn created(&mut self, labels: &str, start_time: Option<SystemTime>) {
        let is_wanted = self.settings.has_created_series
            && self.format == Format::OpenMetrics
            && self.family.kind != Kind::Gauge
            && self.is_typed;
        if is_wanted
            && let Some(time) = start_time
            && let Ok(time) = time.duration_since(SystemTime::UNIX_EPOCH)
        {
            self.start(self.family.name.family(self.family.kind), "_created", labels, None);
            let (seconds, milliseconds) = (time.as_secs(), time.subsec_millis());
            let _ = writeln!(self.body.text, "{seconds}.{milliseconds:03}");
        }
    }

    /// Writes the name and the labels of a sample, up to its value.
    fn start(&mut self, name: &str, suffix: &str, labels: &str, bound: Option<f64>) {
        let out = &mut self.body.text;
        out.push_str(name);
        out.push_str(suffix);
        let mut separator = '{';
        if !labels.is_empty() {
            out.push(separator);
            out.push_str(labels);
            separator = ',';
        }
        if let Some(bound) = bound {
            out.push(separator);
            out.push_str("le=\"");
            number::float(bound, self.format, out);
            out.push('"');
            separator = ',';
        }
        if separator == ',' {
            out.push('}');
        }
        out.push(' ');
    }

    fn warn(&self, registry: &mut Registry, fault: &str) {
        let name = &self.family.name.full;
        registry.warn_once(format!("{name} {fault}"), || {
            format!("{name} {fault} is not exported to Prometheus")
        });
    }
}

/// Receives the attributes of a series, its value, and when it began.
type Add<'f, 'a> =
    dyn FnMut(&mut dyn Iterator<Item = &'a KeyValue>, Point<'a>, Option<SystemTime>) + 'f;

/// Visits all series of an instrument.
fn points<'a, T: Copy + Into<Number>>(
    data: &'a MetricData<T>,
    grids: &mut Vec<Grid>,
    add: &mut Add<'_, 'a>,
) {
    match data {
        MetricData::Gauge(gauge) => {
            for point in gauge.data_points() {
                add(&mut point.attributes(), Point::Number(point.value().into()), None);
            }
        }
        MetricData::Sum(sum) => {
            let start = Some(sum.start_time());
            for point in sum.data_points() {
                add(&mut point.attributes(), Point::Number(point.value().into()), start);
            }
        }
        MetricData::Histogram(histogram) => {
            let (start, time) = (Some(histogram.start_time()), histogram.time());
            for buckets in histogram.data_points() {
                let point = Point::Histogram(Histogram { buckets, grid: None, time });
                add(&mut buckets.attributes(), point, start);
            }
        }
        MetricData::ExponentialHistogram(histogram) => {
            let (start, time) = (Some(histogram.start_time()), histogram.time());
            let grid = Some(grids.len());
            grids.push(Grid::of(histogram));
            for buckets in histogram.data_points() {
                let point = Point::Histogram(Histogram { buckets, grid, time });
                add(&mut buckets.attributes(), point, start);
            }
        }
    }
}
