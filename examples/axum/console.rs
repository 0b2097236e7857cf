//! Telemetry for the eyes: a span a line, and a table of metrics.

use std::{fmt::Write, time::Duration};

use opentelemetry::{KeyValue, trace::Status};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        Temporality,
        data::{AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics},
        exporter::PushMetricExporter,
    },
    trace::{SpanData, SpanExporter},
};

#[derive(Debug)]
pub(crate) struct Console;

impl SpanExporter for Console {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        for span in batch {
            let took = span.end_time.duration_since(span.start_time).unwrap_or_default();
            let status = match &span.status {
                Status::Error { .. } => " ERROR",
                _ => "",
            };
            println!(
                "span   {:?} {:?} {took:.1?}{status}  trace={} span={} parent={}\n         {}",
                span.span_kind,
                span.name,
                span.span_context.trace_id(),
                span.span_context.span_id(),
                span.parent_span_id,
                pairs(span.attributes.iter()),
            );
            for event in span.events.iter() {
                println!("         event {:?} {}", event.name, pairs(event.attributes.iter()));
            }
        }
        Ok(())
    }
}

impl PushMetricExporter for Console {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let (name, unit) = (metric.name(), metric.unit());
            match metric.data() {
                AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                    for point in histogram.data_points() {
                        println!(
                            "metric {name} {} {}",
                            mean(point, unit),
                            pairs(point.attributes())
                        );
                    }
                }
                AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                    for point in sum.data_points() {
                        println!(
                            "metric {name} {} {unit} {}",
                            point.value(),
                            pairs(point.attributes())
                        );
                    }
                }
                AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                    for point in sum.data_points() {
                        println!(
                            "metric {name} {} {unit} {}",
                            point.value(),
                            pairs(point.attributes())
                        );
                    }
                }
                _ => println!("metric {name}"),
            }
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn mean(point: &HistogramDataPoint<f64>, unit: &str) -> String {
    format!("count={} mean={:.6} {unit}", point.count(), point.sum() / point.count() as f64)
}

fn pairs<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let mut text = String::new();
    for KeyValue { key, value, .. } in attributes {
        let _ = write!(text, "{key}={value} ");
    }
    text
}
