//! Traces that have begun and not ended in this process.

use std::{collections::HashMap, time::Instant};

use opentelemetry::trace::{Status, TraceId};
use opentelemetry_sdk::trace::SpanData;

/// Collects the spans and lines of each trace until none of its spans is open.
///
/// A trace may have several parts that are not open at the same time, such as two requests of one caller.
#[derive(Debug)]
pub(crate) struct OpenTraces<L> {
    open: HashMap<TraceId, Trace<L>>,
}

/// A trace, or the part of it that this process has seen.
#[derive(Debug)]
pub(crate) struct Trace<L> {
    pub(crate) began: Instant,
    /// Spans that have started and not ended.
    open_spans: usize,
    pub(crate) spans: Vec<SpanData>,
    pub(crate) lines: Vec<L>,
    /// Spans and lines beyond [`MOST_ITEMS`].
    pub(crate) left_out: usize,
}

/// The trace of a span that has ended.
pub(crate) enum Ended<L> {
    /// Other spans of it are open.
    Open,
    Complete(Trace<L>),
    /// It began when too many traces were open, and is not collected.
    Untracked {
        is_failed: bool,
    },
}

impl<L> Default for OpenTraces<L> {
    fn default() -> Self {
        Self { open: HashMap::new() }
    }
}

impl<L> OpenTraces<L> {
    /// A span has started.
    pub(crate) fn start(&mut self, trace: TraceId) {
        if self.open.len() < MOST_TRACES || self.open.contains_key(&trace) {
            self.open.entry(trace).or_insert_with(Trace::new).open_spans += 1;
        }
    }

    /// A span has ended.
    pub(crate) fn end(&mut self, span: SpanData) -> Ended<L> {
        let id = span.span_context.trace_id();
        let Some(trace) = self.open.get_mut(&id) else {
            return Ended::Untracked { is_failed: is_failed(&span) };
        };
        trace.open_spans = trace.open_spans.saturating_sub(1);
        // The last span has always room: mostly it is the root, without which the others say little.
        if trace.open_spans == 0 || trace.has_room() {
            trace.spans.push(span);
        }
        if trace.open_spans > 0 {
            return Ended::Open;
        }
        match self.open.remove(&id) {
            Some(trace) => Ended::Complete(trace),
            None => Ended::Open,
        }
    }

    #[cfg(feature = "viewer")]
    pub(crate) fn get(&self, trace: TraceId) -> Option<&Trace<L>> {
        self.open.get(&trace)
    }

    pub(crate) fn get_mut(&mut self, trace: TraceId) -> Option<&mut Trace<L>> {
        self.open.get_mut(&trace)
    }

    #[cfg(feature = "viewer")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TraceId, &Trace<L>)> {
        self.open.iter()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Trace<L>> {
        self.open.values_mut()
    }

    /// Takes all traces.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Trace<L>> {
        self.open.drain().map(|(_, trace)| trace)
    }
}

impl<L> Trace<L> {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            open_spans: 0,
            spans: Vec::new(),
            lines: Vec::new(),
            left_out: 0,
        }
    }

    /// Adds a line, if there is room for it.
    pub(crate) fn add(&mut self, line: L) {
        if self.lines.len() >= MOST_LINES {
            self.left_out += 1;
        } else if self.has_room() {
            self.lines.push(line);
        }
    }

    /// Returns true if another item may be added. Otherwise counts it.
    fn has_room(&mut self) -> bool {
        let has_room = self.spans.len() + self.lines.len() < MOST_ITEMS;
        self.left_out += usize::from(!has_room);
        has_room
    }
}

pub(crate) fn is_failed(span: &SpanData) -> bool {
    matches!(span.status, Status::Error { .. })
}

/// The traces that are collected at a time.
const MOST_TRACES: usize = 1000;

/// The spans and lines of one trace, but for the span that ends last.
pub(crate) const MOST_ITEMS: usize = 200;

/// The lines of one trace, so that they leave room for spans.
const MOST_LINES: usize = 150;
