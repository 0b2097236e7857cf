//! Shuts telemetry down within one deadline, and reports what was not delivered.

use std::{
    collections::BTreeSet,
    error, fmt,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use opentelemetry::Context;
use tokio::time;

use crate::setup::{
    export::{Ledger, Parts, Phase},
    settings::Signal,
};

/// Telemetry that was recorded and not delivered. A loss that a notice reported, and after which
/// telemetry arrived again, is no failure of the shutdown and not in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Undelivered {
    pub(super) spans: u64,
    pub(super) open_spans: u64,
    pub(super) log_records: u64,
    pub(super) metrics: bool,
    pub(super) reasons: Vec<String>,
}

impl Undelivered {
    /// The shutdown itself failed, so the numbers are unknown.
    pub(crate) fn unknown() -> Self {
        let reasons = vec!["the shutdown of telemetry panicked".to_owned()];
        Self { spans: 0, open_spans: 0, log_records: 0, metrics: true, reasons }
    }

    /// Returns the number of ended spans that were not delivered: dropped by a full queue, refused or
    /// rejected by the receiver, or still queued when the deadline passed.
    pub fn spans(&self) -> u64 {
        self.spans
    }

    /// Returns the number of spans that had not ended.
    pub fn open_spans(&self) -> u64 {
        self.open_spans
    }

    /// Returns the number of log records that were not delivered.
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
/// Exports fail once they are abandoned, so everything returns within the deadline.
pub(crate) fn finish(parts: Parts, deadline: Duration) -> Result<(), Undelivered> {
    // A longer deadline means the same, and would overflow.
    let deadline = deadline.min(LONGEST);
    let end = Instant::now() + deadline;
    let place = |ledger: &Ledger| (ledger.route().address.clone(), ledger.route().port);
    let failing = parts.ledgers.iter().filter(|ledger| ledger.is_failing());
    let failing: BTreeSet<_> = failing.map(|ledger| place(ledger)).collect();
    parts.ledgers.iter().for_each(|ledger| ledger.ends(failing.contains(&place(ledger))));
    parts.phase.send_replace(Phase::Ending);
    if let Some(runtime) = &parts.runtime {
        let phase = parts.phase.clone();
        runtime.handle().spawn(async move {
            time::sleep(deadline).await;
            phase.send_replace(Phase::Abandoned);
        });
    }
    let rest = end.saturating_duration_since(Instant::now()) + GRACE;
    let Parts { tracers, loggers, meters, .. } = &parts;
    let (tracers, loggers, meters) = (tracers.clone(), loggers.clone(), meters.clone());
    let traces = in_thread(move || tracers.shutdown_with_timeout(rest));
    let logs = in_thread(move || loggers.shutdown_with_timeout(rest));
    let metrics = in_thread(move || {
        let began = Instant::now();
        let result = meters.shutdown();
        // The SDK gives up after five seconds, in which observable instruments may still be read.
        let gave_up = result.is_err() && began.elapsed() >= SDK_PATIENCE;
        Collected { is_complete: result.is_ok() || gave_up, gave_up }
    });
    // The exporters return within the deadline. A processor or a reader of the user's may not.
    let collected = wait_for(&metrics, end + GRACE);
    let collected = collected.unwrap_or(Collected { is_complete: true, gave_up: true });
    let mut limit = end;
    while collected.gave_up && !is_closed(&parts) && Instant::now() < limit + GRACE {
        if *parts.phase.borrow() == Phase::Abandoned {
            limit = limit.min(Instant::now());
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = (wait_for(&traces, end + 2 * GRACE), wait_for(&logs, end + 2 * GRACE));
    let undelivered = undelivered(&parts, collected.is_complete);
    parts.phase.send_replace(Phase::Abandoned);
    undelivered
}

/// The outcome of the last collection of metrics.
struct Collected {
    is_complete: bool,
    /// The SDK waits no longer, but the collection goes on.
    gave_up: bool,
}

/// Runs the shutdown of a provider in a thread, or here if no thread is available.
fn in_thread<T: Send + 'static>(
    shut_down: impl Fn() -> T + Send + Sync + 'static,
) -> mpsc::Receiver<T> {
    let (done, outcome) = mpsc::sync_channel(1);
    let run = Arc::new(move || {
        // The SDK logs its shutdown, which is too late to be exported.
        let _quiet = Context::enter_telemetry_suppressed_scope();
        let _ = done.send(shut_down());
    });
    let in_thread = Arc::clone(&run);
    let thread = thread::Builder::new().name("telemetry-shutdown".to_owned());
    if thread.spawn(move || in_thread()).is_err() {
        run();
    }
    outcome
}

fn wait_for<T>(outcome: &mpsc::Receiver<T>, end: Instant) -> Option<T> {
    outcome.recv_timeout(end.saturating_duration_since(Instant::now())).ok()
}

/// Returns true if the last export of metrics has ended, successfully or not.
fn is_closed(parts: &Parts) -> bool {
    of(parts, Signal::Metrics).all(|ledger| ledger.is_closed())
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

/// The time that the SDK waits for the last collection of metrics.
const SDK_PATIENCE: Duration = Duration::from_secs(5);

/// The time that the SDK's threads need to return after their exports fail.
const GRACE: Duration = Duration::from_millis(500);

/// A day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
