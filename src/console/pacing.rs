//! The pace of the console: prints, holds back, or leaves out.

use std::{
    mem,
    time::{Duration, Instant},
};

use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::SpanData;

use super::Line;
use crate::digest::{self, Ended, OpenTraces};

type Trace = digest::Trace<Line>;

/// Traces that are open, and the number of those that were printed in this second.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    open: OpenTraces<Line>,
    /// When [`late_lines`](Self::late_lines) has looked last.
    looked: Option<Instant>,
    second: Option<Instant>,
    /// Traces that were printed in this second: without an error, and with one.
    printed: [usize; 2],
    skipped: Skipped,
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
    /// Their log lines.
    pub(super) lines: usize,
}

impl Pacing {
    /// A span has started.
    pub(super) fn start(&mut self, trace: TraceId) {
        self.open.start(trace);
    }

    /// A span has ended.
    pub(super) fn end(&mut self, span: SpanData) -> Printable {
        match self.open.end(span) {
            Ended::Open => Printable::default(),
            Ended::Complete(trace) => {
                Printable { lines: self.late_lines(), ..self.admit(Some(trace)) }
            }
            Ended::Untracked { is_failed } => {
                self.skipped.count(is_failed, 0);
                Printable::default()
            }
        }
    }

    /// A line was written. It waits for the end of its trace, for [`PATIENCE`] at most.
    pub(super) fn line(&mut self, line: Line) -> Printable {
        let trace = line.span.and_then(|(trace, _)| self.open.get_mut(trace));
        let live = match trace {
            Some(trace) if trace.began.elapsed() < PATIENCE => {
                trace.add(line);
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
        Printable { lines: self.late_lines(), ..self.admit(None) }
    }

    /// Returns everything.
    pub(super) fn drain(&mut self) -> Printable {
        let mut traces = Vec::from_iter(self.open.drain());
        let lines = traces.iter_mut().flat_map(|trace| mem::take(&mut trace.lines)).collect();
        traces.retain(|trace| !trace.spans.is_empty());
        Printable { lines, skipped: mem::take(&mut self.skipped), traces }
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

    /// Returns a trace, if it may be printed now, after the number of those that were not.
    fn admit(&mut self, trace: Option<Trace>) -> Printable {
        if self.second.is_none_or(|second| second.elapsed() >= Duration::from_secs(1)) {
            self.second = Some(Instant::now());
            self.printed = [0; 2];
        }
        let Some(trace) = trace else {
            return Printable { skipped: mem::take(&mut self.skipped), ..Printable::default() };
        };
        let is_failed = trace.spans.iter().any(digest::is_failed);
        let printed = &mut self.printed[usize::from(is_failed)];
        if *printed < MOST_PER_SECOND {
            *printed += 1;
            let skipped = mem::take(&mut self.skipped);
            return Printable { skipped, traces: vec![trace], ..Printable::default() };
        }
        self.skipped.count(is_failed, trace.lines.len());
        Printable::default()
    }
}

impl Skipped {
    fn count(&mut self, is_failed: bool, lines: usize) {
        self.traces += 1;
        self.lines += lines;
        self.failed += usize::from(is_failed);
    }
}

/// The time that a line waits for the end of its trace. The lines of a request that hangs must not wait
/// until it ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// More than a person can read, for traces without an error and for those with one.
const MOST_PER_SECOND: usize = 20;
