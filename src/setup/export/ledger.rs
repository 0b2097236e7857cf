//! Accounts for delivery, and tells the operator when it starts to fail and when it recovers.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{
    exporter_metrics::AttemptRecorder,
    notices::{self, Route},
    otlp::{Answer, ExportFailure},
    told::{Notice, Told},
};
use crate::{setup::settings::Signal, stdout::warn};

/// Delivery accounting for one signal and one destination: recorded, delivered, lost.
///
/// Items are spans, log records or data points.
#[derive(Debug)]
pub(crate) struct Ledger {
    route: Route,
    /// Spans that have started.
    started: AtomicU64,
    recorded: AtomicU64,
    /// Items that a full queue dropped.
    overflowed: AtomicU64,
    /// Items whose export has begun.
    departed: AtomicU64,
    delivered: AtomicU64,
    /// Items that the receiver refused or rejected, or that were given up.
    lost: AtomicU64,
    closed: AtomicBool,
    told: Mutex<Told>,
    /// Set when the meter provider has been built.
    pub(super) attempts: OnceLock<AttemptRecorder>,
}

impl Ledger {
    pub(crate) fn new(route: Route) -> Self {
        Self {
            route,
            started: AtomicU64::new(0),
            recorded: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            departed: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            told: Mutex::default(),
            attempts: OnceLock::new(),
        }
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    pub(crate) fn signal(&self) -> Signal {
        self.route.signal
    }

    /// Counts a span that has started.
    pub(crate) fn start(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    /// Counts recorded items.
    pub(crate) fn record(&self, items: u64) {
        self.recorded.fetch_add(items, Relaxed);
    }

    /// Counts an item that the full queue dropped.
    pub(crate) fn overflow(&self) {
        self.recorded.fetch_add(1, Relaxed);
        self.overflowed.fetch_add(1, Relaxed);
    }

    /// Counts items that are being exported from now on.
    pub(super) fn depart(&self, items: u64) {
        self.departed.fetch_add(items, Relaxed);
    }

    /// Returns the number of spans that have started and not ended.
    pub(crate) fn open(&self) -> u64 {
        self.started.load(Relaxed).saturating_sub(self.recorded.load(Relaxed))
    }

    /// Returns the number of items that are queued or being exported.
    pub(crate) fn pending(&self) -> u64 {
        self.recorded().saturating_sub(self.overflowed() + self.finished())
    }

    pub(crate) fn recorded(&self) -> u64 {
        self.recorded.load(Relaxed)
    }

    /// Returns the number of items that were lost since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.overflowed() + self.lost.load(Relaxed)
    }

    /// Returns the number of items that wait in the queue.
    pub(crate) fn queued(&self) -> u64 {
        self.recorded().saturating_sub(self.overflowed() + self.departed())
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.departed().saturating_sub(self.finished())
    }

    /// Returns the number of items whose export has begun.
    pub(crate) fn departed(&self) -> u64 {
        self.departed.load(Relaxed)
    }

    fn finished(&self) -> u64 {
        self.delivered_items() + self.lost.load(Relaxed)
    }

    pub(crate) fn delivered_items(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Relaxed)
    }

    /// Returns the items that the receiver did not take, by `error.type`.
    pub(crate) fn losses(&self) -> BTreeMap<String, u64> {
        self.told().lost.clone()
    }

    /// Returns the number of items that were recorded and not delivered, without those that were old news
    /// when the shutdown began.
    pub(crate) fn undelivered(&self) -> u64 {
        let missing = self.recorded().saturating_sub(self.delivered_items());
        missing.saturating_sub(self.told().old_news)
    }

    /// Marks that no further export will start.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Marks that the shutdown has begun, and whether exports to the destination had failed before.
    pub(crate) fn ends(&self, was_failing: bool) {
        self.told().end(was_failing);
    }

