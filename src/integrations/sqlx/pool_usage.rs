//! The metrics of a pool.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry::{KeyValue, metrics::MeterProvider};
use sqlx::{Database, Pool};

use super::pool_name::PoolName;
use crate::{
    providers::global_meter_provider,
    resources::{Observation, POOL_NAME, PoolState, PoolTimes, observe_pool},
};

/// The metrics of a pool, shared by the pool and its connections.
pub(super) struct PoolUsage {
    name: PoolName,
    state: Arc<dyn Fn() -> PoolState + Send + Sync>,
    waiters: Arc<Waiters>,
    /// Empty: no global provider is installed yet.
    reported: OnceLock<Reported>,
}

struct Reported {
    times: PoolTimes,
    observation: Observation,
}

/// The callers that wait for a connection. sqlx does not count them.
#[derive(Debug, Default)]
struct Waiters {
    pending: AtomicUsize,
    timeouts: AtomicU64,
}

impl PoolUsage {
    /// Reports to this provider, or to the global one.
    pub(super) fn new<DB: Database>(
        name: &str,
        pool: Pool<DB>,
        provider: Option<&dyn MeterProvider>,
    ) -> Self {
        let waiters = Arc::<Waiters>::default();
        let counted = Arc::clone(&waiters);
        let state = move || {
            let options = pool.options();
            PoolState::of_size(pool.size() as usize, pool.num_idle())
                .with_limit(options.get_max_connections() as usize)
                .with_idle_min(options.get_min_connections() as usize)
                .with_pending(counted.pending.load(Ordering::Relaxed))
                .with_timeouts(counted.timeouts.load(Ordering::Relaxed))
        };
        let name = PoolName::take(name);
        let usage = Self { name, state: Arc::new(state), waiters, reported: OnceLock::new() };
        match provider {
            Some(provider) => _ = usage.report_to(provider),
            None => _ = usage.times(),
        }
        usage
    }

    /// Returns the histograms. `None`: no global provider is installed yet.
    fn times(&self) -> Option<&PoolTimes> {
        if let Some(reported) = self.reported.get() {
            return Some(&reported.times);
        }
        Some(self.report_to(&*global_meter_provider()?))
    }

    fn report_to<P: MeterProvider + ?Sized>(&self, provider: &P) -> &PoolTimes {
        let reported = self.reported.get_or_init(|| {
            let state = Arc::clone(&self.state);
            Reported {
                times: PoolTimes::new(provider, self.name.as_str()),
                observation: observe_pool(provider, self.name.as_str(), move || state()),
            }
        });
        &reported.times
    }

    pub(super) fn name_attribute(&self) -> KeyValue {
        KeyValue::new(POOL_NAME, self.name.as_str().to_owned())
    }

    /// Counts a caller that begins to wait.
    pub(super) fn begin_wait(&self) {
        self.waiters.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a caller that has ended its wait, for whatever reason.
    pub(super) fn end_wait(&self) {
        self.waiters.pending.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn count_timeout(&self) {
        self.waiters.timeouts.fetch_add(1, Ordering::Relaxed);
    }

    /// Records how long a caller waited that got a connection.
    pub(super) fn record_wait(&self, time: Duration) {
        if let Some(times) = self.times() {
            times.record_wait(time);
        }
    }
}

impl Drop for PoolUsage {
    fn drop(&mut self) {
        if let Some(Reported { observation, .. }) = self.reported.take() {
            observation.stop();
        }
    }
}

impl fmt::Debug for PoolUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolUsage").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The time in which a connection is away from its pool.
#[derive(Debug)]
pub(super) struct Lease {
    usage: Arc<PoolUsage>,
    since: Instant,
}

impl Lease {
    pub(super) fn new(usage: &Arc<PoolUsage>) -> Self {
        Self { usage: Arc::clone(usage), since: Instant::now() }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(times) = self.usage.times() {
            times.record_use(self.since.elapsed());
        }
    }
}
