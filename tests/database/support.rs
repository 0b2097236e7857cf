//! An SDK in memory, and what it recorded as text.

use opentelemetry::{
    Value,
    trace::{SpanKind, Status},
};
use opentelemetry_sdk::{
    metrics::{
        InMemoryMetricExporter, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData, ResourceMetrics},
    },
    trace::{InMemorySpanExporter, SdkTracerProvider, SpanData},
};
use tower_telemetry::database::Database;

pub(crate) struct Telemetry {
    spans: InMemorySpanExporter,
    metrics: InMemoryMetricExporter,
    pub(crate) tracers: SdkTracerProvider,
    pub(crate) meters: SdkMeterProvider,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        let spans = InMemorySpanExporter::default();
        let metrics = InMemoryMetricExporter::default();
        Self {
            tracers: SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build(),
            meters: SdkMeterProvider::builder().with_periodic_exporter(metrics.clone()).build(),
            spans,
            metrics,
        }
    }

    pub(crate) fn database(&self, system: &'static str) -> Database {
        Database::new(system).with_tracer_provider(&self.tracers).with_meter_provider(&self.meters)
    }

    /// The spans that have ended since the last call.
    pub(crate) fn spans(&self) -> Vec<SpanData> {
        let spans = self.spans.get_finished_spans().unwrap();
        self.spans.reset();
        spans
    }

    /// The spans as lines: `name kind status attributes`.
    pub(crate) fn span_lines(&self) -> Vec<String> {
        self.spans().iter().map(line).collect()
    }

    /// Each series of the duration: `attributes` and its count.
    pub(crate) fn durations(&self) -> Vec<(String, u64)> {
        let mut series: Vec<_> =
            self.histogram().into_iter().map(|(labels, count, _)| (labels, count)).collect();
        series.sort();
        series
    }

    pub(crate) fn collect(&self) -> Vec<ResourceMetrics> {
        self.metrics.reset();
        self.meters.force_flush().unwrap();
        self.metrics.get_finished_metrics().unwrap()
    }

    /// Each series of the duration: attributes, count, and sum.
    pub(crate) fn histogram(&self) -> Vec<(String, u64, f64)> {
        let mut series = Vec::new();
        for resource in self.collect() {
            let metrics = resource.scope_metrics().flat_map(|scope| scope.metrics());
            // Pools have metrics of their own, and so does the SDK where the provider is the global one.
            for metric in metrics.filter(|m| m.name() == "db.client.operation.duration") {
                assert_eq!(metric.unit(), "s");
                let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else {
                    panic!("{metric:?}")
                };
                for point in histogram.data_points() {
                    let bounds: Vec<_> = point.bounds().collect();
                    assert_eq!(bounds, [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]);
                    let labels =
                        point.attributes().map(|a| format!("{}={}", a.key, text(&a.value)));
                    series.push((sorted(labels), point.count(), point.sum()));
                }
            }
        }
        series
    }
}

fn line(span: &SpanData) -> String {
    let kind = match span.span_kind {
        SpanKind::Client => "",
        SpanKind::Internal => " (internal)",
        ref kind => panic!("{kind:?}"),
    };
    let status = match &span.status {
        Status::Unset => "unset",
        Status::Error { description } if description.is_empty() => "error",
        status => panic!("{status:?}"),
    };
    let attributes = span.attributes.iter().map(|a| format!("{}={}", a.key, text(&a.value)));
    format!("{}{kind} | {status} | {}", span.name, sorted(attributes))
}

fn text(value: &Value) -> String {
    value.to_string()
}

fn sorted(texts: impl Iterator<Item = String>) -> String {
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    texts.join(", ")
}
