//! Spans as the query API returns them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A span of a trace.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace_id: String,
    pub span_id: String,
    /// Empty for the root of a trace.
    pub parent_id: String,
    pub name: String,
    /// 1 is INTERNAL, 2 SERVER, 3 CLIENT, as in OTLP.
    pub kind: u64,
    pub is_error: bool,
    pub seconds: f64,
    /// Attributes of the span, as text.
    pub attributes: BTreeMap<String, String>,
    /// Attributes of its resource, as text.
    pub resource: BTreeMap<String, String>,
}

impl Span {
    /// Returns an attribute, or an empty text.
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    /// Returns `service.name`.
    pub fn service(&self) -> &str {
        self.resource.get("service.name").map_or("", String::as_str)
    }
}

/// Returns the spans without a parent.
pub fn roots(spans: &[Span]) -> impl Iterator<Item = &Span> {
    spans.iter().filter(|span| span.parent_id.is_empty())
}

/// Tells whether the parent of each span is there.
pub fn are_whole(spans: &[Span]) -> bool {
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    spans.iter().all(|span| span.parent_id.is_empty() || ids.contains(&span.parent_id))
}

/// Returns all spans of a document in OTLP's JSON.
pub(crate) fn spans(document: &Value) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in list(&document["resourceSpans"]) {
        let resource = attributes(&resource_spans["resource"]);
        for scope_spans in list(&resource_spans["scopeSpans"]) {
            spans.extend(list(&scope_spans["spans"]).map(|span| read(span, &resource)));
        }
    }
    spans
}

fn read(span: &Value, resource: &BTreeMap<String, String>) -> Span {
    let nanos = |key: &str| span[key].as_str().and_then(|text| text.parse::<u64>().ok());
    let (start, end) = (nanos("startTimeUnixNano"), nanos("endTimeUnixNano"));
    let nanos = end.unwrap_or_default().saturating_sub(start.unwrap_or_default());
    Span {
        trace_id: text(&span["traceId"]),
        span_id: text(&span["spanId"]),
        parent_id: text(&span["parentSpanId"]),
        name: text(&span["name"]),
        kind: span["kind"].as_u64().unwrap_or_default(),
        is_error: span["status"]["code"] == 2,
        seconds: nanos as f64 / 1e9,
        attributes: attributes(span),
        resource: resource.clone(),
    }
}

fn attributes(holder: &Value) -> BTreeMap<String, String> {
    let attribute = |attribute: &Value| {
        let value = attribute["value"].as_object().and_then(|kinds| kinds.values().next());
        (text(&attribute["key"]), value.map(text).unwrap_or_default())
    };
    list(&holder["attributes"]).map(attribute).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns a text without quotes, and anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
