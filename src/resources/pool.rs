//! Metrics of a connection pool.

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, MeterProvider},
};

use super::{
    Observation,
    collection::{self, Metric, Points, signed, single},
    resource_names::{
        CONNECTION_COUNT, CONNECTION_CREATE_TIME, CONNECTION_IDLE_MAX, CONNECTION_IDLE_MIN,
        CONNECTION_LIMIT, CONNECTION_PENDING, CONNECTION_STATE, CONNECTION_TIMEOUTS,
        CONNECTION_USE_TIME, CONNECTION_WAIT_TIME, POOL_NAME,
    },
};
use crate::{convention::emit, database::BOUNDARIES};

/// Reports the state of a connection pool, read by `state` once per collection.
///
/// # Example
///
/// With deadpool:
///
/// ```
/// use deadpool::managed::{Manager, Metrics, Pool, RecycleResult};
/// use tower_telemetry::opentelemetry_sdk::metrics::SdkMeterProvider;
/// use tower_telemetry::resources::{PoolState, observe_pool};
///
/// # struct Connections;
/// # impl Manager for Connections {
/// #     type Type = ();
/// #     type Error = std::io::Error;
/// #     async fn create(&self) -> Result<(), std::io::Error> { Ok(()) }
/// #     async fn recycle(&self, _: &mut (), _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
/// # }
/// # let meter_provider = SdkMeterProvider::default();
/// let pool = Pool::<Connections>::builder(Connections).build()?;
/// let observed = pool.clone();
/// observe_pool(&meter_provider, "orders", move || {
///     let status = observed.status();
///     PoolState::of_size(status.size, status.available)
///         .with_limit(status.max_size)
///         .with_pending(status.waiting)
/// });
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// Other pools differ in the closure only:
///
/// | pool | closure |
/// |---|---|
/// | bb8 | `\|\| { let s = pool.state(); PoolState::of_size(s.connections as usize, s.idle_connections as usize).with_limit(MAX).with_pending(s.statistics.pending_gets() as usize).with_timeouts(s.statistics.get_timed_out) }` |
/// | r2d2 | `\|\| { let s = pool.state(); PoolState::of_size(s.connections as usize, s.idle_connections as usize).with_limit(pool.max_size() as usize).with_idle_min(pool.min_idle().unwrap_or_else(\|\| pool.max_size()) as usize) }` |
/// | sqlx | `\|\| PoolState::of_size(pool.size() as usize, pool.num_idle()).with_limit(pool.options().get_max_connections() as usize).with_idle_min(pool.options().get_min_connections() as usize)` |
///
/// bb8 doesn't tell its configured maximum, so `MAX` is the number given to its builder. sqlx and
/// r2d2 count no waiters; `integrations::sqlx` (feature `sqlx`) counts them, and needs no closure.
///
/// # What is emitted
///
/// | instrument | kind | unit | |
/// |---|---|---|---|
/// | `db.client.connection.count` | up-down counter | `{connection}` | by `db.client.connection.state`: `used`, `idle` |
/// | `db.client.connection.limit` | up-down counter | `{connection}` | if given |
/// | `db.client.connection.idle.min`, `.idle.max` | up-down counter | `{connection}` | if given |
/// | `db.client.connection.pending_requests` | up-down counter | `{request}` | if given |
/// | `db.client.connection.timeouts` | counter | `{timeout}` | if given |
///
/// Each has the attribute `db.client.connection.pool.name`. [`PoolTimes`] records the times of the
/// pool, which its state doesn't show.
///
/// # Cardinality
///
/// One series per instrument and pool, two for the count. Give each pool of a process a name of its
/// own: two pools of one name overwrite each other.
///
/// # Global provider
///
/// Pass `&*opentelemetry::global::meter_provider()` after it was installed. Instruments of the
/// no-op provider that is there before never report.
///
/// # Cautions
///
/// `state` runs on the thread that collects: it must neither block nor create instruments. It keeps
/// what it captures alive until the provider is dropped or [`Observation::stop`] is called; capture
/// a [`Weak`](std::sync::Weak) handle if the pool must close earlier. If it panics, the pool is
/// left out of that collection.
pub fn observe_pool<P>(
    meter_provider: &P,
    name: impl Into<String>,
    state: impl FnMut() -> PoolState + Send + 'static,
) -> Observation
where
    P: MeterProvider + ?Sized,
{
    let meter = meter_provider.meter_with_scope(emit::scope());
    collection::observe(&meter, &[pool_name(name)], metrics(), state)
}

/// The state of a connection pool at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolState {
    used: usize,
    idle: usize,
    limit: Option<usize>,
    idle_min: Option<usize>,
    idle_max: Option<usize>,
    pending: Option<usize>,
    timeouts: Option<u64>,
}

impl PoolState {
    /// Creates the state of a pool with this many connections in use, and this many idle.
    pub fn new(used: usize, idle: usize) -> Self {
        Self { used, idle, ..Self::default() }
    }

    /// Creates the state of a pool with this many connections, of which `idle` are idle.
    ///
    /// Pools read the two numbers one after the other, so `idle` may be the larger one; then no
    /// connection is reported as used.
    pub fn of_size(size: usize, idle: usize) -> Self {
        Self::new(size.saturating_sub(idle), idle)
    }

    /// Sets the maximum number of open connections.
    #[must_use]
    pub fn with_limit(self, connections: usize) -> Self {
        Self { limit: Some(connections), ..self }
    }

