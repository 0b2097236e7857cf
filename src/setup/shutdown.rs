//! The end: everything delivered within one deadline, and what was not, told.

use std::{
    error, fmt, thread,
    time::{Duration, Instant},
};

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use tokio::time;

use super::{Signal, assembly::Parts, ledger::Ledger};

/// What was recorded and did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    spans: u64,
    open_spans: u64,
    log_records: u64,
    metrics: bool,
    reasons: Vec<String>,
}

impl Undelivered {
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

    /// Whether the last measurements were not delivered.
    pub fn metrics(&self) -> bool {
        self.metrics
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
pub(super) fn finish(mut parts: Parts, deadline: Duration) -> Result<(), Undelivered> {
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
        let _ = parts.meters.shutdown();
        while is_pending(&parts, Signal::Metrics) && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
    });
    parts.abandon.send_replace(true);
    parts.runtime.take();
    undelivered(&parts)
}

/// A flush of the SDK gives up after five seconds, whatever the deadline: it is asked again.
fn flush(parts: &Parts, signal: Signal, end: Instant, flush: impl Fn() -> OTelSdkResult) {
    loop {
        let began = Instant::now();
        let result = flush();
        let timed_out = result.is_err() && began.elapsed() > Duration::from_secs(1);
        if !timed_out || Instant::now() >= end || !is_pending(parts, signal) {
            return;
        }
    }
}

fn is_pending(parts: &Parts, signal: Signal) -> bool {
    of(parts, signal).any(|ledger| ledger.pending() > 0)
}

fn undelivered(parts: &Parts) -> Result<(), Undelivered> {
    let spans = of(parts, Signal::Traces).map(|ledger| ledger.undelivered()).sum();
    let open_spans = of(parts, Signal::Traces).map(|ledger| ledger.open()).sum();
    let log_records = of(parts, Signal::Logs).map(|ledger| ledger.undelivered()).sum();
    let metrics = of(parts, Signal::Metrics).any(|ledger| ledger.failure().is_some());
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
