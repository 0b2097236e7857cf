//! What was recorded, what arrived, and what the operator is told of the difference.

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

use super::warn;
use crate::setup::settings::Signal;

/// The accounts of one signal's way to one destination.
///
/// The SDK's processors drop what their queue can't take, and `Ok` from them proves no delivery. So
/// it is counted here: what came in, what is in the queue or under way, what the receiver took.
#[derive(Debug)]
pub(crate) struct Ledger {
    signal: Signal,
    destination: String,
    capacity: u64,
    started: AtomicU64,
    recorded: AtomicU64,
    pending: AtomicU64,
    /// Exports that are followed, of which the SDK makes one at a time.
    under_way: AtomicU64,
    closed: AtomicBool,
    delivered: AtomicU64,
    /// Dropped by a full queue, or given up.
    lost: AtomicU64,
    /// Why the receiver takes nothing, while it takes nothing.
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
            under_way: AtomicU64::new(0),
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

    /// Something began that will be recorded when it ends.
    pub(crate) fn start(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    /// Something is recorded. False if the queue can't take it.
    pub(crate) fn admit(&self) -> bool {
        self.recorded.fetch_add(1, Relaxed);
        let has_room = |pending: u64| (pending < self.capacity).then_some(pending + 1);
        let is_admitted = self.pending.fetch_update(Relaxed, Relaxed, has_room).is_ok();
        if !is_admitted {
            self.lost.fetch_add(1, Relaxed);
        }
        is_admitted
    }

    /// How many are in the queue or under way.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.load(Relaxed)
    }

    /// How many were recorded and did not arrive.
    pub(crate) fn undelivered(&self) -> u64 {
        self.recorded.load(Relaxed).saturating_sub(self.delivered.load(Relaxed))
    }

    /// How many began and have not ended.
    pub(crate) fn open(&self) -> u64 {
        self.started.load(Relaxed).saturating_sub(self.recorded.load(Relaxed))
    }

    /// Whether an export is under way.
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way.load(SeqCst) > 0
    }

    /// No export comes any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Why the receiver took nothing, if it took nothing the last time.
    pub(crate) fn failure(&self) -> Option<String> {
        let reason = self.outage().clone()?;
        Some(format!("{} to {}: {reason}", self.signal, self.destination))
    }

    /// Follows the export of a batch to its end, or until nobody waits for it any more.
    pub(crate) async fn follow(
        &self,
        items: u64,
        export: impl Future<Output = OTelSdkResult> + Send,
    ) -> OTelSdkResult {
        self.under_way.fetch_add(1, SeqCst);
        let mut abandoned = self.abandoned.clone();
        let mut export = std::pin::pin!(export);
        let mut patience = std::pin::pin!(time::sleep(PATIENCE));
        let mut is_patient = true;
        let result = loop {
            tokio::select! {
                biased;
                result = &mut export => break result,
                _ = abandoned.wait_for(|abandoned| *abandoned) => {
                    break Err(OTelSdkError::InternalFailure("given up at shutdown".to_owned()));
                }
                () = &mut patience, if is_patient => {
                    is_patient = false;
                    self.fails(&format!("no success within {PATIENCE:?}"));
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
        self.under_way.fetch_sub(1, SeqCst);
        result
    }

    /// Tells of the first failure, and keeps the reason of the last.
    fn fails(&self, reason: &str) {
        if self.outage().replace(reason.to_owned()).is_some() {
            return;
        }
        let Self { signal, destination, capacity, .. } = self;
        let text = match self.signal {
            Signal::Metrics => format!(
                "{signal} don't arrive at {destination}: {reason}. Each interval is a new attempt; a \
                 notice follows when they arrive"
            ),
            Signal::Traces | Signal::Logs => format!(
                "{signal} don't arrive at {destination}: {reason}. Up to {capacity} are kept and \
                 sent again, what is beyond is dropped; a notice follows when they arrive"
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

/// How long a receiver may take nothing before the operator is told. Shorter than what a busy one
/// needs would cry wolf; what is wrong for good is told at once.
const PATIENCE: Duration = Duration::from_secs(5);
