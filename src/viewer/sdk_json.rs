//! Values of the SDK as JSON.

use std::time::{Duration, SystemTime};

use opentelemetry::{
    Array, KeyValue, Value as Attribute,
    logs::AnyValue,
    trace::{SpanId, SpanKind, Status},
};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Map, Value, json};

use super::{line_ring::Line, measured_operations};
use crate::digest::Operation;

/// Returns milliseconds since the Unix epoch.
pub(super) fn time(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}

/// Returns seconds.
pub(super) fn took(from: SystemTime, to: SystemTime) -> f64 {
    to.duration_since(from).map_or(0.0, |duration: Duration| duration.as_secs_f64())
}

pub(super) fn attributes<'a>(pairs: impl IntoIterator<Item = &'a KeyValue>) -> Map<String, Value> {
    pairs.into_iter().map(|pair| (pair.key.to_string(), attribute(&pair.value))).collect()
}

fn attribute(value: &Attribute) -> Value {
    match value {
        Attribute::Bool(truth) => json!(truth),
        // The page's numbers are exact up to 2^53.
        Attribute::I64(number) if number.unsigned_abs() > 1 << 53 => json!(number.to_string()),
        Attribute::I64(number) => json!(number),
        Attribute::F64(number) => json!(number),
        Attribute::String(text) => json!(text.as_str()),
        Attribute::Array(Array::Bool(truths)) => json!(truths),
        Attribute::Array(Array::I64(numbers)) => json!(numbers),
        Attribute::Array(Array::F64(numbers)) => json!(numbers),
        Attribute::Array(Array::String(texts)) => {
            texts.iter().map(opentelemetry::StringValue::as_str).collect()
        }
        other => json!(other.to_string()),
    }
}

pub(super) fn any_value(value: &AnyValue) -> Value {
    match value {
        AnyValue::Int(number) => json!(number),
        AnyValue::Double(number) => json!(number),
        AnyValue::String(text) => json!(text.as_str()),
        AnyValue::Boolean(truth) => json!(truth),
        AnyValue::ListAny(list) => list.iter().map(any_value).collect(),
        AnyValue::Map(map) => {
            map.iter().map(|(key, value)| (key.to_string(), any_value(value))).collect()
        }
        other => json!(format!("{other:?}")),
    }
}

/// Returns the approximate bytes of a value.
pub(super) fn weight(value: &Value) -> usize {
    64 + match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(weight).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + weight(value)).sum(),
        _ => 0,
    }
}

pub(super) fn line(line: &Line) -> Value {
    json!({
        "seq": line.number,
        "time": time(line.time),
        "level": line.severity.name(),
        "target": line.target,
        "message": line.message,
        "attributes": line.attributes,
        "trace": line.span.map(|(trace, _)| trace.to_string()),
        "span": line.span.map(|(_, span)| span.to_string()),
    })
}

pub(super) fn span(span: &SpanData) -> Value {
    let (status, message) = match &span.status {
        Status::Unset => ("unset", None),
        Status::Ok => ("ok", None),
        Status::Error { description } => ("error", Some(description)),
    };
    let parent = span.parent_span_id;
    let scope = &span.instrumentation_scope;
    json!({
        "id": span.span_context.span_id().to_string(),
        "parent": (parent != SpanId::INVALID).then(|| parent.to_string()),
        "is_remote_parent": span.parent_span_is_remote,
        "name": span.name,
        "kind": kind(&span.span_kind),
        "operation": Operation::of_span(span).as_ref().map(measured_operations::key),
        "start": time(span.start_time),
        "duration": took(span.start_time, span.end_time),
        "status": status,
        "message": message,
        "scope": format!("{} {}", scope.name(), scope.version().unwrap_or_default()).trim_end(),
        "attributes": attributes(&span.attributes),
        "events": span.events.iter().map(|event| json!({
            "name": event.name,
            "time": time(event.timestamp),
            "attributes": attributes(&event.attributes),
        })).collect::<Value>(),
        "links": span.links.iter().map(|link| json!({
            "trace": link.span_context.trace_id().to_string(),
            "span": link.span_context.span_id().to_string(),
            "attributes": attributes(&link.attributes),
        })).collect::<Value>(),
        "dropped": span.dropped_attributes_count,
    })
}

pub(super) fn kind(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal => "internal",
    }
}
