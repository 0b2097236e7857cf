//! Spans and log records on their way into memory.

use std::time::{Duration, SystemTime};

use opentelemetry::{
    Context, InstrumentationScope,
    logs::{AnyValue, Severity},
    trace::Span as _,
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogProcessor, SdkLogRecord},
    trace::{Span, SpanData, SpanProcessor},
};
use serde_json::Map;

use super::{Viewer, line_ring::Line, sdk_json};

impl SpanProcessor for Viewer {
    fn on_start(&self, span: &mut Span, _: &Context) {
        let context = span.span_context();
        if context.is_sampled() {
            self.store().open.start(context.trace_id());
        }
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            // The guard is gone before the traces are freed.
            let dropped = self.store().end(span);
            drop(dropped);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for Viewer {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        // Made before the lock is taken.
        let line = line(record);
        let (line, dropped) = self.lines().add(line);
        drop(dropped);
        if let Some(span) = line.span {
            self.store().line(span, &line);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn line(record: &SdkLogRecord) -> Line {
    let context = record.trace_context();
    let mut weight = 200;
    let mut attributes = Map::new();
    for (key, value) in record.attributes_iter() {
        let value = sdk_json::any_value(value);
        weight += key.as_str().len() + sdk_json::weight(&value);
        attributes.insert(key.to_string(), value);
    }
    let message = match record.body() {
        Some(AnyValue::String(text)) => text.to_string(),
        Some(other) => sdk_json::any_value(other).to_string(),
        None => String::new(),
    };
    let target = record.target().map(ToString::to_string).unwrap_or_default();
    Line {
        number: 0,
        time: record
            .timestamp()
            .or_else(|| record.observed_timestamp())
            .unwrap_or_else(SystemTime::now),
        severity: record.severity_number().unwrap_or(Severity::Info),
        weight: weight + message.len() + target.len(),
        target,
        message,
        attributes,
        span: context.map(|context| (context.trace_id, context.span_id)),
    }
}
