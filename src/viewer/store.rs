//! The traces in memory.

use std::{collections::HashMap, sync::Arc, time::Duration};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::SpanData;

use super::{
    line_ring::Line,
    retention::{MOST_OPERATIONS, Retention},
    stored_trace::StoredTrace,
};
use crate::digest::{Ended, OpenTraces, Operation};

/// Traces that are open, and those that have ended.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) open: OpenTraces<Arc<Line>>,
    ended: HashMap<TraceId, Arc<StoredTrace>>,
    retention: Retention,
    /// The latest trace of each operation in each range of durations, so that each bucket of a histogram leads to
    /// one.
    pins: HashMap<Operation, [Option<Pin>; RANGES]>,
    pinned_bytes: usize,
    pub(super) bytes: usize,
    /// Traces that have ended since the start.
    pub(super) seen: u64,
    /// Spans that began when too many traces were open.
    pub(super) untracked: u64,
}

/// A span that lasted as long as its bucket says, and its trace.
#[derive(Debug, Clone)]
pub(super) struct Pin {
    pub(super) trace: Arc<StoredTrace>,
    pub(super) duration: Duration,
    pub(super) is_error: bool,
}

impl Store {
    /// A span has ended. Returns what is dropped, for which the lock need not be held.
    pub(super) fn end(&mut self, span: SpanData) -> Vec<Arc<StoredTrace>> {
        let id = span.span_context.trace_id();
        let trace = match self.open.end(span) {
            Ended::Complete(trace) => trace,
            Ended::Open => return Vec::new(),
            Ended::Untracked { .. } => {
                self.untracked += 1;
                return Vec::new();
            }
        };
        self.seen += 1;
        let mut dropped = Vec::new();
        let mut stored = StoredTrace::new(id, trace);
        let pins = pins(&stored.spans);
        if let Some(known) = self.ended.get(&id) {
            // Callers choose the id, so the parts of a trace have no end.
            if known.is_full() {
                known.leave_out(&stored);
                return dropped;
            }
            self.bytes -= known.weight;
            stored = stored.joined(known);
            self.retention.joined(&stored, known.is_error);
        } else {
            self.retention.add(&stored);
        }
        self.bytes += stored.weight;
        let stored = Arc::new(stored);
        dropped.extend(self.ended.insert(id, Arc::clone(&stored)));
        self.pin(&stored, pins, &mut dropped);
        while let Some(id) = self.retention.surplus(MOST_TRACES, self.bytes > MOST_BYTES) {
            if let Some(trace) = self.ended.remove(&id) {
                self.bytes -= trace.weight;
                self.retention.dropped(&trace);
                dropped.push(trace);
            }
        }
        dropped
    }

    /// A line was written within a span.
    pub(super) fn line(&mut self, (trace, _): (TraceId, SpanId), line: &Arc<Line>) {
        if let Some(open) = self.open.get_mut(trace) {
            open.add(Arc::clone(line));
        }
    }

    /// Returns a trace that has ended.
    pub(super) fn trace(&self, id: TraceId) -> Option<&Arc<StoredTrace>> {
        let pins = || self.pins.values().flatten().flatten().map(|pin| &pin.trace);
        self.ended.get(&id).or_else(|| pins().find(|trace| trace.id == id))
    }

    /// Returns the traces that have ended, in no order.
    pub(super) fn ended(&self) -> impl Iterator<Item = &Arc<StoredTrace>> {
        self.ended.values()
    }

    pub(super) fn len(&self) -> usize {
        self.ended.len()
    }

    /// Returns the latest span of an operation that lasted longer than `above` and at most `upto` seconds.
    pub(super) fn pin_within(&self, operation: &Operation, above: f64, upto: f64) -> Option<&Pin> {
        let pins = self.pins.get(operation)?.iter().flatten();
        let is_within = |pin: &&Pin| {
            let seconds = pin.duration.as_secs_f64();
            seconds > above && seconds <= upto
        };
        pins.filter(is_within).max_by_key(|pin| pin.trace.start)
    }

    /// Pins a trace for each of its new operations.
    fn pin(
        &mut self,
        trace: &Arc<StoredTrace>,
        pins: Vec<(Operation, Duration, bool)>,
        dropped: &mut Vec<Arc<StoredTrace>>,
    ) {
        // One that is too large would displace all others.
        if trace.weight > MOST_PINNED_BYTES / 8 {
            return;
        }
        for (operation, duration, is_error) in pins {
            let is_new = !self.pins.contains_key(&operation);
            while (is_new && self.pins.len() >= MOST_OPERATIONS)
                || self.pinned_bytes + trace.weight > MOST_PINNED_BYTES
            {
                if !self.unpin_oldest(dropped) {
                    return;
                }
            }
            let pin = &mut self.pins.entry(operation).or_default()[range(duration)];
            self.pinned_bytes += trace.weight;
            self.pinned_bytes -= pin.as_ref().map_or(0, |pin| pin.trace.weight);
            let new = Pin { trace: Arc::clone(trace), duration, is_error };
            dropped.extend(pin.replace(new).map(|pin| pin.trace));
        }
    }

    /// Drops the pins of the operation that has had no request for the longest time. Returns false if there is none.
    fn unpin_oldest(&mut self, dropped: &mut Vec<Arc<StoredTrace>>) -> bool {
        let latest = |pins: &[Option<Pin>]| pins.iter().flatten().map(|pin| pin.trace.start).max();
        let oldest = self.pins.iter().min_by_key(|(_, pins)| latest(*pins));
        let Some(oldest) = oldest.map(|(operation, _)| operation.clone()) else { return false };
        let pins = self.pins.remove(&oldest).into_iter().flatten().flatten();
        for pin in pins {
            self.pinned_bytes -= pin.trace.weight;
            dropped.push(pin.trace);
        }
        true
    }
}

/// Returns the operations of spans, each with its duration, and whether it failed.
fn pins(spans: &[SpanData]) -> Vec<(Operation, Duration, bool)> {
    let pin = |span: &SpanData| {
        let duration = span.end_time.duration_since(span.start_time).unwrap_or_default();
        Some((Operation::of_span(span)?, duration, crate::digest::is_failed(span)))
    };
    spans.iter().filter_map(pin).collect()
}

/// Returns the range of a duration: the buckets of the conventions' histograms.
fn range(duration: Duration) -> usize {
    let seconds = duration.as_secs_f64();
    BOUNDARIES.partition_point(|boundary| *boundary < seconds)
}

const BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

const RANGES: usize = BOUNDARIES.len() + 1;

pub(super) const MOST_TRACES: usize = 2000;

pub(super) const MOST_BYTES: usize = 32 << 20;

const MOST_PINNED_BYTES: usize = 8 << 20;
