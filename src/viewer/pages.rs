//! The answers of the service: JSON for each page.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use opentelemetry::{logs::Severity, trace::TraceId};
use serde_json::{Value, json};

use super::{
    Viewer,
    line_ring::{self, Line},
    measured_operations::{self, Operations},
    sdk_json,
    store::{self, Store},
    stored_trace::{self, StoredTrace},
};
use crate::{digest::Operation, percent};

/// The parameters of a request.
pub(super) struct Query<'a>(HashMap<&'a str, String>);

impl<'a> Query<'a> {
    pub(super) fn of(query: &'a str) -> Self {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Self(
            pairs
                .map(|(name, value)| {
                    (name, percent::decode(value.replace('+', " ").as_bytes()).into_owned())
                })
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    fn limit(&self, default: usize) -> usize {
        self.number("limit").unwrap_or(default).min(MOST_ROWS)
    }
}

impl Viewer {
    /// Returns rate, errors and duration by operation.
    pub(super) fn overview(&self) -> Value {
        let operations = Operations::of(&self.0.reader.metrics());
        let resource = self.0.resource.iter();
        let resource = resource.map(|(key, value)| (key.to_string(), json!(value.to_string())));
        let resource: serde_json::Map<_, _> = resource.collect();
        let lines = self.lines();
        let line_counts = json!({
            "count": lines.len(), "bytes": lines.bytes, "seen": lines.seen,
            "max_count": line_ring::MOST_LINES, "max_bytes": line_ring::MOST_BYTES,
        });
        drop(lines);
        let store = self.store();
        json!({
            "service": resource.get("service.name"),
            "resource": resource,
            "now": sdk_json::time(SystemTime::now()),
            "started": sdk_json::time(self.0.started),
            "active": operations.active,
            "operations": operations.json(&store),
            "traces": {
                "count": store.len(), "bytes": store.bytes, "seen": store.seen,
                "max_count": store::MOST_TRACES, "max_bytes": store::MOST_BYTES,
                "untracked": store.untracked,
            },
            "lines": line_counts,
        })
    }

    /// Returns the latest traces that pass the filters.
    pub(super) fn traces(&self, query: &Query<'_>) -> Value {
        let store = self.store();
        let mut ended: Vec<_> = store.ended().map(Arc::clone).collect();
        let mut rows: Vec<Value> = store
            .open
            .iter()
            .filter(|(_, trace)| !trace.spans.is_empty())
            .filter_map(|(id, trace)| open_row(*id, &trace.spans, trace.lines.len()))
            // Filters are about traces that have ended.
            .filter(|_| FILTERS.iter().all(|name| query.get(name).is_none()))
            .collect();
        // The rows of traces that have ended need no lock.
        drop(store);
        let start = |row: &Value| row["start"].as_f64().unwrap_or_default();
        rows.sort_by(|a, b| start(b).total_cmp(&start(a)));
        rows.truncate(query.limit(100));
        ended.retain(|trace| passes(trace, query));
        ended.sort_by_key(|trace| std::cmp::Reverse(trace.start));
        rows.extend(ended.iter().take(query.limit(100)).map(|trace| row(trace)));
        json!({ "traces": rows })
    }

    /// Returns a trace with its spans and lines, if it is in memory.
    pub(super) fn trace(&self, query: &Query<'_>) -> Option<Value> {
        let id = TraceId::from_hex(query.get("id")?).ok()?;
        let store = self.store();
        let ended = store.trace(id).map(Arc::clone);
        let Some(trace) = ended else { return open(&store, id) };
        // Spans of the trace that have ended meanwhile, such as those of another request.
        let open = store.open.get(id);
        let is_open = open.is_some();
        let late = open.map(|open| open.spans.clone()).unwrap_or_default();
        drop(store);
        // Lines that were written after the trace had ended.
        let mut lines = trace.lines.clone();
        let known: HashSet<u64> = lines.iter().map(|line| line.number).collect();
        let is_new = |line: &&Arc<Line>| !known.contains(&line.number);
        let of_trace = |line: &&Arc<Line>| line.span.is_some_and(|(trace, _)| trace == id);
        let room = MOST_LATE_LINES.saturating_sub(lines.len());
        let all = self.lines();
        lines.extend(all.iter().filter(of_trace).filter(is_new).take(room).map(Arc::clone));
        drop(all);
        lines.sort_by_key(|line| line.number);
        let spans = trace.spans.iter().chain(&late);
        Some(json!({
            "id": id.to_string(),
            "spans": spans.map(sdk_json::span).collect::<Value>(),
            "lines": lines.iter().map(|line| sdk_json::line(line)).collect::<Value>(),
            "left_out": trace.left_out(),
            "is_open": is_open,
        }))
    }

