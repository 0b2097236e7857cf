//! Shuts telemetry down within one deadline, and reports what was not delivered.

use std::{
    collections::BTreeSet,
    error, fmt, mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::time;

use super::probe::refuses_connections;
use crate::setup::{
    export::{Ledger, Parts},
    settings::Signal,
};

/// Telemetry that was recorded and not delivered.
///
/// Items that a receiver accepted and then rejected in part (OTLP's partial success) count as
/// delivered.
#[derive(Clone, PartialEq, Eq)]
pub struct Undelivered {
    spans: u64,
    open_spans: u64,
    log_records: u64,
    metrics: bool,
    reasons: Vec<String>,
}

impl Undelivered {
    /// The shutdown itself failed, so the numbers are unknown.
    pub(crate) fn unknown() -> Self {
        let reasons = vec!["the shutdown of telemetry panicked".to_owned()];
        Self { spans: 0, open_spans: 0, log_records: 0, metrics: true, reasons }
    }

    /// Returns the number of ended spans that were not delivered since the start: dropped by a full
    /// queue, refused by the receiver, or still queued when the deadline passed.
    pub fn spans(&self) -> u64 {
        self.spans
    }

    /// Returns the number of spans that had not ended.
    pub fn open_spans(&self) -> u64 {
        self.open_spans
    }

    /// Returns the number of log records that were not delivered since the start.
    pub fn log_records(&self) -> u64 {
        self.log_records
    }

    /// Returns true if the last metrics were not delivered; with delta temporality, if any were not.
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

/// Delivers what is queued and shuts all providers down. It blocks.
///
/// The SDK waits for fixed times. Exports fail once `abandon` is true, so all its threads return
/// within the deadline.
pub(crate) fn finish(mut parts: Parts, deadline: Duration) -> Result<(), Undelivered> {
    // A longer deadline means the same, and would overflow.
    let deadline = deadline.min(LONGEST);
    let end = Instant::now() + deadline;
    if let Some(runtime) = &parts.runtime {
        let abandon = parts.abandon.clone();
        runtime.handle().spawn(async move {
            time::sleep(deadline).await;
            abandon.send_replace(true);
        });
    }
    abandon_what_is_refused(&parts);
    let rest = || end.saturating_duration_since(Instant::now()) + GRACE;
    // The SDK logs its shutdown, which is too late to be exported.
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
        // Without a flush before, because each of the two exports all series.
        let result = parts.meters.shutdown();
        let gave_up = matches!(&result, Err(error) if is_timeout(error));
        collected = result.is_ok() || gave_up;
        // The SDK waits for five seconds at most, in which observable instruments may still be
        // read.
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
    if !is_closed(&parts) || parts.ledgers.iter().any(|ledger| ledger.is_exporting()) {
        // An export is still running. Dropping the runtime under it would panic, so it is leaked.
        mem::forget(parts.runtime.take());
    }
    undelivered
}

/// Abandons exports if all receivers have failed before and refuse connections now, so that a
/// Collector that is down does not delay the end of the process.
///
/// The attempts of the exporters are up to five seconds apart, so it is a probe that finds a receiver
/// that has just come back.
fn abandon_what_is_refused(parts: &Parts) {
    let failing = parts.ledgers.iter().filter(|ledger| ledger.failure().is_some());
    let failing: BTreeSet<_> = failing.map(|ledger| ledger.destination().to_owned()).collect();
    let is_failing = |ledger: &Arc<Ledger>| failing.contains(ledger.destination());
    if failing.is_empty() || !parts.ledgers.iter().all(is_failing) {
        return;
    }
    let abandon = parts.abandon.clone();
    // It may wait for a name server, and the shutdown does not wait for it.
    let probe = thread::Builder::new().name("telemetry-probe".to_owned()).spawn(move || {
        if failing.iter().all(|place| refuses_connections(place)) {
            abandon.send_replace(true);
        }
    });
    // Without a thread, the deadline holds.
    drop(probe);
}

/// Flushes until the deadline. The SDK gives up after five seconds, so it is asked again.
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

/// Returns true if the last export of metrics has ended, successfully or not.
fn is_closed(parts: &Parts) -> bool {
    of(parts, Signal::Metrics).all(|ledger| ledger.is_closed())
}

/// Returns true if an error is a timeout. A provider turns the errors of its readers into text.
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
        // Unless metrics are deltas, the last export contains all earlier measurements.
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

/// The time that the SDK's threads need to return after their exports fail.
const GRACE: Duration = Duration::from_millis(500);

/// A day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
