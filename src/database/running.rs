//! An operation under way.

use std::{
    borrow::Cow,
    error::Error,
    fmt, thread,
    time::{Instant, SystemTime},
};

use opentelemetry::{
    Context, ContextGuard, KeyValue, StringValue,
    trace::{SpanBuilder, Status, TraceContextExt},
};

use super::{
    Database, Outcome,
    attribute_names::{DB_RESPONSE_RETURNED_ROWS, DB_RESPONSE_STATUS_CODE, ERROR_TYPE},
};
use crate::exemplars::Sampled;

/// A database operation that is under way.
///
/// [`finish`](Self::finish) ends it. If it is dropped before, it was cancelled: its duration is
/// recorded with the error type `cancelled`, or `panic` if the thread panics.
#[must_use = "dropping it records the operation as cancelled"]
pub struct Running {
    context: Context,
    /// `None`: nobody records it, or it has ended.
    active: Option<Active>,
}

struct Active {
    database: Database,
    is_recording: bool,
    started: Instant,
    started_at: SystemTime,
    labels: Vec<KeyValue>,
}

impl Running {
    /// Returns the context of the operation, with its span.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Makes the context of the operation current in this thread, until the guard is dropped.
    ///
    /// Don't hold the guard across an `.await`.
    pub fn attach(&self) -> ContextGuard {
        self.context.clone().attach()
    }

    /// Ends the operation.
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome, true);
    }

    /// Ends the span without a measurement of the duration, because the database has not run the
    /// operation yet.
    #[cfg(feature = "sqlx")]
    pub(crate) fn finish_unmeasured(mut self) {
        self.end(Outcome::success(), false);
    }

    pub(super) fn noop() -> Self {
        Self { context: Context::current(), active: None }
    }

    pub(super) fn start(
        database: &Database,
        span: Option<SpanBuilder>,
        labels: Vec<KeyValue>,
    ) -> Self {
        let shared = &database.shared;
        let started_at = SystemTime::now();
        let parent = Context::current();
        let start = |span: SpanBuilder| {
            shared.tracers.start(span.with_start_time(started_at), &parent, &parent)
        };
        let span = span.map(start).filter(|span| !span.is_noop);
        let is_recording = span.as_ref().is_some_and(|span| span.is_recording);
        let context = span.map_or(parent, |span| span.context);
        let is_active = is_recording || shared.durations.get().is_some();
        let active = is_active.then(|| Active {
            database: database.clone(),
            is_recording,
            started: Instant::now(),
            started_at,
            labels,
        });
        Self { context, active }
    }

    /// Returns the outcome that a result tells.
    pub(crate) fn outcome_of<T, E: Error + 'static>(&self, result: &Result<T, E>) -> Outcome {
        match (result, &self.active) {
            (Err(error), Some(active)) => active.database.shared.settings.outcome_of(error),
            _ => Outcome::success(),
        }
    }

    fn end(&mut self, outcome: Outcome, is_measured: bool) {
        let Some(Active { database, is_recording, started, started_at, mut labels }) =
            self.active.take()
        else {
            return;
        };
        let elapsed = started.elapsed();
        let Outcome { status_code, error_type, returned_rows } = outcome;
        let is_error = error_type.is_some();
        let at_end = labels.len();
        let mut add = |key, value: Option<StringValue>| {
            labels.extend(value.map(|value| KeyValue::new(key, value)));
        };
        add(DB_RESPONSE_STATUS_CODE, status_code);
        add(ERROR_TYPE, error_type);
        if is_recording {
            let span = self.context.span();
            span.set_attributes(labels[at_end..].iter().cloned());
            if let Some(rows) = returned_rows {
                let rows = i64::try_from(rows).unwrap_or(i64::MAX);
                span.set_attribute(KeyValue::new(DB_RESPONSE_RETURNED_ROWS, rows));
            }
            if is_error {
                // No description: the message may quote values.
                span.set_status(Status::Error { description: Cow::Borrowed("") });
            }
            // The same duration as the metric, also if the system clock was set meanwhile.
            span.end_with_timestamp(started_at + elapsed);
        }
        if let Some(duration) = database.shared.durations.get().filter(|_| is_measured) {
            let seconds = elapsed.as_secs_f64();
            duration.histogram.record(seconds, &labels);
            let exemplars = database.shared.exemplars.as_ref().or(duration.exemplars.as_ref());
            if let Some(exemplars) = exemplars
                && let span = self.context.span()
                && let Some(sampled) = Sampled::of(span.span_context(), || started_at + elapsed)
            {
                exemplars.offer_uncached(&labels, seconds, &sampled);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.active.is_some() {
            self.end(Outcome::error(if thread::panicking() { "panic" } else { "cancelled" }), true);
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("context", &self.context).finish_non_exhaustive()
    }
}
