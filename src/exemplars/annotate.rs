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
    let points: Vec<Point<'_>> = match data {
        Some(Data::Histogram(histogram)) => {
            histogram.data_points.iter_mut().map(Point::explicit).collect()
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            histogram.data_points.iter_mut().map(Point::exponential).collect()
        }
        _ => return,
    };
    let attributes = points.iter().flat_map(|point| point.attributes);
    let Some(matcher) = snapshot.of_stream(stream, attributes) else { return };
    for point in points.into_iter().filter(|point| point.exemplars.is_empty()) {
        let attributes: Vec<_> = point.attributes.iter().collect();
        let exemplars = matcher.of_point(&attributes, at(point.start), at(point.time));
        let chosen = point.buckets.choose(matcher.boundaries(), &exemplars);
        *point.exemplars = chosen.into_iter().map(to_proto).collect();
    }
}

/// A data point of a histogram. Its times are nanoseconds since the Unix epoch.
struct Point<'p> {
    attributes: &'p [ProtoKeyValue],
    start: u64,
    time: u64,
    buckets: Buckets<'p>,
    exemplars: &'p mut Vec<ProtoExemplar>,
}

/// The buckets of a data point.
enum Buckets<'p> {
    Explicit {
        boundaries: &'p [f64],
        counts: &'p [u64],
        count: u64,
    },
    /// With the least and the greatest value, if they are recorded.
    Exponential {
        min: Option<f64>,
        max: Option<f64>,
    },
}

impl<'p> Point<'p> {
    fn explicit(point: &'p mut HistogramDataPoint) -> Self {
        Self {
            attributes: &point.attributes,
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
            buckets: Buckets::Explicit {
                boundaries: &point.explicit_bounds,
                counts: &point.bucket_counts,
                count: point.count,
            },
            exemplars: &mut point.exemplars,
        }
    }

    fn exponential(point: &'p mut ExponentialHistogramDataPoint) -> Self {
        Self {
            buckets: Buckets::Exponential { min: point.min, max: point.max },
            attributes: &point.attributes,
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
            exemplars: &mut point.exemplars,
        }
    }
}

impl Buckets<'_> {
    /// Returns the exemplars to show, in ascending order: one for each bucket that has a measurement.
    ///
    /// The SDK may have taken the data a moment before it recorded the measurement of an exemplar. An
    /// exponential histogram may have 160 buckets, so those of the instrument count, whose boundaries
    /// are given.
    fn choose<'e, 'a>(
        &self,
        instrument: &[f64],
        exemplars: &'e [Exemplar<'a>],
    ) -> Vec<&'e Exemplar<'a>> {
        match *self {
            Self::Explicit { boundaries, counts, count } => {
                // Without boundaries there is one bucket, whose count is left out.
                let is_occupied = |bucket: usize| *counts.get(bucket).unwrap_or(&count) > 0;
                let buckets = intervals(boundaries).enumerate();
                let buckets = buckets.filter(|(bucket, _)| is_occupied(*bucket));
                buckets.filter_map(|(_, (above, up_to))| latest(exemplars, above, up_to)).collect()
            }
            Self::Exponential { min, max } => {
                let is_recorded = |exemplar: &&Exemplar<'_>| {
                    min.is_none_or(|min| exemplar.value >= min)
                        && max.is_none_or(|max| exemplar.value <= max)
                };
                let latest = |(above, up_to)| latest(exemplars, above, up_to);
                intervals(instrument).filter_map(latest).filter(is_recorded).collect()
            }
        }
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
