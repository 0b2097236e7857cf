//! Metrics that tokio has under `cfg(tokio_unstable)`.

use tokio::runtime::RuntimeMetrics;

use super::{
    collection::{Metric, Points, single},
    resource_names::tokio_unstable as names,
};

pub(super) fn metrics() -> Vec<Metric<RuntimeMetrics>> {
    vec![
        Metric {
            name: names::BLOCKING_THREADS,
            unit: "{thread}",
            description: "Threads of the pool for blocking tasks.",
            points: Points::UpDownCounter(|runtime| single(runtime.num_blocking_threads() as i64)),
        },
        Metric {
            name: names::BLOCKING_THREADS_IDLE,
            unit: "{thread}",
            description: "Idle threads of the pool for blocking tasks.",
            points: Points::UpDownCounter(|runtime| {
                single(runtime.num_idle_blocking_threads() as i64)
            }),
        },
        Metric {
            name: names::BLOCKING_QUEUE_DEPTH,
            unit: "{task}",
            description: "Blocking tasks that wait for a thread.",
            points: Points::UpDownCounter(|runtime| single(runtime.blocking_queue_depth() as i64)),
        },
        Metric {
            name: names::LOCAL_QUEUE_DEPTH,
            unit: "{task}",
            description: "Tasks that wait in the queues of workers.",
            points: Points::UpDownCounter(|runtime| {
                single(of_workers(runtime, |i| runtime.worker_local_queue_depth(i) as u64) as i64)
            }),
        },
        Metric {
            name: names::SPAWNED_TASKS,
            unit: "{task}",
            description: "Tasks that were spawned.",
            points: Points::Counter(|runtime| single(runtime.spawned_tasks_count())),
        },
        Metric {
            name: names::REMOTE_SCHEDULES,
            unit: "{schedule}",
            description: "Tasks that were scheduled from outside of the runtime.",
            points: Points::Counter(|runtime| single(runtime.remote_schedule_count())),
        },
        Metric {
            name: names::FORCED_YIELDS,
            unit: "{yield}",
            description: "Yields of tasks that had used up their budget.",
            points: Points::Counter(|runtime| single(runtime.budget_forced_yield_count())),
        },
        Metric {
            name: names::POLLS,
            unit: "{poll}",
            description: "Polls of tasks.",
            points: Points::Counter(|runtime| {
                single(of_workers(runtime, |i| runtime.worker_poll_count(i)))
            }),
        },
        Metric {
            name: names::STEALS,
            unit: "{task}",
            description: "Tasks that workers took from each other.",
            points: Points::Counter(|runtime| {
                single(of_workers(runtime, |i| runtime.worker_steal_count(i)))
            }),
        },
        Metric {
            name: names::OVERFLOWS,
            unit: "{overflow}",
            description: "Overflows of the queues of workers.",
            points: Points::Counter(|runtime| {
                single(of_workers(runtime, |i| runtime.worker_overflow_count(i)))
            }),
        },
    ]
}

fn of_workers(runtime: &RuntimeMetrics, read: impl Fn(usize) -> u64) -> u64 {
    (0..runtime.num_workers()).map(read).sum()
}
