//! Limits and queues of tower, with callers that wait, are served, are turned away, or leave.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, poll};
use tokio::sync::Semaphore;
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt,
    buffer::BufferLayer,
    limit::{ConcurrencyLimitLayer, RateLimitLayer},
    load_shed::LoadShedLayer,
    service_fn,
};
use tower_telemetry::resources::SaturationLayer;

use crate::support::Metrics;

/// `waiting | waits without error, waits cancelled | rejected` of the service `s`.
fn counts(metrics: &Metrics) -> String {
    let values = metrics.values();
    let value = |name: &str, error: &str| {
        let error = if error.is_empty() { String::new() } else { format!("error.type={error},") };
        let key = format!("tower.service.{name}{{{error}tower.service.name=s}}");
        values.get(&key).copied().unwrap_or(0.0)
    };
    format!(
        "{} | {} {} | {}",
        value("waiting", ""),
        value("wait.duration", ""),
        value("wait.duration", "cancelled"),
        value("rejected", "overloaded"),
    )
}

/// A service whose calls end when the test says so.
fn held(
    gate: &Arc<Semaphore>,
) -> impl Service<u32, Response = u32, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
    let gate = Arc::clone(gate);
    service_fn(move |n| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(n)
        }
    })
}

#[test]
fn every_name_has_its_kind_and_unit() {
    let metrics = Metrics::new();
    let layer = SaturationLayer::new("s").with_meter_provider(&metrics.provider);
    let shed = ServiceBuilder::new().layer(layer).layer(LoadShedLayer::new()).service(Full);
    assert!(shed.oneshot(1).now_or_never().unwrap().is_err());
    let layer = SaturationLayer::new("s").with_meter_provider(&metrics.provider);
    let mut waits = layer.layer(Full);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(waits.poll_ready(&mut cx).is_pending());
    let lines: Vec<_> = metrics.collect().into_keys().collect();
    let expected = [
        "tower.service.rejected{error.type=overloaded,tower.service.name=s} counter {request}",
        "tower.service.wait.duration{tower.service.name=s} histogram s",
        "tower.service.waiting{tower.service.name=s} up-down {request}",
    ];
    assert_eq!(lines, expected);
}

/// A service that is never ready.
#[derive(Clone)]
struct Full;

impl Service<u32> for Full {
    type Response = u32;
    type Error = BoxError;
    type Future = Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Pending
    }

    fn call(&mut self, n: u32) -> Self::Future {
        ready(Ok(n))
    }
}

/// Every caller clones the service; `load` of them come, those beyond `limit` wait, and of these
/// `cancel` go away. Then all others are served.
#[tokio::test]
async fn limit_load_and_cancel() {
    let rows = [
        // limit, load, cancel, while they wait, after the cancel, at the end
        (1, 1, 0, "0 | 1 0 | 0", "0 | 1 0 | 0", "0 | 1 0 | 0"),
        (1, 2, 0, "1 | 1 0 | 0", "1 | 1 0 | 0", "0 | 2 0 | 0"),
        (1, 2, 1, "1 | 1 0 | 0", "0 | 1 1 | 0", "0 | 1 1 | 0"),
        (2, 6, 0, "4 | 2 0 | 0", "4 | 2 0 | 0", "0 | 6 0 | 0"),
        (2, 6, 3, "4 | 2 0 | 0", "1 | 2 3 | 0", "0 | 3 3 | 0"),
        (2, 6, 4, "4 | 2 0 | 0", "0 | 2 4 | 0", "0 | 2 4 | 0"),
        (10, 100, 45, "90 | 10 0 | 0", "45 | 10 45 | 0", "0 | 55 45 | 0"),
    ];
    for (limit, load, cancel, waiting, cancelled, end) in rows {
        let metrics = Metrics::new();
        let gate = Arc::new(Semaphore::new(0));
        let service = ServiceBuilder::new()
            .layer(SaturationLayer::new("s").with_meter_provider(&metrics.provider))
            .layer(ConcurrencyLimitLayer::new(limit))
            .service(held(&gate));
        let mut calls: Vec<_> = (0..load).map(|n| Box::pin(service.clone().oneshot(n))).collect();
        for call in &mut calls {
            assert!(poll!(call).is_pending());
        }
        assert_eq!(counts(&metrics), waiting, "{limit} {load} {cancel}");
        calls.drain(limit..limit + cancel);
        assert_eq!(counts(&metrics), cancelled, "{limit} {load} {cancel}");
        gate.add_permits(load as usize);
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(counts(&metrics), end, "{limit} {load} {cancel}");
    }
}

