//! A trace that has ended.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use opentelemetry::{Array, KeyValue, Value, trace::TraceId};
use opentelemetry_sdk::trace::SpanData;

use super::line_ring::Line;
use crate::digest::{self, Operation};

/// A trace, or the parts of it that have ended in this process.
#[derive(Debug)]
pub(super) struct StoredTrace {
    pub(super) id: TraceId,
    pub(super) spans: Vec<SpanData>,
    pub(super) lines: Vec<Arc<Line>>,
    left_out: AtomicUsize,
    pub(super) operation: Option<Operation>,
    pub(super) start: SystemTime,
    pub(super) duration: Duration,
    pub(super) is_error: bool,
    /// Approximate bytes.
    pub(super) weight: usize,
}

impl StoredTrace {
    pub(super) fn new(id: TraceId, trace: digest::Trace<Arc<Line>>) -> Self {
        let digest::Trace { spans, lines, left_out, .. } = trace;
        let start = spans.iter().map(|span| span.start_time).min();
        let start = start.unwrap_or(SystemTime::UNIX_EPOCH);
        let end = spans.iter().map(|span| span.end_time).max().unwrap_or(start);
        let weight = spans.iter().map(weight).sum::<usize>()
            + lines.iter().map(|line| line.weight).sum::<usize>()
            + mem::size_of::<Self>();
        let mut stored = Self {
            id,
            lines,
            left_out: AtomicUsize::new(left_out),
            operation: None,
            start,
            duration: end.duration_since(start).unwrap_or_default(),
            is_error: spans.iter().any(digest::is_failed),
            weight,
            spans,
        };
        stored.operation = stored.root().and_then(Operation::of_span);
        stored
    }

    /// Returns this trace and an earlier part of it as one.
    pub(super) fn joined(mut self, earlier: &Self) -> Self {
        self.spans.extend_from_slice(&earlier.spans);
        self.lines.extend_from_slice(&earlier.lines);
        self.lines.sort_by_key(|line| line.number);
        let end = (self.start + self.duration).max(earlier.start + earlier.duration);
        self.start = self.start.min(earlier.start);
        self.duration = end.duration_since(self.start).unwrap_or_default();
        self.is_error |= earlier.is_error;
        *self.left_out.get_mut() += earlier.left_out();
        self.weight += earlier.weight;
        self.operation = self.root().and_then(Operation::of_span);
        self
    }

    /// Returns true if no further part is joined.
    pub(super) fn is_full(&self) -> bool {
        self.spans.len() + self.lines.len() >= digest::MOST_ITEMS
    }

    /// Counts a part of this trace that is not joined.
    pub(super) fn leave_out(&self, part: &Self) {
        let items = part.spans.len() + part.lines.len() + part.left_out();
        self.left_out.fetch_add(items, Relaxed);
    }

    /// Returns the number of spans and lines that are not held.
    pub(super) fn left_out(&self) -> usize {
        self.left_out.load(Relaxed)
    }

    /// Returns the first span whose parent is not in the trace.
    pub(super) fn root(&self) -> Option<&SpanData> {
        root(&self.spans)
    }
}

/// Returns the first span whose parent is not among the spans.
pub(super) fn root(spans: &[SpanData]) -> Option<&SpanData> {
    let is_here = |id| spans.iter().any(|span| span.span_context.span_id() == id);
    let roots = spans.iter().filter(|span| !is_here(span.parent_span_id));
    roots.min_by_key(|span| span.start_time)
}

/// Returns the approximate bytes of a span.
fn weight(span: &SpanData) -> usize {
    let pairs = |pairs: &[KeyValue]| -> usize {
        pairs.iter().map(|pair| mem::size_of::<KeyValue>() + text(&pair.value)).sum()
    };
    let events: usize = span.events.iter().map(|event| 64 + pairs(&event.attributes)).sum();
    let links: usize = span.links.iter().map(|link| 64 + pairs(&link.attributes)).sum();
    mem::size_of::<SpanData>() + span.name.len() + pairs(&span.attributes) + events + links
}

fn text(value: &Value) -> usize {
    match value {
        Value::String(text) => text.as_str().len(),
        Value::Array(Array::String(texts)) => {
            texts.iter().map(|text| mem::size_of_val(text) + text.as_str().len()).sum()
        }
        Value::Array(_) => 64,
        _ => 0,
    }
}
