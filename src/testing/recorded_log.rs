//! A log record.

use std::fmt;

use opentelemetry::{
    Value,
    logs::{AnyValue, Severity},
    trace::TraceId,
};
use opentelemetry_sdk::logs::SdkLogRecord;

use super::{RecordedSpan, test_telemetry::assert_attribute};

/// A log record.
#[derive(Debug, Clone)]
pub struct RecordedLog(SdkLogRecord);

impl RecordedLog {
    pub(super) fn new(record: SdkLogRecord) -> Self {
        Self(record)
    }

    /// Returns the record of the SDK.
    pub fn record(&self) -> &SdkLogRecord {
        &self.0
    }

    /// Returns the body, or an empty text if it is none.
    pub fn message(&self) -> String {
        match self.0.body() {
            Some(AnyValue::String(text)) => text.to_string(),
            _ => String::new(),
        }
    }

    /// Returns the severity.
    pub fn severity(&self) -> Option<Severity> {
        self.0.severity_number()
    }

    /// Returns the id of the trace in which it was written.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.trace_context().map(|context| context.trace_id)
    }

    /// Returns an attribute, unless it is bytes, a list or a map.
    pub fn attribute(&self, key: &str) -> Option<Value> {
        let (_, value) = self.0.attributes_iter().find(|(name, _)| name.as_str() == key)?;
        Some(match value {
            AnyValue::Int(number) => Value::I64(*number),
            AnyValue::Double(number) => Value::F64(*number),
            AnyValue::String(text) => Value::String(text.clone()),
            AnyValue::Boolean(truth) => Value::Bool(*truth),
            _ => return None,
        })
    }

    /// Checks an attribute.
    ///
    /// # Panics
    ///
    /// If the record does not have it, or it has another value or type.
    #[track_caller]
    pub fn assert_attribute(&self, key: &str, value: impl Into<Value>) -> &Self {
        assert_attribute(self, key, self.attribute(key).as_ref(), &value.into());
        self
    }

    /// Checks that the record was written within a span.
    ///
    /// # Panics
    ///
    /// If it has the ids of another span, or none.
    #[track_caller]
    pub fn assert_within(&self, span: &RecordedSpan) -> &Self {
        let ids = self.0.trace_context().map(|context| (context.trace_id, context.span_id));
        assert_eq!(ids, Some((span.trace_id(), span.span_id())), "{self} is not within {span}");
        self
    }
}

impl fmt::Display for RecordedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the log record {:?}", self.message())
    }
}
