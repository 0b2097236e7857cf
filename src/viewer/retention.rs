//! The order in which traces are dropped.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use opentelemetry::trace::TraceId;

use super::stored_trace::StoredTrace;
use crate::digest::Operation;

/// The reason for which a trace is held longer than others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Ordinary,
    Slow,
    Error,
}

/// The traces of each class, oldest first.
#[derive(Debug, Default)]
pub(super) struct Retention {
    ordinary: VecDeque<TraceId>,
    slow: VecDeque<TraceId>,
    errors: VecDeque<TraceId>,
    /// The durations of the slowest traces of each operation, longest first.
    slowest: HashMap<Operation, Vec<(Duration, TraceId)>>,
}

impl Retention {
    /// Adds a trace. During an outage all traces are errors: they must not displace the slow ones, so each class has a
    /// share.
    pub(super) fn add(&mut self, trace: &StoredTrace) {
        let class = self.class(trace);
        self.queue(class).push_back(trace.id);
    }

    /// A trace has got another part. It is an error from its first failed part on.
    pub(super) fn joined(&mut self, trace: &StoredTrace, was_error: bool) {
        if trace.is_error && !was_error {
            self.forget_duration(trace.id);
            self.ordinary.retain(|id| *id != trace.id);
            self.slow.retain(|id| *id != trace.id);
            self.errors.push_back(trace.id);
        }
    }

    /// Returns the trace to drop, if more than `most` are held or they are too large.
    pub(super) fn surplus(&mut self, most: usize, is_too_large: bool) -> Option<TraceId> {
        let len = self.ordinary.len() + self.slow.len() + self.errors.len();
        let class = if self.errors.len() > most / 4 {
            Class::Error
        } else if self.slow.len() > most / 4 {
            Class::Slow
        } else if len <= most && !is_too_large {
            return None;
        } else if !self.ordinary.is_empty() {
            Class::Ordinary
        } else if self.errors.len() > self.slow.len() {
            Class::Error
        } else {
            Class::Slow
        };
        self.queue(class).pop_front()
    }

    /// A trace has been dropped.
    pub(super) fn dropped(&mut self, trace: &StoredTrace) {
        if !trace.is_error {
            self.forget_duration(trace.id);
        }
    }

    /// The operation of a trace may have changed since it was added, so all are searched.
    fn forget_duration(&mut self, trace: TraceId) {
        self.slowest.values_mut().for_each(|slowest| slowest.retain(|(_, id)| *id != trace));
    }

    fn class(&mut self, trace: &StoredTrace) -> Class {
        if trace.is_error {
            return Class::Error;
        }
        let Some(operation) = &trace.operation else { return Class::Ordinary };
        if !self.slowest.contains_key(operation) {
            if self.slowest.len() >= MOST_OPERATIONS {
                return Class::Ordinary;
            }
            self.slowest.insert(operation.clone(), Vec::new());
        }
        let Some(slowest) = self.slowest.get_mut(operation) else { return Class::Ordinary };
        let place = slowest.partition_point(|(duration, _)| *duration >= trace.duration);
        if place >= SLOWEST {
            return Class::Ordinary;
        }
        slowest.insert(place, (trace.duration, trace.id));
        if slowest.len() > SLOWEST
            && let Some((_, displaced)) = slowest.pop()
        {
            self.slow.retain(|id| *id != displaced);
            // It is older than most others.
            self.ordinary.push_front(displaced);
        }
        Class::Slow
    }

    fn queue(&mut self, class: Class) -> &mut VecDeque<TraceId> {
        match class {
            Class::Ordinary => &mut self.ordinary,
            Class::Slow => &mut self.slow,
            Class::Error => &mut self.errors,
        }
    }
}

/// The slowest traces of an operation.
const SLOWEST: usize = 16;

/// Operations whose slowest traces are known.
pub(super) const MOST_OPERATIONS: usize = 200;
