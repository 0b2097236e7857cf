//! The data points of the SDK, whatever their number type.

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};

/// Visits the data points of a metric.
pub(crate) fn visit(metric: &Metric, mut visit: impl FnMut(&[&KeyValue], Point)) {
    match metric.data() {
        AggregatedMetrics::F64(data) => points(data, &mut visit),
        AggregatedMetrics::U64(data) => points(data, &mut visit),
        AggregatedMetrics::I64(data) => points(data, &mut visit),
    }
}

/// A data point.
pub(crate) enum Point {
    Value(f64),
    Histogram {
        count: u64,
        sum: f64,
        bounds: Vec<f64>,
        counts: Vec<u64>,
        range: (Option<f64>, Option<f64>),
    },
}

fn points<T: Number>(data: &MetricData<T>, visit: &mut impl FnMut(&[&KeyValue], Point)) {
    match data {
        MetricData::Sum(sum) => sum.data_points().for_each(|point| {
            visit(&Vec::from_iter(point.attributes()), Point::Value(point.value().as_f64()));
        }),
        MetricData::Gauge(gauge) => gauge.data_points().for_each(|point| {
            visit(&Vec::from_iter(point.attributes()), Point::Value(point.value().as_f64()));
        }),
        MetricData::Histogram(histogram) => histogram.data_points().for_each(|point| {
            let range = (point.min().map(Number::as_f64), point.max().map(Number::as_f64));
            let point_data = Point::Histogram {
                count: point.count(),
                sum: point.sum().as_f64(),
                bounds: point.bounds().collect(),
                counts: point.bucket_counts().collect(),
                range,
            };
            visit(&Vec::from_iter(point.attributes()), point_data);
        }),
        // Its buckets have no boundaries in common with others.
        MetricData::ExponentialHistogram(histogram) => histogram.data_points().for_each(|point| {
            let point_data = Point::Histogram {
                count: point.count() as u64,
                sum: point.sum().as_f64(),
                bounds: Vec::new(),
                counts: Vec::new(),
                range: (None, None),
            };
            visit(&Vec::from_iter(point.attributes()), point_data);
        }),
    }
}

/// A number type of instruments.
trait Number: Copy {
    fn as_f64(self) -> f64;
}

impl Number for f64 {
    fn as_f64(self) -> f64 {
        self
    }
}

impl Number for u64 {
    fn as_f64(self) -> f64 {
        self as f64
    }
}

impl Number for i64 {
    fn as_f64(self) -> f64 {
        self as f64
    }
}
