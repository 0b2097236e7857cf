//! The wait for a connection.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use opentelemetry::{
    Context, KeyValue,
    trace::{SpanBuilder, SpanKind, Status, TraceContextExt},
};
use sqlx::Error;

use super::{pool_usage::PoolUsage, sqlx_errors::error_type};
use crate::{contain::contain, convention::names::ERROR_TYPE, database::Database};

/// A caller that waits for a connection. If it is dropped, the caller was cancelled.
pub(super) struct ConnectionWait<'a> {
    usage: &'a Arc<PoolUsage>,
    database: &'a Database,
    parent: Context,
    started: Instant,
    is_over: bool,
}

impl<'a> ConnectionWait<'a> {
    pub(super) fn start(usage: &'a Arc<PoolUsage>, database: &'a Database) -> Self {
        usage.begin_wait();
        let (parent, started) = (Context::current(), Instant::now());
        Self { usage, database, parent, started, is_over: false }
    }

    pub(super) fn end<T>(mut self, result: &Result<T, Error>) {
        match result {
            Ok(_) => self.over(None),
            Err(error) => {
                if matches!(error, Error::PoolTimedOut) {
                    self.usage.count_timeout();
                }
                self.over(Some(error_type(error)));
            }
        }
    }

    fn over(&mut self, error_type: Option<&'static str>) {
        self.is_over = true;
        self.usage.end_wait();
        let waited = self.started.elapsed();
        if error_type.is_none() {
            self.usage.record_wait(waited);
        }
        if error_type.is_some() || waited >= LONG {
            self.record_span(waited, error_type);
        }
    }

    /// Records the span after the wait, so that most waits, which are short, cost nothing.
    fn record_span(&self, waited: Duration, error_type: Option<&'static str>) {
        let tracers = self.database.tracers();
        if self.parent.is_telemetry_suppressed() || tracers.skips() {
            return;
        }
        let end = SystemTime::now();
        let builder = SpanBuilder::from_name("wait for connection")
            .with_kind(SpanKind::Internal)
            .with_start_time(end - waited)
            .with_attributes([self.usage.name_attribute()]);
        let started = tracers.start(builder, &self.parent, &self.parent);
        if !started.is_recording {
            return;
        }
        let span = started.context.span();
        if let Some(error_type) = error_type {
            span.set_attribute(KeyValue::new(ERROR_TYPE, error_type));
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(end);
    }
}

impl Drop for ConnectionWait<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            contain(|| self.over(Some("cancelled")));
        }
    }
}

/// Shorter waits have no span. The histogram has all of them.
const LONG: Duration = Duration::from_millis(1);
