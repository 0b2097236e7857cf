//! Metrics of a tokio runtime.

use std::sync::Arc;

use opentelemetry::{KeyValue, metrics::MeterProvider};
use tokio::runtime::{Handle, RuntimeMetrics};

use super::{
    Observation,
    collection::{self, Metric, Points, single},
    resource_names::tokio as names,
};
use crate::convention::emit;

/// Reports the metrics of a tokio runtime, read once per collection.
///
/// The set-up calls it for `with_runtime_metrics`, with the name `main`.
///
/// # Example
///
/// ```
/// use tower_telemetry::opentelemetry_sdk::metrics::SdkMeterProvider;
/// use tokio::runtime::Handle;
/// use tower_telemetry::resources;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let meter_provider = SdkMeterProvider::default();
/// resources::runtime(&meter_provider, "main", &Handle::current());
/// # }
/// ```
///
/// # What is emitted
///
/// | instrument | kind | unit | |
/// |---|---|---|---|
/// | `tokio.runtime.workers` | up-down counter | `{worker}` | worker threads |
/// | `tokio.runtime.tasks.alive` | up-down counter | `{task}` | tasks that were spawned and have not ended |
/// | `tokio.runtime.global_queue.depth` | up-down counter | `{task}` | tasks that wait in the global queue |
/// | `tokio.runtime.worker.busy.time` | counter | `s` | time in which workers ran tasks, of all workers |
/// | `tokio.runtime.worker.parks` | counter | `{park}` | times that a worker ran out of tasks |
///
/// The utilisation of the runtime is `rate(busy.time) / workers`. tokio adds to the busy time when
/// a worker parks: a task that blocks its worker shows when it stops. The last two need 64-bit
/// atomics.
///
/// If the program is compiled with `--cfg tokio_unstable`, also:
///
/// | instrument | kind | unit |
/// |---|---|---|
/// | `tokio.runtime.blocking.threads`, `tokio.runtime.blocking.threads.idle` | up-down counter | `{thread}` |
/// | `tokio.runtime.blocking.queue.depth`, `tokio.runtime.local_queue.depth` | up-down counter | `{task}` |
/// | `tokio.runtime.tasks.spawned` | counter | `{task}` |
/// | `tokio.runtime.remote_schedules` | counter | `{schedule}` |
/// | `tokio.runtime.forced_yields` | counter | `{yield}` |
/// | `tokio.runtime.worker.polls` | counter | `{poll}` |
/// | `tokio.runtime.worker.steals` | counter | `{task}` |
/// | `tokio.runtime.worker.overflows` | counter | `{overflow}` |
///
/// There are no conventions for tokio, so the names are those of this crate. Each has the attribute
/// `tokio.runtime.name`.
///
/// # Cardinality
///
/// One series per instrument and runtime. Give each runtime of a process a name of its own: two
/// runtimes of one name overwrite each other.
///
/// # Global provider
///
/// Pass `&*opentelemetry::global::meter_provider()` after it was installed. Instruments of the
/// no-op provider that is there before never report.
///
/// # Cautions
///
/// The metrics of a runtime that was shut down remain as they are: call [`Observation::stop`] for a
/// runtime that ends before the program does.
pub fn runtime<P>(meter_provider: &P, name: impl Into<String>, runtime: &Handle) -> Observation
where
    P: MeterProvider + ?Sized,
{
    let meter = meter_provider.meter_with_scope(emit::scope());
    let name = KeyValue::new(names::RUNTIME_NAME, Arc::<str>::from(name.into()));
    let runtime = runtime.metrics();
    // Each value is an atomic of its own, so there is nothing to read but the values themselves.
    collection::observe(&meter, &[name], metrics(), move || runtime.clone())
}

fn metrics() -> Vec<Metric<RuntimeMetrics>> {
    let mut metrics: Vec<Metric<RuntimeMetrics>> = vec![
        Metric {
            name: names::WORKERS,
            unit: "{worker}",
            description: "Worker threads of the runtime.",
            points: Points::UpDownCounter(|runtime| single(runtime.num_workers() as i64)),
        },
        Metric {
            name: names::ALIVE_TASKS,
            unit: "{task}",
            description: "Tasks that were spawned and have not ended.",
            points: Points::UpDownCounter(|runtime| single(runtime.num_alive_tasks() as i64)),
        },
        Metric {
            name: names::GLOBAL_QUEUE_DEPTH,
            unit: "{task}",
            description: "Tasks that wait in the global queue.",
            points: Points::UpDownCounter(|runtime| single(runtime.global_queue_depth() as i64)),
        },
    ];
    #[cfg(target_has_atomic = "64")]
    metrics.extend(worker_metrics());
    #[cfg(tokio_unstable)]
    metrics.extend(super::runtime_unstable::metrics());
    metrics
}

#[cfg(target_has_atomic = "64")]
fn worker_metrics() -> [Metric<RuntimeMetrics>; 2] {
    [
        Metric {
            name: names::BUSY_TIME,
            unit: "s",
            description: "Time in which workers ran tasks.",
            points: Points::Seconds(|runtime| {
                let workers = 0..runtime.num_workers();
                let busy = workers.map(|i| runtime.worker_total_busy_duration(i).as_secs_f64());
                single(busy.sum::<f64>())
            }),
        },
        Metric {
            name: names::PARKS,
            unit: "{park}",
            description: "Times that a worker ran out of tasks.",
            points: Points::Counter(|runtime| {
                single(
                    (0..runtime.num_workers()).map(|i| runtime.worker_park_count(i)).sum::<u64>(),
                )
            }),
        },
    ]
}
