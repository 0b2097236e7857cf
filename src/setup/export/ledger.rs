//! Accounts for delivery, and tells the operator when it starts to fail and when it recovers.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::{sync::watch, time};

use crate::{setup::settings::Signal, stdout::warn};

/// Delivery accounting for one signal and one destination: recorded, queued, delivered, lost.
///
/// The SDK's processors drop items when their queue is full, and `Ok` from them does not prove
/// delivery.
#[derive(Debug)]
pub(crate) struct Ledger {
    signal: Signal,
    destination: String,
    capacity: u64,
    started: AtomicU64,
    recorded: AtomicU64,
    pending: AtomicU64,
    /// Exports in progress. The SDK exports one batch at a time.
    exporting: AtomicU64,
    closed: AtomicBool,
    delivered: AtomicU64,
    /// Items that a full queue dropped, or whose export failed.
    lost: AtomicU64,
    /// The reason of the last failure; `None` after a success.
    outage: Mutex<Option<String>>,
    abandoned: watch::Receiver<bool>,
}

impl Ledger {
    pub(crate) fn new(
        signal: Signal,
        destination: String,
        capacity: usize,
        abandoned: watch::Receiver<bool>,
    ) -> Self {
        Self {
            signal,
            destination,
            capacity: capacity as u64,
            started: AtomicU64::new(0),
            recorded: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            exporting: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            outage: Mutex::new(None),
            abandoned,
        }
    }

    pub(crate) fn signal(&self) -> Signal {
        self.signal
    }

    /// Returns scheme, host and port of the destination.
    pub(crate) fn destination(&self) -> &str {
        &self.destination
    }

    /// Counts a span that has started.
    pub(crate) fn start(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    /// Counts a recorded item. Returns false if the queue is full.
    pub(crate) fn admit(&self) -> bool {
        self.recorded.fetch_add(1, Relaxed);
        let has_room = |pending: u64| (pending < self.capacity).then_some(pending + 1);
        let is_admitted = self.pending.fetch_update(Relaxed, Relaxed, has_room).is_ok();
        if !is_admitted {
            self.lost.fetch_add(1, Relaxed);
        }
        is_admitted
    }

    /// Returns the number of items that are queued or being exported.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.load(Relaxed)
    }

    /// Returns the number of items that were recorded and not delivered.
    pub(crate) fn undelivered(&self) -> u64 {
        self.recorded.load(Relaxed).saturating_sub(self.delivered.load(Relaxed))
    }

    /// Returns the number of spans that have started and not ended.
    pub(crate) fn open(&self) -> u64 {
        self.started.load(Relaxed).saturating_sub(self.recorded.load(Relaxed))
    }

    /// Returns true while an export is in progress.
    pub(crate) fn is_exporting(&self) -> bool {
        self.exporting.load(SeqCst) > 0
    }

    /// Marks that no further export will start.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Returns why the last export failed, if it failed.
    pub(crate) fn failure(&self) -> Option<String> {
        let reason = self.outage().clone()?;
        Some(format!("{} to {}: {reason}", self.signal, self.destination))
    }

    /// Awaits the export of a batch, until it ends or exports are abandoned.
    pub(crate) async fn follow(
        &self,
        items: u64,
        export: impl Future<Output = OTelSdkResult> + Send,
    ) -> OTelSdkResult {
        self.exporting.fetch_add(1, SeqCst);
        let mut abandoned = self.abandoned.clone();
        let mut export = std::pin::pin!(export);
        let mut notice = std::pin::pin!(time::sleep(NOTICE_DELAY));
        let mut is_quiet = true;
        let result = loop {
            tokio::select! {
                biased;
                result = &mut export => break result,
                _ = abandoned.wait_for(|abandoned| *abandoned) => {
                    break Err(OTelSdkError::InternalFailure("abandoned at shutdown".to_owned()));
                }
                () = &mut notice, if is_quiet => {
                    is_quiet = false;
                    self.fails(&format!("no success within {NOTICE_DELAY:?}"));
                }
            }
        };
        self.pending.fetch_sub(items, Relaxed);
        match &result {
            Ok(()) => {
                self.delivered.fetch_add(items, Relaxed);
                self.succeeds();
            }
            Err(error) => {
                self.lost.fetch_add(items, Relaxed);
                self.fails(&error.to_string());
            }
        }
        self.exporting.fetch_sub(1, SeqCst);
        result
    }

    /// Reports the first failure, and stores the reason of the last one.
    fn fails(&self, reason: &str) {
        if self.outage().replace(reason.to_owned()).is_some() {
            return;
        }
        let Self { signal, destination, capacity, .. } = self;
        let text = match self.signal {
            Signal::Metrics => format!(
                "{signal} don't arrive at {destination}: {reason}. The next attempt follows \
                 after the interval; a notice follows when they arrive"
            ),
            Signal::Traces | Signal::Logs => format!(
                "{signal} don't arrive at {destination}: {reason}. Up to {capacity} are queued and \
                 retried, more are dropped; a notice follows when they arrive"
            ),
        };
        warn(&text);
    }

    fn succeeds(&self) {
        if self.outage().take().is_none() {
            return;
        }
        let Self { signal, destination, .. } = self;
        let lost = match (signal, self.lost.load(Relaxed)) {
            (Signal::Metrics, _) => String::new(),
            (_, 0) => ", none was lost".to_owned(),
            (_, lost) => format!(", {lost} were lost since the start"),
        };
        warn(&format!("{signal} arrive at {destination} again{lost}"));
    }

    fn outage(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time after which the operator is told of an export that lasts. A busy receiver may need some
/// seconds. An error that is not retried is reported at once.
const NOTICE_DELAY: Duration = Duration::from_secs(5);
