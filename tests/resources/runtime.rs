use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use tokio::{runtime::Builder, sync::oneshot};
use tower_telemetry::resources;

use crate::support::Metrics;

#[test]
fn every_name_has_its_kind_and_unit() {
    let metrics = Metrics::new();
    let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    resources::runtime(&metrics.provider, "main", runtime.handle());
    let collected = metrics.collect();
    let expected = [
        "tokio.runtime.global_queue.depth{N} up-down {task}",
        "tokio.runtime.tasks.alive{N} up-down {task}",
        "tokio.runtime.worker.busy.time{N} counter s",
        "tokio.runtime.worker.parks{N} counter {park}",
        "tokio.runtime.workers{N} up-down {worker}",
    ]
    .map(|line| line.replace('N', "tokio.runtime.name=main"));
    let lines: Vec<_> = collected.keys().filter(|line| expected.contains(line)).collect();
    assert_eq!(lines, expected.iter().collect::<Vec<_>>());
    assert_eq!(collected["tokio.runtime.workers{tokio.runtime.name=main} up-down {worker}"], 2.0);
    assert_eq!(collected.len(), if cfg!(tokio_unstable) { 15 } else { 5 });
}

#[test]
fn a_busy_time_is_reported() {
    let metrics = Metrics::new();
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let observation = resources::runtime(&metrics.provider, "busy", runtime.handle());
    let value =
        |name: &str| metrics.values()[&format!("tokio.runtime.{name}{{tokio.runtime.name=busy}}")];
    let (busy, parks) = (value("worker.busy.time"), value("worker.parks"));
    let busy_for = Duration::from_millis(300);
    let (tell, told) = mpsc::channel();
    let start = Instant::now();
    runtime
        .block_on(runtime.spawn(async move {
            let start = Instant::now();
            while start.elapsed() < busy_for {
                std::hint::spin_loop();
            }
            tell.send(()).unwrap();
        }))
        .unwrap();
    told.recv().unwrap();
    // The worker adds to its time when it parks.
    while value("worker.parks") <= parks {
        assert!(start.elapsed() < Duration::from_secs(10), "the worker doesn't park");
        std::thread::yield_now();
    }
    let busy = value("worker.busy.time") - busy;
    let at_most = start.elapsed().as_secs_f64();
    assert!(busy >= busy_for.as_secs_f64() * 0.99 && busy <= at_most, "{busy} {at_most}");

    drop(runtime);
    observation.stop();
    assert!(metrics.collect().is_empty());
}

#[test]
fn tasks_are_counted_while_they_live() {
    let metrics = Metrics::new();
    let runtime = Builder::new_current_thread().build().unwrap();
    resources::runtime(&metrics.provider, "tasks", runtime.handle());
    let value =
        |name: &str| metrics.values()[&format!("tokio.runtime.{name}{{tokio.runtime.name=tasks}}")];
    let (ends, tasks): (Vec<_>, Vec<_>) = (0..5)
        .map(|_| {
            let (end, ended) = oneshot::channel::<()>();
            (end, runtime.spawn(ended))
        })
        .unzip();
    assert_eq!(value("tasks.alive"), 5.0);
    // Nobody has run the runtime yet.
    assert_eq!(value("global_queue.depth"), 5.0);
    drop(ends);
    runtime.block_on(async {
        for task in tasks {
            assert!(task.await.unwrap().is_err());
        }
    });
    assert_eq!(value("tasks.alive"), 0.0);
    assert_eq!(value("global_queue.depth"), 0.0);
}
