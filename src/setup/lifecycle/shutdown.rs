//! The end: everything delivered within one deadline, and what was not, told.

use std::{
    error, fmt, mem, thread,
    time::{Duration, Instant},
};

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::time;

use crate::setup::{
    export::{Ledger, Parts},
    settings::Signal,
};

/// What was recorded and did not arrive.
///
/// What a receiver took and then rejected in part (OTLP's partial success) counts as delivered.
#[derive(Clone, PartialEq, Eq)]
pub struct Undelivered {
    spans: u64,
    open_spans: u64,
    log_records: u64,
    metrics: bool,
    reasons: Vec<String>,
}

impl Undelivered {
    /// The end itself went wrong, and nothing is known.
    pub(crate) fn unknown() -> Self {
        let reasons = vec!["the end of telemetry panicked".to_owned()];
        Self { spans: 0, open_spans: 0, log_records: 0, metrics: true, reasons }
    }

    /// How many ended spans were not delivered since the start: dropped by a full queue, refused by
    /// the receiver, or still waiting when the deadline passed.
    pub fn spans(&self) -> u64 {
        self.spans
    }

    /// How many spans had not ended.
    pub fn open_spans(&self) -> u64 {
        self.open_spans
    }

    /// How many log records were not delivered since the start.
    pub fn log_records(&self) -> u64 {
        self.log_records
    }

    /// Whether the last measurements were not delivered, or, with delta temporality, any.
    pub fn metrics(&self) -> bool {
        self.metrics
    }
}

/// Prints the sentence of `Display`, because `fn main() -> Result<(), _>` prints errors by `Debug`.
impl fmt::Debug for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not delivered: {} spans, {} spans that had not ended, {} log records",
            self.spans, self.open_spans, self.log_records
        )?;
        if self.metrics {
            f.write_str(", the last metrics")?;
        }
        self.reasons.iter().try_for_each(|reason| write!(f, "; {reason}"))
    }
}

impl error::Error for Undelivered {}

/// Delivers what there is and ends what runs, on a thread that may wait.
///
/// The SDK waits for fixed times of its own; what makes all its threads return within the deadline
/// is that exports fail once `abandon` says so.
pub(crate) fn finish(mut parts: Parts, deadline: Duration) -> Result<(), Undelivered> {
    // What is longer means the same, and would overflow.
    let deadline = deadline.min(LONGEST);
    let end = Instant::now() + deadline;
    if let Some(runtime) = &parts.runtime {
        let abandon = parts.abandon.clone();
        runtime.handle().spawn(async move {
            time::sleep(deadline).await;
            abandon.send_replace(true);
        });
    }
    let rest = || end.saturating_duration_since(Instant::now()) + GRACE;
    // What the SDK logs of its end is not exported: it would come when nothing takes it any more.
    let quiet = Context::enter_telemetry_suppressed_scope;
    let _quiet = quiet();
    let mut collected = true;
    thread::scope(|scope| {
        scope.spawn(|| {
            let _quiet = quiet();
            flush(&parts, Signal::Traces, end, || parts.tracers.force_flush());
            let _ = parts.tracers.shutdown_with_timeout(rest());
        });
        scope.spawn(|| {
            let _quiet = quiet();
            flush(&parts, Signal::Logs, end, || parts.loggers.force_flush());
            let _ = parts.loggers.shutdown_with_timeout(rest());
        });
        // Without a flush before it, for each of them exports all there is.
        let result = parts.meters.shutdown();
        let gave_up = matches!(&result, Err(error) if is_timeout(error));
        collected = result.is_ok() || gave_up;
        // It waits for five seconds at most, and for what is measured by callbacks too.
        let mut limit = end;
        while gave_up && !is_closed(&parts) && Instant::now() < limit + GRACE {
            if *parts.abandon.borrow() {
                limit = limit.min(Instant::now());
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    let undelivered = undelivered(&parts, collected);
    parts.abandon.send_replace(true);
    if !is_closed(&parts) || parts.ledgers.iter().any(|ledger| ledger.is_under_way()) {
        // Somebody still exports, after all: to take the runtime from under it would be a panic.
        mem::forget(parts.runtime.take());
    }
    undelivered
}

/// A flush of the SDK gives up after five seconds, whatever the deadline: it is asked again.
fn flush(parts: &Parts, signal: Signal, end: Instant, flush: impl Fn() -> OTelSdkResult) {
    loop {
        let began = Instant::now();
        let result = flush();
        let timed_out = result.is_err() && began.elapsed() > Duration::from_secs(1);
        let is_pending = of(parts, signal).any(|ledger| ledger.pending() > 0);
        if !timed_out || Instant::now() >= end || !is_pending {
            return;
        }
    }
}

/// Whether the last export of metrics is over, whatever became of it.
fn is_closed(parts: &Parts) -> bool {
    of(parts, Signal::Metrics).all(|ledger| ledger.is_closed())
}

/// A provider wraps what its readers say into a text.
fn is_timeout(error: &OTelSdkError) -> bool {
    match error {
        OTelSdkError::Timeout(_) => true,
        OTelSdkError::InternalFailure(text) => text.contains("Timeout"),
        OTelSdkError::AlreadyShutdown => false,
    }
}

fn undelivered(parts: &Parts, collected: bool) -> Result<(), Undelivered> {
    let spans = of(parts, Signal::Traces).map(|ledger| ledger.undelivered()).sum();
    let open_spans = of(parts, Signal::Traces).map(|ledger| ledger.open()).sum();
    let log_records = of(parts, Signal::Logs).map(|ledger| ledger.undelivered()).sum();
    let is_missed = |ledger: &Ledger| {
        // Where each export holds all there is, it is the last that counts.
        let earlier = parts.metrics_are_deltas && ledger.undelivered() > 0;
        !collected || !ledger.is_closed() || ledger.failure().is_some() || earlier
    };
    let metrics = of(parts, Signal::Metrics).any(is_missed);
    if spans == 0 && open_spans == 0 && log_records == 0 && !metrics {
        return Ok(());
    }
    let reasons = parts.ledgers.iter().filter_map(|ledger| ledger.failure()).collect();
    Err(Undelivered { spans, open_spans, log_records, metrics, reasons })
}

fn of(parts: &Parts, signal: Signal) -> impl Iterator<Item = &Ledger> {
    parts.ledgers.iter().map(AsRef::as_ref).filter(move |ledger| ledger.signal() == signal)
}

/// What the SDK's threads need to return once their exports fail.
const GRACE: Duration = Duration::from_millis(500);

/// A day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
