use std::{
    io, panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use tower_telemetry::resources::{PoolState, PoolTimes, observe_pool};

use crate::support::{Metrics, points};

#[test]
fn every_name_has_its_kind_and_unit() {
    let metrics = Metrics::new();
    observe_pool(&metrics.provider, "orders", || {
        PoolState::new(3, 2)
            .with_limit(10)
            .with_idle_min(1)
            .with_idle_max(5)
            .with_pending(4)
            .with_timeouts(7)
    });
    let times = PoolTimes::new(&metrics.provider, "orders");
    times.record_create(Duration::from_millis(1));
    times.record_wait(Duration::from_millis(2));
    times.record_wait(Duration::from_millis(2));
    times.record_use(Duration::from_millis(3));

    let collected = metrics.collect();
    let expected = [
        ("count{P,db.client.connection.state=idle} up-down {connection}", 2.0),
        ("count{P,db.client.connection.state=used} up-down {connection}", 3.0),
        ("create_time{P} histogram s", 1.0),
        ("idle.max{P} up-down {connection}", 5.0),
        ("idle.min{P} up-down {connection}", 1.0),
        ("limit{P} up-down {connection}", 10.0),
        ("pending_requests{P} up-down {request}", 4.0),
        ("timeouts{P} counter {timeout}", 7.0),
        ("use_time{P} histogram s", 1.0),
        ("wait_time{P} histogram s", 2.0),
    ];
    let expected = expected.map(|(line, value)| {
        let line = line.replace("{P", "{db.client.connection.pool.name=orders");
        (format!("db.client.connection.{line}"), value)
    });
    assert_eq!(collected.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_collection_reads_once() {
    let metrics = Metrics::new();
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    observe_pool(&metrics.provider, "orders", move || {
        let n = counted.fetch_add(1, Relaxed) + 1;
        // All numbers of a collection are of one reading.
        PoolState::new(n, n).with_limit(n).with_idle_min(n).with_pending(n)
    });
    for n in 1..=3 {
        let values = metrics.values();
        assert_eq!(reads.load(Relaxed), n);
        assert_eq!(values.len(), 5);
        assert!(values.values().all(|value| *value == n as f64), "{n}: {values:?}");
    }
}

#[test]
fn each_reader_has_a_reading_of_its_own() {
    let exporters = [InMemoryMetricExporter::default(), InMemoryMetricExporter::default()];
    let provider = exporters
        .iter()
        .fold(SdkMeterProvider::builder(), |builder, exporter| {
            builder.with_periodic_exporter(exporter.clone())
        })
        .build();
    let mut reads = 0;
    observe_pool(&provider, "orders", move || {
        reads += 1;
        PoolState::new(reads, reads).with_limit(reads)
    });
    for collection in 0..3 {
        exporters.iter().for_each(InMemoryMetricExporter::reset);
        provider.force_flush().unwrap();
        let mut read: Vec<_> = exporters
            .iter()
            .map(|exporter| {
                let points = points(&exporter.get_finished_metrics().unwrap());
                let first = *points.values().next().unwrap();
                assert!(points.len() == 3 && points.values().all(|n| *n == first), "{points:?}");
                first as usize
            })
            .collect();
        read.sort();
        assert_eq!(read, [2 * collection + 1, 2 * collection + 2]);
    }
}

#[test]
fn pools_of_one_provider_are_told_apart() {
    let metrics = Metrics::new();
    observe_pool(&metrics.provider, "orders", || PoolState::new(1, 2));
    observe_pool(&metrics.provider, "users", || PoolState::of_size(3, 5).with_limit(9));
    let values = metrics.values();
    let count = |pool, state| {
        let (pool, state) = (format!("pool.name={pool}"), format!("state={state}"));
        values.iter().find(|(line, _)| line.contains(&pool) && line.contains(&state)).unwrap().1
    };
    assert_eq!([count("orders", "used"), count("orders", "idle")], [&1.0, &2.0]);
    // The pool was between two numbers.
    assert_eq!([count("users", "used"), count("users", "idle")], [&0.0, &5.0]);
    assert_eq!(values.len(), 5);
}

#[test]
fn a_stopped_observation_reports_nothing_and_frees_the_pool() {
    let metrics = Metrics::new();
    let pool = Arc::new(());
    let observed = Arc::clone(&pool);
    let observation = observe_pool(&metrics.provider, "orders", move || {
        PoolState::new(Arc::strong_count(&observed), 0)
    });
    assert_eq!(metrics.collect().len(), 2);
    observation.stop();
    assert_eq!(Arc::strong_count(&pool), 1);
    assert_eq!(metrics.collect().len(), 0);
}

#[test]
fn a_panicking_pool_is_left_out_and_the_others_are_reported() {
    let metrics = Metrics::new();
    let mut reads = 0;
    observe_pool(&metrics.provider, "broken", move || {
        reads += 1;
        // `resume_unwind` doesn't print.
        if reads == 1 {
            panic::resume_unwind(Box::new(()));
        }
        PoolState::new(0, 0).with_limit(1)
    });
    observe_pool(&metrics.provider, "orders", || PoolState::new(1, 0));
    assert_eq!(metrics.collect().len(), 2);
    assert_eq!(metrics.collect().len(), 5);
}

struct Connections;

impl deadpool::managed::Manager for Connections {
    type Type = ();
    type Error = io::Error;

    async fn create(&self) -> Result<(), io::Error> {
        Ok(())
    }

    async fn recycle(
        &self,
        (): &mut (),
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<io::Error> {
        Ok(())
    }
}

impl bb8::ManageConnection for Connections {
    type Connection = ();
    type Error = io::Error;

    async fn connect(&self) -> Result<(), io::Error> {
        Ok(())
    }

    async fn is_valid(&self, (): &mut ()) -> Result<(), io::Error> {
        Ok(())
    }

    fn has_broken(&self, (): &mut ()) -> bool {
        false
    }
}

impl r2d2::ManageConnection for Connections {
    type Connection = ();
    type Error = io::Error;

    fn connect(&self) -> Result<(), io::Error> {
        Ok(())
    }

    fn is_valid(&self, (): &mut ()) -> Result<(), io::Error> {
        Ok(())
    }

    fn has_broken(&self, (): &mut ()) -> bool {
        false
    }
}

/// `used idle limit pending timeouts`, as far as reported.
fn state(metrics: &Metrics) -> String {
    let values = metrics.values();
    let names = ["state=used", "state=idle", "limit", "pending_requests", "timeouts"];
    let of = |name: &&str| values.iter().find(|(line, _)| line.contains(*name)).map(|(_, v)| *v);
    let texts =
        names.iter().map(|name| of(name).map_or_else(|| String::from("-"), |v| v.to_string()));
    texts.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn deadpool_as_documented() {
    let metrics = Metrics::new();
    let pool =
        deadpool::managed::Pool::<Connections>::builder(Connections).max_size(2).build().unwrap();
    let observed = pool.clone();
    observe_pool(&metrics.provider, "orders", move || {
        let status = observed.status();
        PoolState::of_size(status.size, status.available)
            .with_limit(status.max_size)
            .with_pending(status.waiting)
    });
    assert_eq!(state(&metrics), "0 0 2 0 -");
    let (first, second) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    drop(second);
    assert_eq!(state(&metrics), "1 1 2 0 -");
    let second = pool.get().await.unwrap();
    let mut third = std::pin::pin!(pool.get());
    assert!(futures_util::poll!(&mut third).is_pending());
    assert_eq!(state(&metrics), "2 0 2 1 -");
    drop(first);
    drop(third.await.unwrap());
    drop(second);
    assert_eq!(state(&metrics), "0 2 2 0 -");
}

#[tokio::test]
async fn bb8_as_documented() {
    let metrics = Metrics::new();
    let pool = bb8::Pool::builder()
        .max_size(1)
        .connection_timeout(Duration::from_millis(20))
        .build(Connections)
        .await
        .unwrap();
    let observed = pool.clone();
    observe_pool(&metrics.provider, "orders", move || {
        let s = observed.state();
        PoolState::of_size(s.connections as usize, s.idle_connections as usize)
            .with_limit(1)
            .with_pending(s.statistics.pending_gets() as usize)
            .with_timeouts(s.statistics.get_timed_out)
    });
    let connection = pool.get().await.unwrap();
    assert_eq!(state(&metrics), "1 0 1 0 0");
    let mut waiter = Box::pin(pool.get());
    assert!(futures_util::poll!(&mut waiter).is_pending());
    assert_eq!(state(&metrics), "1 0 1 1 0");
    assert!(matches!(waiter.await, Err(bb8::RunError::TimedOut)));
    assert_eq!(state(&metrics), "1 0 1 0 1");
    drop(connection);
    assert_eq!(state(&metrics), "0 1 1 0 1");
}

#[test]
fn r2d2_as_documented() {
    let metrics = Metrics::new();
    let pool = r2d2::Pool::builder().max_size(2).build(Connections).unwrap();
    let observed = pool.clone();
    observe_pool(&metrics.provider, "orders", move || {
        let s = observed.state();
        PoolState::of_size(s.connections as usize, s.idle_connections as usize)
            .with_limit(observed.max_size() as usize)
            .with_idle_min(observed.min_idle().unwrap_or_else(|| observed.max_size()) as usize)
    });
    let connection = pool.get().unwrap();
    assert_eq!(state(&metrics), "1 1 2 - -");
    drop(connection);
    assert_eq!(state(&metrics), "0 2 2 - -");
}
