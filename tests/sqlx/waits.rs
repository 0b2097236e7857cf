//! Waits for a connection.

use std::time::{Duration, Instant};

use opentelemetry::{
    Context,
    trace::{SpanKind, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::{
    metrics::data::{AggregatedMetrics, MetricData},
    trace::SpanData,
};
use sqlx::sqlite::SqlitePoolOptions;

use crate::support::{attribute, poll_once, sqlite};

/// Longer than any query of these tests, and long enough for a span.
const HELD: Duration = Duration::from_millis(50);

/// The pool is exhausted: the wait is a span beside that of the query, and no part of it.
#[tokio::test]
async fn a_wait_is_not_part_of_the_query() {
    let shop = sqlite(SqlitePoolOptions::new().max_connections(1)).await;
    let held = shop.pool.acquire().await.unwrap();
    shop.telemetry.spans();
    let tracer = shop.telemetry.tracers.tracer("test");
    let request = Context::current_with_span(tracer.start("request"));
    let attached = request.clone().attach();
    let mut query = Box::pin(sqlx::query("SELECT 1").execute(&shop.pool));
    let asked = Instant::now();
    poll_once(&mut query).await;
    assert_eq!(shop.pool_metric("pending_requests"), 1.0);
    while asked.elapsed() < HELD {
        tokio::task::yield_now().await;
    }
    drop(held);
    query.await.unwrap();
    drop(attached);
    let spans = shop.telemetry.spans();
    let [wait, select] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&*wait.name, &*select.name), ("wait for connection", "SELECT"));
    assert_eq!((&wait.span_kind, &select.span_kind), (&SpanKind::Internal, &SpanKind::Client));
    assert!(attribute(wait, "db.client.connection.pool.name").unwrap().starts_with("shop"));
    for span in [wait, select] {
        assert_eq!(span.parent_span_id, request.span().span_context().span_id());
    }
    let duration = |span: &SpanData| span.end_time.duration_since(span.start_time).unwrap();
    assert!(duration(wait) >= HELD && duration(select) < HELD);
    assert!(wait.end_time <= select.start_time);
    let waits = shop.pool_metrics();
    assert_eq!((waits["pending_requests"], waits["wait_time"]), (0.0, 2.0));
    let histogram = shop.telemetry.histogram();
    assert!(histogram.iter().all(|(_, _, sum)| *sum < HELD.as_secs_f64()));
}

#[tokio::test]
async fn waits_that_fail_are_told_with_their_reason() {
    let options = SqlitePoolOptions::new().acquire_timeout(Duration::from_millis(20));
    let shop = sqlite(options.max_connections(1)).await;
    let held = shop.pool.acquire().await.unwrap();
    shop.telemetry.spans();
    let query = sqlx::query("SELECT 1").execute(&shop.pool).await;
    assert!(matches!(query, Err(sqlx::Error::PoolTimedOut)));
    assert!(matches!(shop.pool.begin().await, Err(sqlx::Error::PoolTimedOut)));
    assert_eq!(shop.spans(), vec!["wait for connection: pool_timed_out"; 2]);
    let metrics = shop.pool_metrics();
    assert_eq!((metrics["timeouts"], metrics["pending_requests"]), (2.0, 0.0));
    assert_eq!(metrics["wait_time"], 1.0, "only the one that has got a connection");
    assert!(!metrics.contains_key("use_time"), "its connection is still in use");

    let mut wait = Box::pin(shop.pool.acquire());
    poll_once(&mut wait).await;
    let closed = async { drop(held) };
    let (waited, (), ()) = tokio::join!(wait, shop.pool.close(), closed);
    assert!(matches!(waited, Err(sqlx::Error::PoolClosed)));
    assert!(shop.pool.acquire().await.is_err());
    assert_eq!(shop.spans(), vec!["wait for connection: pool_closed"; 2]);
    let metrics = shop.pool_metrics();
    assert_eq!((metrics["timeouts"], metrics["pending_requests"]), (2.0, 0.0));
}

/// Short waits have no span: most requests would have one that says nothing.
#[tokio::test]
async fn short_waits_are_in_the_histogram_only() {
    let shop = sqlite(SqlitePoolOptions::new().max_connections(1).test_before_acquire(false)).await;
    for _ in 0..100 {
        sqlx::query("SELECT 1").execute(&shop.pool).await.unwrap();
        shop.settled().await;
    }
    let spans = shop.telemetry.spans();
    let spans = spans.iter().filter(|span| span.name == "wait for connection").count() as u64;
    let collected = shop.telemetry.collect();
    let metrics = collected.iter().flat_map(|r| r.scope_metrics()).flat_map(|s| s.metrics());
    let mut waits = metrics.filter(|metric| metric.name().ends_with(".wait_time"));
    let waits = match waits.next().unwrap().data() {
        AggregatedMetrics::F64(MetricData::Histogram(waits)) => waits.data_points().next().unwrap(),
        other => panic!("{other:?}"),
    };
    // The first boundary is a millisecond.
    let short = waits.bucket_counts().next().unwrap();
    assert_eq!((waits.count(), spans), (100, 100 - short));
    assert!(short > 0, "every wait was long");
}