    /// Sets the number of idle connections below which the pool opens more.
    #[must_use]
    pub fn with_idle_min(self, connections: usize) -> Self {
        Self { idle_min: Some(connections), ..self }
    }

    /// Sets the number of idle connections above which the pool closes some.
    #[must_use]
    pub fn with_idle_max(self, connections: usize) -> Self {
        Self { idle_max: Some(connections), ..self }
    }

    /// Sets the number of callers that wait for a connection at this moment.
    #[must_use]
    pub fn with_pending(self, requests: usize) -> Self {
        Self { pending: Some(requests), ..self }
    }

    /// Sets the number of callers that have given up waiting since the pool was created.
    #[must_use]
    pub fn with_timeouts(self, total: u64) -> Self {
        Self { timeouts: Some(total), ..self }
    }
}

/// Records how long connections of a pool take to be created, waited for and used.
///
/// Call it in the hooks of the pool, or around its methods. Cloning is cheap. Each method records
/// one value in the calling thread.
///
/// # Example
///
/// ```
/// use std::time::Instant;
///
/// use tower_telemetry::opentelemetry_sdk::metrics::SdkMeterProvider;
/// use tower_telemetry::resources::PoolTimes;
///
/// # let meter_provider = SdkMeterProvider::default();
/// # let pool = || ();
/// let times = PoolTimes::new(&meter_provider, "orders");
///
/// let asked = Instant::now();
/// let connection = pool();
/// times.record_wait(asked.elapsed());
/// ```
///
/// # What is emitted
///
/// Histograms in `s` with the attribute `db.client.connection.pool.name`:
/// `db.client.connection.create_time`, `.wait_time` and `.use_time`. The boundaries are those of
/// `db.client.operation.duration`, because the conventions advise none and the SDK's own are for
/// milliseconds.
#[derive(Debug, Clone)]
pub struct PoolTimes {
    shared: Arc<Times>,
}

#[derive(Debug)]
struct Times {
    create: Histogram<f64>,
    wait: Histogram<f64>,
    in_use: Histogram<f64>,
    attributes: [KeyValue; 1],
}

impl PoolTimes {
    /// Creates the histograms of the pool `name`, the same name as in [`observe_pool`].
    pub fn new<P>(meter_provider: &P, name: impl Into<String>) -> Self
    where
        P: MeterProvider + ?Sized,
    {
        let meter = meter_provider.meter_with_scope(emit::scope());
        let histogram = |name, description| {
            let builder = meter.f64_histogram(name).with_unit("s").with_description(description);
            builder.with_boundaries(BOUNDARIES.to_vec()).build()
        };
        Self {
            shared: Arc::new(Times {
                create: histogram(CONNECTION_CREATE_TIME, "Time to create a connection."),
                wait: histogram(CONNECTION_WAIT_TIME, "Time to obtain a connection."),
                in_use: histogram(
                    CONNECTION_USE_TIME,
                    "Time between borrowing a connection and returning it.",
                ),
                attributes: [pool_name(name)],
            }),
        }
    }

    /// Records how long a new connection took to be created.
    pub fn record_create(&self, time: Duration) {
        self.shared.create.record(time.as_secs_f64(), &self.shared.attributes);
    }

    /// Records how long a caller waited until it had a connection.
    pub fn record_wait(&self, time: Duration) {
        self.shared.wait.record(time.as_secs_f64(), &self.shared.attributes);
    }

    /// Records how long a caller held a connection.
    pub fn record_use(&self, time: Duration) {
        self.shared.in_use.record(time.as_secs_f64(), &self.shared.attributes);
    }
}

fn pool_name(name: impl Into<String>) -> KeyValue {
    KeyValue::new(POOL_NAME, Arc::<str>::from(name.into()))
}

fn metrics() -> Vec<Metric<PoolState>> {
    vec![
        Metric {
            name: CONNECTION_COUNT,
            unit: "{connection}",
            description: "Connections of the pool, by state.",
            points: Points::UpDownCounter(|pool| {
                let point = |n, state: &'static str| {
                    (signed(n), Some(KeyValue::new(CONNECTION_STATE, state)))
                };
                vec![point(pool.used, "used"), point(pool.idle, "idle")]
            }),
        },
        Metric {
            name: CONNECTION_LIMIT,
            unit: "{connection}",
            description: "Maximum number of open connections allowed.",
            points: Points::UpDownCounter(|pool| single(pool.limit.map(signed))),
        },
        Metric {
            name: CONNECTION_IDLE_MIN,
            unit: "{connection}",
            description: "Minimum number of idle connections allowed.",
            points: Points::UpDownCounter(|pool| single(pool.idle_min.map(signed))),
        },
        Metric {
            name: CONNECTION_IDLE_MAX,
            unit: "{connection}",
            description: "Maximum number of idle connections allowed.",
            points: Points::UpDownCounter(|pool| single(pool.idle_max.map(signed))),
        },
        Metric {
            name: CONNECTION_PENDING,
            unit: "{request}",
            description: "Requests that wait for a connection.",
            points: Points::UpDownCounter(|pool| single(pool.pending.map(signed))),
        },
        Metric {
            name: CONNECTION_TIMEOUTS,
            unit: "{timeout}",
            description: "Requests that gave up waiting for a connection.",
            points: Points::Counter(|pool| single(pool.timeouts)),
        },
    ]
}
