//! The queue of spans or log records, and the task that exports them in batches.
//!
//! The SDK's batch processors export one batch at a time, drop silently what exceeds their queue, and
//! return `Ok` from a shutdown that delivered nothing.

use std::{
    collections::VecDeque,
    fmt, mem,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use opentelemetry::{Context, InstrumentationScope, trace::Span as _};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    logs::{LogProcessor, SdkLogRecord},
    trace::{Span, SpanData, SpanProcessor},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{self, MissedTickBehavior},
};

use super::{
    items::Items,
    ledger::Ledger,
    otlp::{Batched, OtlpSender, ScopedRecord},
};
use crate::setup::settings::Batch;

/// A processor that queues items and exports them in batches, several at a time.
pub(crate) struct BatchQueue<T>(Arc<Shared<T>>);

/// Without the items, which may be many.
impl<T> fmt::Debug for BatchQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BatchQueue").field(&self.0.ledger).finish()
    }
}

struct Shared<T> {
    waiting: Mutex<Waiting<T>>,
    wake: Notify,
    capacity: u64,
    batch_size: usize,
    ledger: Arc<Ledger>,
}

struct Waiting<T> {
    /// Batches to export, the oldest first.
    full: VecDeque<Vec<T>>,
    /// The batch that is being filled.
    current: Vec<T>,
    /// Those who wait until everything is exported.
    flushes: Vec<Sender<()>>,
}

impl<T: Batched> BatchQueue<T> {
    /// Starts the task that exports what is queued.
    pub(crate) fn start(
        settings: &Batch,
        sender: OtlpSender,
        resource: ResourceAttributesWithSchema,
        runtime: &Handle,
    ) -> Self {
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Waiting {
                full: VecDeque::new(),
                current: Vec::new(),
                flushes: Vec::new(),
            }),
            wake: Notify::new(),
            capacity: settings.queue_size as u64,
            batch_size: settings.batch_size,
            ledger: Arc::clone(&sender.ledger),
        });
        runtime.spawn(run(Arc::clone(&shared), settings.delay, Arc::new(sender), resource));
        Self(shared)
    }

    fn push(&self, item: T) {
        let Shared { wake, capacity, batch_size, ledger, .. } = &*self.0;
        let mut waiting = self.0.waiting();
        if ledger.pending() >= *capacity {
            ledger.overflow();
            return;
        }
        ledger.record(1);
        if waiting.current.capacity() == 0 {
            waiting.current.reserve_exact(*batch_size);
        }
        waiting.current.push(item);
        if waiting.current.len() >= *batch_size {
            let batch = mem::take(&mut waiting.current);
            waiting.full.push_back(batch);
            wake.notify_one();
        }
    }

    /// Waits until everything that is queued now has been exported.
    fn flush(&self, timeout: Duration) -> OTelSdkResult {
        let (done, is_done) = mpsc::channel();
        self.0.waiting().flushes.push(done);
        self.0.wake.notify_one();
        match is_done.recv_timeout(timeout) {
            Ok(()) => match self.0.ledger.failure() {
                Some(reason) => Err(OTelSdkError::InternalFailure(reason)),
                None => Ok(()),
            },
            Err(RecvTimeoutError::Timeout) => Err(OTelSdkError::Timeout(timeout)),
            // The runtime has ended.
            Err(RecvTimeoutError::Disconnected) => Err(OTelSdkError::AlreadyShutdown),
        }
    }
}

impl<T> Shared<T> {
    /// Closes the batch that is being filled, if `is_due`. Returns the number of batches to export.
    fn close_batch(&self, is_due: bool) -> usize {
        let mut waiting = self.waiting();
        if is_due && !waiting.current.is_empty() {
            let batch = mem::take(&mut waiting.current);
            waiting.full.push_back(batch);
        }
        waiting.full.len()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run<T: Batched>(
    shared: Arc<Shared<T>>,
    delay: Duration,
    sender: Arc<OtlpSender>,
    resource: ResourceAttributesWithSchema,
) {
    let resource = Arc::new(resource);
    let permits = Arc::new(Semaphore::new(EXPORTS));
    let mut ticks = time::interval_at(time::Instant::now() + delay, delay);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_due = tokio::select! {
            () = shared.wake.notified() => false,
            _ = ticks.tick() => true,
        };
        let flushes = mem::take(&mut shared.waiting().flushes);
        for _ in 0..shared.close_batch(is_due || !flushes.is_empty()) {
            let Some(permit) = permit(&permits, &shared.ledger).await else { return };
            let Some(batch) = shared.waiting().full.pop_front() else { break };
            let (sender, resource) = (Arc::clone(&sender), Arc::clone(&resource));
            tokio::spawn(async move {
                let items = Items::new(&sender.ledger, batch.len() as u64);
                let request = T::request(batch, &resource);
                // The ledger has the outcome.
                let _ = sender.deliver(request, items).await;
                drop(permit);
            });
        }
        shared.ledger.tell_overflow();
        if !flushes.is_empty() {
            // Once all permits are back, all exports have ended.
            let _all = permits.acquire_many(EXPORTS as u32).await;
            flushes.iter().for_each(|done| _ = done.send(()));
        }
    }
}

/// Waits until another export may run, and tells of overflows meanwhile.
async fn permit(permits: &Arc<Semaphore>, ledger: &Ledger) -> Option<OwnedSemaphorePermit> {
    let mut acquired = pin!(Arc::clone(permits).acquire_owned());
    loop {
        tokio::select! {
            biased;
            permit = &mut acquired => return permit.ok(),
            () = time::sleep(OVERFLOW_CHECK) => ledger.tell_overflow(),
        }
    }
}

impl SpanProcessor for BatchQueue<SpanData> {
    fn on_start(&self, span: &mut Span, _: &Context) {
        if span.span_context().is_sampled() {
            self.0.ledger.start();
        }
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(FLUSH_TIMEOUT)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(timeout)
    }
}

impl LogProcessor for BatchQueue<ScopedRecord> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.push((record.clone(), scope.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(FLUSH_TIMEOUT)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(timeout)
    }
}

/// The exports of one signal that run at a time.
const EXPORTS: usize = 4;

/// The time after which an overflow is told at the latest.
const OVERFLOW_CHECK: Duration = Duration::from_secs(1);

/// The time that a flush without a deadline waits: the SDK's.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
