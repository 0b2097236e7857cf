//! The console exporter: prints a line for each span, log record and series.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    logs::AnyValue,
    trace::{SpanId, Status},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogProcessor, SdkLogRecord},
    metrics::{
        Temporality,
        data::{
            AggregatedMetrics, ExponentialHistogramDataPoint, GaugeDataPoint, HistogramDataPoint,
            Metric, MetricData, ResourceMetrics, SumDataPoint,
        },
        exporter::PushMetricExporter,
    },
    trace::{Span, SpanData, SpanProcessor},
};

use crate::stdout::{self, Escaped};

/// Queues lines for standard output. Lines that cannot be written are dropped.
///
/// It is a processor and not an exporter in a `SimpleSpanProcessor`, because that one calls
/// `futures_executor::block_on`, which panics inside another `block_on`: a span that ends in a
/// destructor would abort the process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Console;

impl SpanProcessor for Console {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, data: SpanData) {
        if data.span_context.is_sampled() {
            print(|text| span(text, &data));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        flush()
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        flush()
    }
}

impl LogProcessor for Console {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        print(|text| log(text, record));
    }

    fn force_flush(&self) -> OTelSdkResult {
        flush()
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        flush()
    }
}

impl PushMetricExporter for Console {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut metrics = metrics.scope_metrics().flat_map(|scope| scope.metrics());
        print(|text| metrics.try_for_each(|data| metric(text, data)));
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        flush()
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        flush()
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// Prints in one piece, so that lines of several threads don't mix.
fn print(mut write: impl FnMut(&mut String) -> fmt::Result) {
    let mut text = String::new();
    if write(&mut text).is_ok() {
        stdout::print(text.as_bytes());
    }
}

fn flush() -> OTelSdkResult {
    stdout::flush();
    Ok(())
}

fn span(text: &mut String, span: &SpanData) -> fmt::Result {
    let took = span.end_time.duration_since(span.start_time).unwrap_or_default();
    let status = if matches!(span.status, Status::Error { .. }) { " ERROR" } else { "" };
    write!(
        text,
        "span   {:?} {:?} {took:.1?}{status}  trace={} span={}",
        span.span_kind,
        span.name,
        span.span_context.trace_id(),
        span.span_context.span_id(),
    )?;
    if span.parent_span_id != SpanId::INVALID {
        write!(text, " parent={}", span.parent_span_id)?;
    }
    write!(text, "\n         {}", Pairs(&span.attributes))?;
    for event in span.events.iter() {
        write!(text, "\n         event {:?} {}", event.name, Pairs(&event.attributes))?;
    }
    writeln!(text)
}

fn log(text: &mut String, record: &SdkLogRecord) -> fmt::Result {
    let severity = record.severity_text().unwrap_or_default();
    let target = record.target().map(|target| target.as_ref()).unwrap_or_default();
    write!(text, "log    {severity} {}", Escaped(target))?;
    if let Some(body) = record.body() {
        write!(text, " {}", Escaped(Shown(body)))?;
    }
    let attributes = record.attributes_iter().filter(|(key, _)| !key.as_str().starts_with("log."));
    for (key, value) in attributes {
        write!(text, " {}={}", Escaped(key), Escaped(Shown(value)))?;
    }
    if let Some(context) = record.trace_context() {
        write!(text, "  trace={} span={}", context.trace_id, context.span_id)?;
    }
    writeln!(text)
}

fn metric(text: &mut String, metric: &Metric) -> fmt::Result {
    match metric.data() {
        AggregatedMetrics::F64(data) => series(text, metric, data),
        AggregatedMetrics::U64(data) => series(text, metric, data),
        AggregatedMetrics::I64(data) => series(text, metric, data),
    }
}

fn series<T: Number>(text: &mut String, metric: &Metric, data: &MetricData<T>) -> fmt::Result {
    let mut line = |value: &dyn fmt::Display, attributes: &mut dyn Iterator<Item = &KeyValue>| {
        write!(text, "metric {} {value}", Escaped(metric.name()))?;
        if !metric.unit().is_empty() {
            write!(text, " {}", Escaped(metric.unit()))?;
        }
        for KeyValue { key, value, .. } in attributes {
            write!(text, " {}={}", Escaped(key), Escaped(value))?;
        }
        writeln!(text)
    };
    match data {
        MetricData::Sum(sum) => sum
            .data_points()
            .try_for_each(|point: &SumDataPoint<T>| line(&point.value(), &mut point.attributes())),
        MetricData::Gauge(gauge) => {
            gauge.data_points().try_for_each(|point: &GaugeDataPoint<T>| {
                line(&point.value(), &mut point.attributes())
            })
        }
        MetricData::Histogram(histogram) => {
            histogram.data_points().try_for_each(|point: &HistogramDataPoint<T>| {
                let summary = Summary { count: point.count(), sum: point.sum().as_f64() };
                line(&summary, &mut point.attributes())
            })
        }
        MetricData::ExponentialHistogram(histogram) => {
            histogram.data_points().try_for_each(|point: &ExponentialHistogramDataPoint<T>| {
                let summary = Summary { count: point.count() as u64, sum: point.sum().as_f64() };
                line(&summary, &mut point.attributes())
            })
        }
    }
}

/// Count and mean of a distribution.
struct Summary {
    count: u64,
    sum: f64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = if self.count == 0 { 0.0 } else { self.sum / self.count as f64 };
        write!(f, "count={} mean={mean:.6}", self.count)
    }
}

/// A number type of instruments.
trait Number: Copy + fmt::Display {
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

/// Displays a value of a log record.
struct Shown<'a>(&'a AnyValue);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            AnyValue::String(text) => write!(f, "{text}"),
            AnyValue::Int(number) => write!(f, "{number}"),
            AnyValue::Double(number) => write!(f, "{number}"),
            AnyValue::Boolean(truth) => write!(f, "{truth}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Displays attributes, each followed by a space.
struct Pairs<'a>(&'a [KeyValue]);

impl fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pairs = self.0.iter();
        pairs.try_for_each(|pair| write!(f, "{}={} ", Escaped(&pair.key), Escaped(&pair.value)))
    }
}
