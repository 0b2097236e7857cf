//! Traces that have begun and not ended in this process.

use std::{
    collections::HashMap,
    mem,
    time::{Duration, Instant},
};

use opentelemetry::trace::{Status, TraceId};
use opentelemetry_sdk::trace::SpanData;

use super::Line;

/// Collects the spans and lines of each trace until none of its spans is open.
#[derive(Debug, Default)]
pub(super) struct OpenTraces {
    open: HashMap<TraceId, Trace>,
    /// When [`late_lines`](Self::late_lines) has looked last.
    looked: Option<Instant>,
    pace: Pace,
}

/// A trace, or the part of it that this process has seen.
#[derive(Debug)]
pub(super) struct Trace {
    began: Instant,
    /// Spans that have started and not ended.
    open_spans: usize,
    pub(super) spans: Vec<SpanData>,
    pub(super) lines: Vec<Line>,
    /// Spans and lines beyond [`MOST_ITEMS`].
    pub(super) left_out: usize,
}

/// Text to print, in this order.
#[derive(Debug, Default)]
pub(super) struct Printable {
    pub(super) lines: Vec<Line>,
    /// Traces that were not printed, because there were too many to read.
    pub(super) skipped: Skipped,
    pub(super) traces: Vec<Trace>,
}

/// Traces that were not printed.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Skipped {
    pub(super) traces: usize,
    /// Traces among them with an error.
    pub(super) failed: usize,
}

impl OpenTraces {
    /// A span has started.
    pub(super) fn start(&mut self, trace: TraceId) {
        if self.open.len() < MOST_TRACES || self.open.contains_key(&trace) {
            self.open.entry(trace).or_insert_with(Trace::new).open_spans += 1;
        }
    }

    /// A span has ended.
    pub(super) fn end(&mut self, span: SpanData) -> Printable {
        let id = span.span_context.trace_id();
        let Some(trace) = self.open.get_mut(&id) else {
            // It began when too many traces were open.
            self.pace.skipped.count(&span);
            return Printable::default();
        };
        trace.open_spans = trace.open_spans.saturating_sub(1);
        if trace.has_room() {
            trace.spans.push(span);
        }
        if trace.open_spans > 0 {
            return Printable::default();
        }
        let trace = self.open.remove(&id);
        let mut printable = self.pace.admit(trace);
        printable.lines = self.late_lines();
        printable
    }

    /// A line was written. It waits for the end of its trace, for [`PATIENCE`] at most.
    pub(super) fn line(&mut self, line: Line) -> Printable {
        let trace = line.span.and_then(|(trace, _)| self.open.get_mut(&trace));
        let live = match trace {
            Some(trace) if trace.began.elapsed() < PATIENCE => {
                if trace.has_room() {
                    trace.lines.push(line);
                }
                None
            }
            _ => Some(line),
        };
        let mut lines = self.late_lines();
        lines.extend(live);
        Printable { lines, ..Printable::default() }
    }

    /// Returns what has waited for too long.
    pub(super) fn release(&mut self) -> Printable {
        Printable { lines: self.late_lines(), ..self.pace.admit(None) }
    }

    /// Returns everything.
    pub(super) fn drain(&mut self) -> Printable {
        let mut traces = Vec::from_iter(self.open.drain().map(|(_, trace)| trace));
        let lines = traces.iter_mut().flat_map(|trace| mem::take(&mut trace.lines)).collect();
        traces.retain(|trace| !trace.spans.is_empty());
        Printable { lines, skipped: mem::take(&mut self.pace.skipped), traces }
    }

    /// Takes the lines of traces that have been open for longer than [`PATIENCE`].
    fn late_lines(&mut self) -> Vec<Line> {
        if self.looked.is_some_and(|looked| looked.elapsed() < PATIENCE / 10) {
            return Vec::new();
        }
        self.looked = Some(Instant::now());
        let late = self.open.values_mut().filter(|trace| trace.began.elapsed() >= PATIENCE);
        let mut lines: Vec<_> = late.flat_map(|trace| mem::take(&mut trace.lines)).collect();
        lines.sort_by_key(|line| line.time);
        lines
    }
}

impl Trace {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            open_spans: 0,
            spans: Vec::new(),
            lines: Vec::new(),
            left_out: 0,
        }
    }

    /// Returns true if another item may be added. Otherwise counts it.
    fn has_room(&mut self) -> bool {
        let has_room = self.spans.len() + self.lines.len() < MOST_ITEMS;
        self.left_out += usize::from(!has_room);
        has_room
    }
}

impl Skipped {
    fn count(&mut self, span: &SpanData) {
        self.failed += usize::from(is_failed(span));
        self.traces += 1;
    }
}

/// Limits how many traces are printed in a second.
#[derive(Debug, Default)]
struct Pace {
    second: Option<Instant>,
    printed: usize,
    skipped: Skipped,
}

impl Pace {
    /// Returns a trace, if it may be printed now, after the number of those that were not.
    fn admit(&mut self, trace: Option<Trace>) -> Printable {
        if self.second.is_none_or(|second| second.elapsed() >= Duration::from_secs(1)) {
            self.second = Some(Instant::now());
            self.printed = 0;
        }
        if self.printed < MOST_PER_SECOND {
            self.printed += usize::from(trace.is_some());
            let skipped = mem::take(&mut self.skipped);
            return Printable { skipped, traces: Vec::from_iter(trace), ..Printable::default() };
        }
        if let Some(trace) = trace {
            self.skipped.traces += 1;
            self.skipped.failed += usize::from(trace.spans.iter().any(is_failed));
        }
        Printable::default()
    }
}

pub(super) fn is_failed(span: &SpanData) -> bool {
    matches!(span.status, Status::Error { .. })
}

/// The time that a line waits for the end of its trace. The lines of a request that hangs must not wait
/// until it ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// The traces that are collected at a time.
const MOST_TRACES: usize = 1000;

/// The spans and lines of one trace.
const MOST_ITEMS: usize = 200;

/// More than a person can read.
const MOST_PER_SECOND: usize = 20;