/// One service that isn't cloned: asked, asked again, used, asked and dropped.
#[tokio::test]
async fn a_service_that_is_asked_and_dropped() {
    let metrics = Metrics::new();
    let gate = Arc::new(Semaphore::new(0));
    let layer = SaturationLayer::new("s").with_meter_provider(&metrics.provider);
    let limited = ServiceBuilder::new()
        .layer(layer)
        .layer(ConcurrencyLimitLayer::new(1))
        .service(held(&gate));
    let mut first = limited.clone();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    // Ready however often it is asked: one wait.
    for _ in 0..3 {
        assert!(first.poll_ready(&mut cx).is_ready());
    }
    assert_eq!(counts(&metrics), "0 | 1 0 | 0");
    // A clone doesn't inherit that it may be called.
    let mut second = first.clone();
    for _ in 0..3 {
        assert!(second.poll_ready(&mut cx).is_pending());
    }
    assert_eq!(counts(&metrics), "1 | 1 0 | 0");
    // Nor that it waits.
    let third = second.clone();
    drop(third);
    assert_eq!(counts(&metrics), "1 | 1 0 | 0");
    // Ready and never called: the limiter is free again.
    drop(first);
    assert!(second.poll_ready(&mut cx).is_ready());
    assert_eq!(counts(&metrics), "0 | 2 0 | 0");
    gate.add_permits(1);
    assert_eq!(second.call(7).await, Ok(7));
    // The same service, for its next call.
    assert!(second.poll_ready(&mut cx).is_ready());
    assert_eq!(counts(&metrics), "0 | 3 0 | 0");
}

#[tokio::test]
async fn the_time_waited_is_that_of_the_caller() {
    let metrics = Metrics::new();
    let gate = Arc::new(Semaphore::new(0));
    let layer = SaturationLayer::new("s").with_meter_provider(&metrics.provider);
    let service = ServiceBuilder::new()
        .layer(layer)
        .layer(ConcurrencyLimitLayer::new(1))
        .service(held(&gate));
    let mut first = pin!(service.clone().oneshot(1));
    assert!(poll!(&mut first).is_pending());
    let start = Instant::now();
    let mut second = pin!(service.oneshot(2));
    assert!(poll!(&mut second).is_pending());
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(30) {
        std::hint::spin_loop();
    }
    let at_least = began.elapsed().as_secs_f64();
    gate.add_permits(2);
    first.await.unwrap();
    second.await.unwrap();
    let waited = metrics.sum("tower.service.wait.duration");
    assert!(waited >= at_least && waited <= start.elapsed().as_secs_f64(), "{waited}");
}

#[tokio::test]
async fn load_shed_rejects_and_nobody_waits() {
    let metrics = Metrics::new();
    let gate = Arc::new(Semaphore::new(0));
    let service = ServiceBuilder::new()
        .layer(SaturationLayer::new("s").with_meter_provider(&metrics.provider))
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(2))
        .service(held(&gate));
    let mut calls: Vec<_> = (0..5).map(|n| Box::pin(service.clone().oneshot(n))).collect();
    let mut rejected = 0;
    for call in &mut calls {
        if let Poll::Ready(result) = poll!(call) {
            assert!(result.unwrap_err().is::<tower::load_shed::error::Overloaded>());
            rejected += 1;
        }
    }
    assert_eq!((rejected, &*counts(&metrics)), (3, "0 | 5 0 | 3"));
    gate.add_permits(5);
    let served = service.oneshot(1);
    calls.truncate(2);
    for call in calls {
        call.await.unwrap();
    }
    served.await.unwrap();
    assert_eq!(counts(&metrics), "0 | 6 0 | 3");
}

