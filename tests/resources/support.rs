//! An SDK with a manual flush, and what it collected as lines of text.

use std::collections::BTreeMap;

use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, SdkMeterProvider,
    data::{AggregatedMetrics, MetricData, ResourceMetrics},
};

/// Held to read by tests that open many files or threads, and to write by those that count them.
pub(crate) static QUIET: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

pub(crate) struct Metrics {
    exporter: InMemoryMetricExporter,
    pub(crate) provider: SdkMeterProvider,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
        Self { exporter, provider }
    }

    /// Collects once, and returns each point: `name{attributes} kind unit` to its value, for a
    /// histogram its count.
    pub(crate) fn collect(&self) -> BTreeMap<String, f64> {
        points(&self.finished())
    }

    /// Collects once.
    pub(crate) fn finished(&self) -> Vec<ResourceMetrics> {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        self.exporter.get_finished_metrics().unwrap()
    }

    /// Collects once, and returns the sum of all measurements of a histogram in seconds.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let finished = self.finished();
        let metrics = finished.iter().flat_map(|r| r.scope_metrics()).flat_map(|s| s.metrics());
        let sums =
            metrics.filter(|metric| metric.name() == name).map(|metric| match metric.data() {
                AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                    histogram.data_points().map(|point| point.sum()).sum::<f64>()
                }
                other => panic!("{other:?}"),
            });
        sums.sum()
    }

    /// The same as `collect`, without kinds and units.
    pub(crate) fn values(&self) -> BTreeMap<String, f64> {
        let short = |line: String| line.split(' ').next().unwrap().to_owned();
        self.collect().into_iter().map(|(line, value)| (short(line), value)).collect()
    }
}

pub(crate) fn points(finished: &[ResourceMetrics]) -> BTreeMap<String, f64> {
    let mut lines = BTreeMap::new();
    for metric in finished.iter().flat_map(|r| r.scope_metrics()).flat_map(|s| s.metrics()) {
        for (attributes, kind, value) in data(metric.data()) {
            let line = format!("{}{{{attributes}}} {kind} {}", metric.name(), metric.unit());
            assert!(lines.insert(line.clone(), value).is_none(), "{line} twice");
        }
    }
    lines
}

fn data(data: &AggregatedMetrics) -> Vec<(String, &'static str, f64)> {
    match data {
        AggregatedMetrics::F64(data) => of_type(data, |n| n),
        AggregatedMetrics::I64(data) => of_type(data, |n| n as f64),
        AggregatedMetrics::U64(data) => of_type(data, |n| n as f64),
    }
}

fn of_type<N: Copy>(
    data: &MetricData<N>,
    number: impl Fn(N) -> f64,
) -> Vec<(String, &'static str, f64)> {
    match data {
        MetricData::Sum(sum) => {
            let kind = if sum.is_monotonic() { "counter" } else { "up-down" };
            let points = sum.data_points();
            points.map(|p| (text(p.attributes()), kind, number(p.value()))).collect()
        }
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points();
            points.map(|p| (text(p.attributes()), "gauge", number(p.value()))).collect()
        }
        MetricData::Histogram(histogram) => {
            let points = histogram.data_points();
            points.map(|p| (text(p.attributes()), "histogram", p.count() as f64)).collect()
        }
        MetricData::ExponentialHistogram(_) => panic!("no view asks for it"),
    }
}

fn text<'a>(attributes: impl Iterator<Item = &'a opentelemetry::KeyValue>) -> String {
    let mut texts: Vec<_> = attributes.map(|a| format!("{}={}", a.key, a.value)).collect();
    texts.sort();
    texts.join(",")
}