    /// Returns true if the last export failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.told().outage.is_some()
    }

    /// Returns true if exports to the destination had failed before the shutdown began.
    pub(crate) fn was_failing(&self) -> bool {
        self.told().was_failing
    }

    /// Returns why the last export failed, if it failed.
    pub(crate) fn failure(&self) -> Option<String> {
        let told = self.told();
        let outage = told.outage.as_ref()?;
        Some(notices::reason(&self.route, &outage.failure))
    }

    /// Records an attempt.
    pub(crate) fn attempted(&self, lasted: Duration, failure: Option<&ExportFailure>) {
        if let Some(attempts) = self.attempts.get() {
            attempts.record(lasted, failure);
        }
    }

    /// Counts items that the receiver took, but for those that it rejected.
    pub(super) fn delivered(&self, items: u64, answer: &Answer) {
        let rejected = answer.rejected.min(items);
        self.delivered.fetch_add(items - rejected, Relaxed);
        self.lost.fetch_add(rejected, Relaxed);
        let mut told = self.told();
        let was_told = told.outage.as_ref().is_some_and(|outage| outage.is_told);
        let recovery = was_told.then(|| {
            told.tell_all(self.overflowed());
            notices::recovered(&self.route, told.reported + told.reported_overflow)
        });
        let rejection = self.rejection(&mut told, items, rejected, answer);
        told.succeed();
        drop(told);
        recovery.iter().chain(&rejection).for_each(|text| warn(text));
    }

    fn rejection(
        &self,
        told: &mut Told,
        items: u64,
        rejected: u64,
        answer: &Answer,
    ) -> Option<String> {
        if rejected > 0 {
            told.lose(rejected, "rejected".to_owned());
        }
        let is_news = rejected > 0 || !answer.message.is_empty();
        if !is_news || !told.may_tell(Notice::Rejection) {
            return None;
        }
        let lost = told.tell_losses();
        Some(notices::rejected(&self.route, (rejected, items), lost, &answer.message))
    }

    /// An attempt failed, and another one follows. The first one was `lasted` ago.
    pub(super) fn delayed(&self, failure: &ExportFailure, lasted: Duration) {
        let mut told = self.told();
        let is_told = told.fail(failure);
        let is_news = !is_told || told.untold() > 0 || self.overflowed() > told.reported_overflow;
        let is_due = is_news && lasted >= NOTICE_DELAY && told.may_tell(Notice::Failure);
        let text = is_due.then(|| {
            let lost = told.tell_all(self.overflowed());
            notices::delayed(&self.route, failure, lost)
        });
        drop(told);
        text.iter().for_each(|text| warn(text));
    }

    /// Counts items that the receiver refused, or that were dropped `after` some time of attempts.
    pub(super) fn lost(&self, items: u64, failure: &ExportFailure, after: Option<Duration>) {
        self.lost.fetch_add(items, Relaxed);
        let mut told = self.told();
        told.lose(items, failure.kind());
        told.fail(failure);
        let text = told.may_tell(Notice::Failure).then(|| {
            let lost = told.tell_losses();
            notices::lost(&self.route, failure, lost, after)
        });
        drop(told);
        text.iter().for_each(|text| warn(text));
    }

    /// Counts items that the shutdown gave up. It reports them itself.
    pub(super) fn given_up(&self, items: u64, failure: &ExportFailure) {
        self.lost.fetch_add(items, Relaxed);
        let mut told = self.told();
        told.lose(items, failure.kind());
        // An earlier failure says more than the deadline.
        if told.outage.is_none() || *failure != ExportFailure::Abandoned {
            told.fail(failure);
        }
    }

    /// Tells of items that the full queue dropped since the last notice, [`OVERFLOW_DELAY`] after they were
    /// first noticed.
    pub(crate) fn tell_overflow(&self) {
        let overflowed = self.overflowed();
        let mut told = self.told();
        let news = overflowed - told.reported_overflow;
        if news == 0 {
            return;
        }
        let noticed = *told.overflow_noticed.get_or_insert_with(Instant::now);
        if noticed.elapsed() < OVERFLOW_DELAY || !told.may_tell(Notice::Overflow) {
            return;
        }
        told.reported_overflow = overflowed;
        told.overflow_noticed = None;
        let failure = told.outage.as_ref().map(|outage| outage.failure.clone());
        drop(told);
        warn(&notices::overflow(&self.route, news, failure.as_ref()));
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time after which the operator is told of an export that is retried. A busy receiver may need
/// some seconds. A refusal is reported at once.
const NOTICE_DELAY: Duration = Duration::from_secs(5);

/// The time from the first dropped item to the notice, so that the notice counts the whole burst and not
/// only its first items.
const OVERFLOW_DELAY: Duration = Duration::from_secs(1);
