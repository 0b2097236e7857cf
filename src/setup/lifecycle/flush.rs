//! Delivers what has been recorded so far, while telemetry goes on.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult, logs::SdkLoggerProvider, metrics::SdkMeterProvider,
    trace::SdkTracerProvider,
};
use tokio::sync::oneshot;

use super::{Telemetry, Undelivered};
use crate::setup::{export::Ledger, settings::Signal};

/// The parts of telemetry that a flush uses.
#[derive(Clone)]
pub(super) struct Flush {
    pub(super) tracers: SdkTracerProvider,
    pub(super) meters: SdkMeterProvider,
    pub(super) loggers: SdkLoggerProvider,
    pub(super) ledgers: Vec<Arc<Ledger>>,
}

impl Telemetry {
    /// Delivers what has been recorded so far. Telemetry goes on.
    ///
    /// It is for programs that are frozen or inspected while they run: serverless functions, between two
    /// steps of a job, and tests. It may be called on any thread, in a runtime of any kind. Spans that have
    /// not ended are not delivered. After the shutdown it does nothing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_telemetry::Telemetry;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let none = |name: &str| name.ends_with("EXPORTER").then(|| "none".to_owned());
    /// # let telemetry = Telemetry::builder().with_variables(none).without_globals().build()?;
    /// // ... handle an invocation ...
    /// telemetry.flush(Duration::from_secs(2)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns what was not delivered by the deadline: what still waits, which is kept and sent later, and
    /// what was lost meanwhile.
    pub async fn flush(&self, deadline: Duration) -> Result<(), Undelivered> {
        let Some(flush) = self.flushable() else { return Ok(()) };
        let (done, outcome) = oneshot::channel();
        let thread = thread::Builder::new().name("telemetry-flush".to_owned());
        let run = flush.clone();
        let spawned = thread.spawn(move || _ = done.send(run.until(deadline)));
        match spawned {
            Ok(_) => outcome.await.unwrap_or_else(|_| Err(Undelivered::unknown())),
            // No thread is available, so this one blocks.
            Err(_) => flush.until(deadline),
        }
    }
}

impl Flush {
    /// Flushes all signals at once. It blocks until the deadline at most.
    fn until(self, deadline: Duration) -> Result<(), Undelivered> {
        let end = Instant::now().checked_add(deadline);
        let rest = || end.map_or(deadline, |end| end.saturating_duration_since(Instant::now()));
        let dropped_before = self.sum(Ledger::dropped);
        let (done, is_done) = mpsc::channel();
        let Self { tracers, loggers, meters, ledgers } = self.clone();
        let of_signal = |signal: Signal| {
            let of_signal = ledgers.iter().filter(move |ledger| ledger.signal() == signal);
            of_signal.cloned().collect::<Vec<_>>()
        };
        let (spans, records) = (of_signal(Signal::Traces), of_signal(Signal::Logs));
        // The SDK may need longer than the deadline, and is not awaited then.
        let traces = move || again(end, &spans, || tracers.force_flush());
        let logs = move || again(end, &records, || loggers.force_flush());
        flush_in_thread(&done, Signal::Traces, traces);
        flush_in_thread(&done, Signal::Logs, logs);
        flush_in_thread(&done, Signal::Metrics, move || meters.force_flush());
        drop(done);
        let mut metrics = true;
        while let Ok((signal, result)) = is_done.recv_timeout(rest()) {
            if signal == Signal::Metrics {
                metrics = result.is_err();
            }
        }
        let [dropped_spans, dropped_records] = self.sum(Ledger::dropped);
        let [pending_spans, pending_records] = self.sum(Ledger::pending);
        let spans = pending_spans + dropped_spans.saturating_sub(dropped_before[0]);
        let log_records = pending_records + dropped_records.saturating_sub(dropped_before[1]);
        if spans == 0 && log_records == 0 && !metrics {
            return Ok(());
        }
        let reasons = self.ledgers.iter().filter_map(|ledger| ledger.failure()).collect();
        Err(Undelivered { spans, open_spans: 0, log_records, metrics, reasons })
    }

    /// Returns the sums of spans and of log records.
    fn sum(&self, count: impl Fn(&Ledger) -> u64) -> [u64; 2] {
        [Signal::Traces, Signal::Logs].map(|signal| {
            let of_signal = self.ledgers.iter().filter(|ledger| ledger.signal() == signal);
            of_signal.map(|ledger| count(ledger)).sum()
        })
    }
}

/// Flushes until everything has left. A processor gives up earlier than the deadline may be.
fn again(
    end: Option<Instant>,
    ledgers: &[Arc<Ledger>],
    flush: impl Fn() -> OTelSdkResult,
) -> OTelSdkResult {
    loop {
        let result = flush();
        let is_late = end.is_some_and(|end| Instant::now() >= end);
        if result.is_ok() || is_late || ledgers.iter().all(|ledger| ledger.pending() == 0) {
            return result;
        }
    }
}

fn flush_in_thread(
    done: &mpsc::Sender<(Signal, OTelSdkResult)>,
    signal: Signal,
    flush: impl FnOnce() -> OTelSdkResult + Send + 'static,
) {
    let done = done.clone();
    let thread = thread::Builder::new().name("telemetry-flush".to_owned());
    // Without a thread, its signal counts as not delivered.
    let _ = thread.spawn(move || {
        let _quiet = Context::enter_telemetry_suppressed_scope();
        let _ = done.send((signal, flush()));
    });
}
