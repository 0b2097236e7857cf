//! Log lines: the latest.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use opentelemetry::{
    logs::Severity,
    trace::{SpanId, TraceId},
};
use serde_json::{Map, Value};

/// A log record.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) time: SystemTime,
    pub(super) severity: Severity,
    pub(super) target: String,
    pub(super) message: String,
    pub(super) attributes: Map<String, Value>,
    pub(super) span: Option<(TraceId, SpanId)>,
    pub(super) weight: usize,
}

/// The latest lines, oldest first.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: VecDeque<Arc<Line>>,
    /// Lines since the start.
    pub(super) seen: u64,
    pub(super) bytes: usize,
}

impl Lines {
    /// Adds a line, and gives it its number. Returns the lines that are dropped, too, for which no lock need be held.
    pub(super) fn add(&mut self, mut line: Line) -> (Arc<Line>, Vec<Arc<Line>>) {
        line.number = self.seen;
        let line = Arc::new(line);
        self.seen += 1;
        self.bytes += line.weight;
        self.lines.push_back(Arc::clone(&line));
        let mut dropped = Vec::new();
        while self.lines.len() > MOST_LINES || self.bytes > MOST_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.weight;
            dropped.push(oldest);
        }
        (line, dropped)
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Returns the lines, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Line>> {
        self.lines.iter()
    }
}

pub(super) const MOST_LINES: usize = 5000;

pub(super) const MOST_BYTES: usize = 8 << 20;