    /// Returns the lines after a number, or the latest.
    pub(super) fn log_lines(&self, query: &Query<'_>) -> Value {
        let level = query.get("level").and_then(severity).unwrap_or(Severity::Trace);
        let text = query.get("text").map(str::to_lowercase);
        let lines = self.lines();
        let next = lines.seen;
        let first = lines.iter().next().map_or(next, |line| line.number);
        let after = query.number::<u64>("after");
        let is_asked = |line: &&Arc<Line>| after.is_none_or(|after| line.number >= after);
        let asked: Vec<_> = lines.iter().rev().take_while(is_asked).map(Arc::clone).collect();
        // The text is looked for without the lock, for which all who log wait.
        drop(lines);
        let passes = |line: &Arc<Line>| {
            line.severity >= level && text.as_ref().is_none_or(|text| contains(line, text))
        };
        let mut latest: Vec<_> = asked.into_iter().filter(passes).take(query.limit(200)).collect();
        latest.reverse();
        json!({
            "lines": latest.iter().map(|line| sdk_json::line(line)).collect::<Value>(),
            "next": next,
            "missed": after.map_or(0, |after| first.saturating_sub(after)),
        })
    }

    /// Returns the metrics about resources.
    pub(super) fn resources(&self) -> Value {
        json!({ "metrics": measured_operations::resources(&self.0.reader.metrics()) })
    }
}

fn open(store: &Store, id: TraceId) -> Option<Value> {
    let trace = store.open.get(id)?;
    Some(json!({
        "id": id.to_string(),
        "spans": trace.spans.iter().map(sdk_json::span).collect::<Value>(),
        "lines": trace.lines.iter().map(|line| sdk_json::line(line)).collect::<Value>(),
        "left_out": trace.left_out,
        "is_open": true,
    }))
}

fn passes(trace: &StoredTrace, query: &Query<'_>) -> bool {
    let operation = query.get("operation").is_none_or(|key| {
        trace
            .spans
            .iter()
            .filter_map(Operation::of_span)
            .any(|own| measured_operations::key(&own) == key)
    });
    let status = query.get("status").is_none_or(|status| (status == "error") == trace.is_error);
    let min = query.number("min").is_none_or(|min: f64| trace.duration.as_secs_f64() >= min);
    operation && status && min && query.get("text").is_none_or(|text| has_text(trace, text))
}

/// Returns true if a name, an attribute, a line or the id contains a text, in any case.
fn has_text(trace: &StoredTrace, text: &str) -> bool {
    let text = text.to_lowercase();
    let has = |hay: &str| hay.to_lowercase().contains(&text);
    let has_value = |value: &opentelemetry::Value| has(&value.as_str());
    trace.id.to_string().starts_with(&text)
        || trace.spans.iter().any(|span| {
            has(&span.name) || span.attributes.iter().any(|pair| has_value(&pair.value))
        })
        || trace.lines.iter().any(|line| contains(line, &text))
}

fn contains(line: &Line, lower: &str) -> bool {
    let has = |hay: &str| hay.to_lowercase().contains(lower);
    has(&line.message)
        || has(&line.target)
        || line
            .attributes
            .values()
            .any(|value| value.as_str().map_or_else(|| has(&value.to_string()), has))
}

fn row(trace: &StoredTrace) -> Value {
    let mut row = json!({
        "id": trace.id.to_string(),
        "operation": trace.operation.as_ref().map(measured_operations::key),
        "is_error": trace.is_error,
        "start": sdk_json::time(trace.start),
        "duration": trace.duration.as_secs_f64(),
        "spans": trace.spans.len(),
        "lines": trace.lines.len(),
        "is_open": false,
    });
    add_root(&mut row, trace.root());
    row
}

fn open_row(
    id: TraceId,
    spans: &[opentelemetry_sdk::trace::SpanData],
    lines: usize,
) -> Option<Value> {
    let start = spans.iter().map(|span| span.start_time).min()?;
    let mut row = json!({
        "id": id.to_string(),
        "operation": null,
        "is_error": spans.iter().any(crate::digest::is_failed),
        "start": sdk_json::time(start),
        "duration": sdk_json::took(start, SystemTime::now()),
        "spans": spans.len(),
        "lines": lines,
        "is_open": true,
    });
    add_root(&mut row, stored_trace::root(spans));
    Some(row)
}

fn add_root(row: &mut Value, root: Option<&opentelemetry_sdk::trace::SpanData>) {
    let status = root.and_then(|root| {
        let find = |key: &str| root.attributes.iter().find(|pair| pair.key.as_str() == key);
        find("http.response.status_code").or_else(|| find("rpc.status_code"))
    });
    row["name"] = json!(root.map(|root| &*root.name));
    row["kind"] = json!(root.map(|root| sdk_json::kind(&root.span_kind)));
    row["status"] = json!(status.map(|pair| pair.value.to_string()));
}

fn severity(name: &str) -> Option<Severity> {
    Some(match name {
        "TRACE" => Severity::Trace,
        "DEBUG" => Severity::Debug,
        "INFO" => Severity::Info,
        "WARN" => Severity::Warn,
        "ERROR" => Severity::Error,
        _ => return None,
    })
}

/// The parameters that filter traces.
const FILTERS: [&str; 4] = ["operation", "status", "min", "text"];

/// Lines of a trace that an answer has.
const MOST_LATE_LINES: usize = 500;

/// Rows of an answer.
const MOST_ROWS: usize = 1000;
