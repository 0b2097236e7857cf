//! The providers, and the questions that a test asks.

use std::fmt;

use opentelemetry::Value;
use opentelemetry_sdk::{
    logs::{SdkLogRecord, SdkLoggerProvider},
    metrics::{SdkMeterProvider, data::ResourceMetrics},
    trace::{Sampler, SdkTracerProvider, ShouldSample, SpanData},
};

use super::{RecordedLog, RecordedMetric, RecordedSpan, in_memory::Recorder};
use crate::digest::SharedReader;

/// Providers that record into memory. Nothing is global.
///
/// All traces are sampled, unless a [sampler](Self::with_sampler) decides otherwise. Nothing is dropped: make one for
/// each test.
///
/// # Panics
///
/// The methods that look for one thing panic if it was not recorded, or more than once.
#[derive(Debug)]
pub struct TestTelemetry {
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    loggers: SdkLoggerProvider,
    spans: Recorder<SpanData>,
    logs: Recorder<SdkLogRecord>,
    reader: SharedReader,
}

impl Default for TestTelemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl TestTelemetry {
    /// Creates providers that sample all traces.
    pub fn new() -> Self {
        Self::with_sampler(Sampler::AlwaysOn)
    }

    /// Creates providers with a sampler. Spans that it drops are not recorded.
    pub fn with_sampler(sampler: impl ShouldSample + 'static) -> Self {
        let (spans, logs) = (Recorder::default(), Recorder::default());
        let reader = SharedReader::default();
        Self {
            tracers: SdkTracerProvider::builder()
                .with_sampler(sampler)
                .with_span_processor(spans.clone())
                .build(),
            meters: SdkMeterProvider::builder().with_reader(reader.clone()).build(),
            loggers: SdkLoggerProvider::builder().with_log_processor(logs.clone()).build(),
            spans,
            logs,
            reader,
        }
    }

    /// Returns the tracer provider, for the `with_tracer_provider` of a layer.
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.tracers
    }

    /// Returns the meter provider, for the `with_meter_provider` of a layer.
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.meters
    }

    /// Returns the logger provider, for a bridge such as `logs::bridge`.
    pub fn logger_provider(&self) -> &SdkLoggerProvider {
        &self.loggers
    }

    /// Returns the spans that have ended, in this order.
    pub fn spans(&self) -> Vec<RecordedSpan> {
        self.spans.items().iter().cloned().map(RecordedSpan::new).collect()
    }

    /// Returns the span with this name. It must have ended.
    #[track_caller]
    pub fn span(&self, name: &str) -> RecordedSpan {
        let mut spans = self.spans();
        spans.retain(|span| span.name == name);
        let spans = only(spans, &format!("a span named {name:?}"));
        spans.unwrap_or_else(|reason| {
            let names = Vec::from_iter(self.spans.items().iter().map(|span| span.name.clone()));
            panic!("{reason}. The spans that have ended: {names:?}")
        })
    }

    /// Returns the metric with this name, as it is now.
    ///
    /// A metric that two scopes record is one metric here.
    #[track_caller]
    pub fn metric(&self, name: &str) -> RecordedMetric {
        let metrics = self.reader.metrics();
        RecordedMetric::of(&metrics, name).unwrap_or_else(|| {
            panic!("no metric named {name:?}. The metrics: {:?}", names(&metrics))
        })
    }

    /// Returns the names of all metrics, sorted.
    pub fn metric_names(&self) -> Vec<String> {
        names(&self.reader.metrics())
    }

    /// Returns the log records, in the order in which they were written.
    pub fn logs(&self) -> Vec<RecordedLog> {
        self.logs.items().iter().cloned().map(RecordedLog::new).collect()
    }

    /// Returns the log record whose message is this text.
    #[track_caller]
    pub fn log(&self, message: &str) -> RecordedLog {
        let mut logs = self.logs();
        logs.retain(|log| log.message() == message);
        only(logs, &format!("a log record {message:?}")).unwrap_or_else(|reason| {
            let messages = Vec::from_iter(self.logs().iter().map(RecordedLog::message));
            panic!("{reason}. The messages: {messages:?}")
        })
    }
}

/// Returns the only item.
fn only<T>(mut items: Vec<T>, what: &str) -> Result<T, String> {
    match (items.pop(), items.len()) {
        (Some(item), 0) => Ok(item),
        (None, _) => Err(format!("{what} was not recorded")),
        (Some(_), more) => Err(format!("{what} was recorded {} times", more + 1)),
    }
}

fn names(metrics: &ResourceMetrics) -> Vec<String> {
    let metrics = metrics.scope_metrics().flat_map(|scope| scope.metrics());
    let mut names = Vec::from_iter(metrics.map(|metric| metric.name().to_owned()));
    names.sort();
    names.dedup();
    names
}

/// Fails unless an attribute has this value.
#[track_caller]
pub(super) fn assert_attribute(
    owner: &dyn fmt::Display,
    key: &str,
    value: Option<&Value>,
    expected: &Value,
) {
    match value {
        Some(value) => assert_eq!(value, expected, "{key} of {owner}"),
        None => panic!("{owner} has no attribute {key}; expected {expected:?}"),
    }
}
