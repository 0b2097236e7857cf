//! Puts exemplars on the data points of an OTLP request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{InstrumentationScope, KeyValue as ProtoKeyValue, any_value},
    metrics::v1::{
        Exemplar as ProtoExemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
        exemplar, metric::Data,
    },
};

use super::{
    Exemplars,
    matching::{Attribute, Exemplar, latest},
    snapshot::{Snapshot, StreamFacts},
};

/// Puts exemplars on the histograms of a request, in ascending order of their values.
///
/// Data points that have exemplars stay as they are: another SDK, or a later version, has its own.
pub(crate) fn annotate(exemplars: &Exemplars, request: &mut ExportMetricsServiceRequest) {
    let snapshot = exemplars.snapshot();
    let resources = &mut request.resource_metrics;
    for scope in resources.iter_mut().flat_map(|resource| &mut resource.scope_metrics) {
        let Some(of) = &scope.scope else { continue };
        for metric in &mut scope.metrics {
            annotate_metric(&snapshot, of, metric);
        }
    }
}

fn annotate_metric(snapshot: &Snapshot, scope: &InstrumentationScope, metric: &mut Metric) {
    let Metric { name, description, unit, data, .. } = metric;
    let stream = StreamFacts {
        scope_name: &scope.name,
        scope_version: &scope.version,
        name,
        description,
        unit,
    };
    match data {
        Some(Data::Histogram(histogram)) => {
            annotate_points(snapshot, stream, &mut histogram.data_points);
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            annotate_points(snapshot, stream, &mut histogram.data_points);
        }
        _ => {}
    }
}

fn annotate_points(snapshot: &Snapshot, stream: StreamFacts<'_>, points: &mut [impl Point]) {
    let attributes = points.iter().flat_map(|point| point.attributes());
    let Some(matcher) = snapshot.of_stream(stream, attributes) else { return };
    for point in points.iter_mut().filter(|point| point.exemplars().is_empty()) {
        let attributes: Vec<_> = point.attributes().iter().collect();
        let (start, time) = point.window();
        let exemplars = matcher.of_point(&attributes, at(start), at(time));
        let chosen = point.choose(matcher.boundaries(), &exemplars);
        *point.exemplars_mut() = chosen.into_iter().map(to_proto).collect();
    }
}

/// A data point of a histogram.
trait Point {
    fn attributes(&self) -> &[ProtoKeyValue];

    /// Start and time, in nanoseconds since the Unix epoch.
    fn window(&self) -> (u64, u64);

    fn exemplars(&self) -> &[ProtoExemplar];

    fn exemplars_mut(&mut self) -> &mut Vec<ProtoExemplar>;

    /// Returns the exemplars to show, in ascending order. The boundaries are those of the instrument.
    fn choose<'e, 'a>(
        &self,
        boundaries: &[f64],
        exemplars: &'e [Exemplar<'a>],
    ) -> Vec<&'e Exemplar<'a>>;
}

impl Point for HistogramDataPoint {
    fn attributes(&self) -> &[ProtoKeyValue] {
        &self.attributes
    }

    fn window(&self) -> (u64, u64) {
        (self.start_time_unix_nano, self.time_unix_nano)
    }

    fn exemplars(&self) -> &[ProtoExemplar] {
        &self.exemplars
    }

    fn exemplars_mut(&mut self) -> &mut Vec<ProtoExemplar> {
        &mut self.exemplars
    }

    /// One for each bucket that has a measurement. The SDK may have taken the data a moment before it
    /// recorded the measurement of an exemplar.
    fn choose<'e, 'a>(&self, _: &[f64], exemplars: &'e [Exemplar<'a>]) -> Vec<&'e Exemplar<'a>> {
        let is_occupied = |bucket: usize| match self.bucket_counts.get(bucket) {
            Some(count) => *count > 0,
            // Without boundaries there is one bucket, whose count is left out.
            None => self.count > 0,
        };
        let buckets = intervals(&self.explicit_bounds).enumerate();
        let buckets = buckets.filter(|(bucket, _)| is_occupied(*bucket));
        buckets.filter_map(|(_, (above, up_to))| latest(exemplars, above, up_to)).collect()
    }
}

impl Point for ExponentialHistogramDataPoint {
    fn attributes(&self) -> &[ProtoKeyValue] {
        &self.attributes
    }

    fn window(&self) -> (u64, u64) {
        (self.start_time_unix_nano, self.time_unix_nano)
    }

    fn exemplars(&self) -> &[ProtoExemplar] {
        &self.exemplars
    }

    fn exemplars_mut(&mut self) -> &mut Vec<ProtoExemplar> {
        &mut self.exemplars
    }

    /// One for each bucket of the instrument's own boundaries: the exponential ones may be 160.
    fn choose<'e, 'a>(
        &self,
        boundaries: &[f64],
        exemplars: &'e [Exemplar<'a>],
    ) -> Vec<&'e Exemplar<'a>> {
        let is_recorded = |exemplar: &&Exemplar<'_>| {
            self.min.is_none_or(|min| exemplar.value >= min)
                && self.max.is_none_or(|max| exemplar.value <= max)
        };
        let latest = |(above, up_to)| latest(exemplars, above, up_to);
        intervals(boundaries).filter_map(latest).filter(is_recorded).collect()
    }
}

/// Returns the buckets between boundaries, including the first and the last one.
fn intervals(boundaries: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    let lower = [f64::NEG_INFINITY].into_iter().chain(boundaries.iter().copied());
    lower.zip(boundaries.iter().copied().chain([f64::INFINITY]))
}

fn to_proto(exemplar: &Exemplar<'_>) -> ProtoExemplar {
    ProtoExemplar {
        filtered_attributes: exemplar.filtered.iter().map(Into::into).collect(),
        time_unix_nano: exemplar.time,
        span_id: exemplar.span_id.to_bytes().to_vec(),
        trace_id: exemplar.trace_id.to_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(exemplar.value)),
    }
}

fn at(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

impl Attribute for ProtoKeyValue {
    fn of(label: &KeyValue) -> Self {
        label.into()
    }

    fn key(&self) -> &str {
        &self.key
    }

    fn text(&self) -> &str {
        match self.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(any_value::Value::StringValue(text)) => text,
            _ => "",
        }
    }
}