#[tokio::test]
async fn a_full_buffer_makes_wait_and_a_closed_one_rejects() {
    let metrics = Metrics::new();
    let service = ServiceBuilder::new()
        .layer(SaturationLayer::new("s").with_meter_provider(&metrics.provider))
        .layer(BufferLayer::<u32>::new(2))
        .service(Full);
    let mut calls: Vec<_> = (0..5).map(|n| Box::pin(service.clone().oneshot(n))).collect();
    for call in &mut calls {
        assert!(poll!(call).is_pending());
    }
    // Two in the buffer, three before it.
    assert_eq!(counts(&metrics), "3 | 2 0 | 0");
    calls.truncate(3);
    assert_eq!(counts(&metrics), "1 | 2 2 | 0");
    drop(calls);
    assert_eq!(counts(&metrics), "0 | 2 3 | 0");

    // A buffer whose service fails is closed: for who has called, and for who comes.
    let failing = || Err::<u32, BoxError>(io::Error::other("user 4711").into());
    let metrics = Metrics::new();
    let service = ServiceBuilder::new()
        .layer(SaturationLayer::new("s").with_meter_provider(&metrics.provider))
        .layer(BufferLayer::<u32>::new(2))
        .service(Failing);
    assert!(service.clone().oneshot(1).await.is_err());
    assert!(service.clone().oneshot(2).await.is_err());
    let values = metrics.values();
    let rejected = "tower.service.rejected{error.type=closed,tower.service.name=s}";
    assert_eq!(values[rejected], 2.0, "{values:?}");

    // A call that fails in the service itself was not turned away.
    let metrics = Metrics::new();
    let layer = SaturationLayer::new("s").with_meter_provider(&metrics.provider);
    let service = layer.layer(service_fn(move |_: u32| ready(failing())));
    assert!(service.oneshot(1).await.is_err());
    assert_eq!(metrics.values().len(), 1);
    assert_eq!(counts(&metrics), "0 | 1 0 | 0");
}

/// A service that fails when it is asked whether it is ready.
#[derive(Clone)]
struct Failing;

impl Service<u32> for Failing {
    type Response = u32;
    type Error = BoxError;
    type Future = Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Err("user 4711".into()))
    }

    fn call(&mut self, n: u32) -> Self::Future {
        ready(Ok(n))
    }
}

#[tokio::test]
async fn an_error_of_poll_ready_is_a_rejection() {
    let metrics = Metrics::new();
    let layer = SaturationLayer::new("s").with_meter_provider(&metrics.provider);
    assert!(layer.layer(Failing).oneshot(1).await.is_err());
    let unboxed = layer.layer(Failing.map_err(|_| io::Error::other("user 4711")));
    assert!(unboxed.oneshot(1).await.is_err());
    let lines: Vec<_> = metrics.values().into_iter().collect();
    let expected = [
        ("rejected", "_OTHER"),
        ("rejected", "std::io::error::Error"),
        ("wait.duration", "_OTHER"),
        ("wait.duration", "std::io::error::Error"),
    ]
    .map(|(name, kind)| {
        (format!("tower.service.{name}{{error.type={kind},tower.service.name=s}}"), 1.0)
    });
    assert_eq!(lines, expected);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_makes_wait() {
    let metrics = Metrics::new();
    let mut service = ServiceBuilder::new()
        .layer(SaturationLayer::new("s").with_meter_provider(&metrics.provider))
        .layer(RateLimitLayer::new(1, Duration::from_secs(1)))
        .service(service_fn(|n: u32| ready(Ok::<_, Infallible>(n))));
    service.ready().await.unwrap().call(1).await.unwrap();
    {
        let mut second = pin!(service.ready());
        assert!(poll!(&mut second).is_pending());
        assert_eq!(counts(&metrics), "1 | 1 0 | 0");
        second.await.unwrap();
    }
    assert_eq!(counts(&metrics), "0 | 2 0 | 0");
}
