//! A server that is told to stop: in order, and within its time limits.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use tokio::{net::TcpListener, sync::Notify};
use tower::ServiceExt;
use tower_telemetry::{
    TelemetryLayer,
    setup::{GracefulShutdown, ServeError, Undelivered},
};

use crate::{
    receiver::{Mood, Receiver, nowhere},
    spans, telemetry,
};

/// A second signal abandons the delivery of telemetry too.
#[tokio::test]
async fn a_second_signal_abandons_delivery() {
    let receiver = Receiver::start();
    receiver.set(Mood::Hangs);
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
    spans(&telemetry, 1);
    let told = Arc::new(Notify::new());
    let signal = told.clone();
    let shutdown = GracefulShutdown::new(telemetry)
        .with_flush(Duration::from_secs(600))
        .with_signal(move || signal.clone().notified_owned());
    let server = tokio::spawn(shutdown.serve(|stop| async {
        stop.await;
        Ok::<(), std::io::Error>(())
    }));
    told.notify_one();
    while receiver.received().requests.is_empty() {
        tokio::task::yield_now().await;
    }
    // Repeats within a second of the first are the same signal.
    while !server.is_finished() {
        told.notify_one();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    match server.await.unwrap() {
        Ok(served) => assert_eq!(served.undelivered().unwrap().spans(), 1),
        other => panic!("{other:?}"),
    }
}

/// A server that ends itself has not been told to stop, so the first signal shows no impatience.
#[tokio::test]
async fn a_first_signal_does_not_abandon_delivery() {
    let receiver = Receiver::start();
    receiver.set(Mood::Hangs);
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
    ]);
    spans(&telemetry, 1);
    let (told, heard) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let signal = (told.clone(), heard.clone());
    let shutdown = GracefulShutdown::new(telemetry)
        .with_flush(Duration::from_secs(20))
        .with_signal(move || {
            let (told, heard) = signal.clone();
            async move {
                told.notified().await;
                heard.notify_one();
            }
        });
    let server = tokio::spawn(shutdown.serve(|_| async { Ok::<(), std::io::Error>(()) }));
    while receiver.received().requests.is_empty() {
        tokio::task::yield_now().await;
    }
    told.notify_one();
    heard.notified().await;
    tokio::task::yield_now().await;
    receiver.set(Mood::Takes);
    assert_eq!(server.await.unwrap().unwrap().undelivered(), None);
}

/// Readiness, the delay, the requests in progress, and telemetry last.
#[tokio::test]
async fn a_server_ends_in_order() {
    let receiver = Receiver::start();
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
    let layer = TelemetryLayer::server().with_tracer_provider(telemetry.tracer_provider());
    let told = Arc::new(Notify::new());
    let signal = told.clone();
    let shutdown = GracefulShutdown::new(telemetry)
        .with_delay(Duration::from_secs(1))
        .with_drain(Duration::from_secs(10))
        .with_signal(move || signal.clone().notified_owned());
    let readiness = shutdown.readiness();
    let probe = {
        let app: Router = Router::new().route_service("/readyz", readiness.clone());
        move || {
            app.clone().oneshot(axum::http::Request::get("/readyz").body(Body::empty()).unwrap())
        }
    };
    let (entered, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = {
        let (entered, finish) = (entered.clone(), finish.clone());
        Router::new()
            .route(
                "/slow",
                get(|| async move {
                    entered.notify_one();
                    finish.notified().await;
                    "done"
                }),
            )
            .route("/fast", get(|| async { "fast" }))
            .layer(layer)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = |path: &str| format!("http://{}{path}", listener.local_addr().unwrap());
    let (fast, slow) = (url("/fast"), url("/slow"));
    let server = tokio::spawn(
        shutdown.serve(|stop| axum::serve(listener, app).with_graceful_shutdown(stop)),
    );
    let client = tokio::spawn(get_text(slow));
    entered.notified().await;
    assert_eq!(probe().await.unwrap().status(), 200);
    told.notify_one();
    while readiness.is_ready() {
        tokio::task::yield_now().await;
    }
    assert_eq!(probe().await.unwrap().status(), 503);
    assert_eq!(get_text(fast).await, "fast", "a new request is taken during the delay");
    assert!(receiver.received().spans().is_empty());
    finish.notify_one();
    assert_eq!(client.await.unwrap(), "done");
    server.await.unwrap().unwrap();
    assert_eq!(receiver.received().spans().len(), 2);
}

/// An endless request is cut off after the time limit, or by a second signal.
#[tokio::test]
async fn endless_requests_are_cut_off() {
    for (drain, impatient) in
        [(Duration::from_millis(300), false), (Duration::from_secs(600), true)]
    {
        let receiver = Receiver::start();
        let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
        let layer = TelemetryLayer::server().with_tracer_provider(telemetry.tracer_provider());
        let told = Arc::new(Notify::new());
        let signal = told.clone();
        let shutdown = GracefulShutdown::new(telemetry)
            .with_drain(drain)
            .with_signal(move || signal.clone().notified_owned());
        let entered = Arc::new(Notify::new());
        let app = {
            let entered = entered.clone();
            let endless = || async move {
                entered.notify_one();
                std::future::pending::<()>().await;
            };
            Router::new().route("/", get(endless)).layer(layer)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let readiness = shutdown.readiness();
        let server = tokio::spawn(
            shutdown.serve(|stop| axum::serve(listener, app).with_graceful_shutdown(stop)),
        );
        let _client = tokio::spawn(get_text(url));
        entered.notified().await;
        told.notify_one();
        while readiness.is_ready() {
            tokio::task::yield_now().await;
        }
        while impatient && !server.is_finished() {
            told.notify_one();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        match server.await.unwrap() {
            Err(ServeError::CutOff(Some(undelivered))) => assert_open(&undelivered),
            other => panic!("{other:?}"),
        }
    }
}

fn assert_open(undelivered: &Undelivered) {
    assert_eq!(undelivered.open_spans(), 1, "{undelivered}");
}

#[tokio::test]
async fn an_error_of_the_server_is_returned() {
    let receiver = Receiver::start();
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
    spans(&telemetry, 5);
    let shutdown = GracefulShutdown::new(telemetry);
    let error = shutdown.serve(|_| async { Err::<(), _>("no port") }).await.unwrap_err();
    assert!(matches!(error, ServeError::Server("no port")));
    assert_eq!(receiver.received().spans().len(), 5, "telemetry is delivered nevertheless");
}

/// The times of signals, how long the server needs to stop, and how and when it ends, in
/// milliseconds. The delay is 3000, and the time limit of requests 10000.
#[tokio::test(start_paused = true)]
async fn repeats_within_a_second_are_one_signal() {
    #[derive(Debug, PartialEq)]
    enum End {
        Served,
        CutOff,
    }
    use End::{CutOff, Served};

    const IDLE: u64 = 0;
    type Row<'a> = (&'a [u64], u64, End, std::ops::Range<u64>);
    let rows: &[Row<'_>] = &[
        (&[0], IDLE, Served, 3000..3500),
        (&[0, 2], IDLE, Served, 3000..3500),
        (&[0, 2, 4, 500, 999], IDLE, Served, 3000..3500),
        (&[0, 2], 5000, Served, 8000..8500),
        (&[0, 2, 1500, 1502], IDLE, Served, 1500..2000),
        (&[0, 1500], 5000, CutOff, 1500..2500),
        (&[0, 2, 6000], 8000, CutOff, 6000..7000),
        (&[0, 3000, 3001], IDLE, Served, 3000..3500),
        (&[0], 20_000, CutOff, 13_000..14_000),
    ];
    for (times, needs, end, expected) in rows {
        let start = tokio::time::Instant::now();
        let at = move |millis: u64| start + Duration::from_millis(millis);
        let times = times.to_vec();
        let mut heard = 0;
        let shutdown = GracefulShutdown::new(telemetry(&[("OTEL_SDK_DISABLED", "true")]))
            .with_delay(Duration::from_secs(3))
            .with_drain(Duration::from_secs(10))
            .with_signal(move || {
                // Dropping a future does not lose the signal it waits for.
                let elapsed = start.elapsed().as_millis() as u64;
                let next = times[heard..].iter().position(|time| *time >= elapsed);
                heard = next.map_or(times.len(), |next| heard + next);
                let next = times.get(heard).copied();
                async move {
                    match next {
                        Some(time) => {
                            tokio::time::sleep_until(at(time)).await;
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                        None => std::future::pending().await,
                    }
                }
            });
        let needs = Duration::from_millis(*needs);
        let ended = Arc::new(std::sync::Mutex::new(Duration::ZERO));
        let served = shutdown
            .serve(|stop| {
                let ended = Arc::clone(&ended);
                async move {
                    stop.await;
                    *ended.lock().unwrap() = start.elapsed();
                    tokio::time::sleep(needs).await;
                    *ended.lock().unwrap() = start.elapsed();
                    Ok::<(), std::io::Error>(())
                }
            })
            .await;
        let took = start.elapsed().as_millis() as u64;
        let is = if served.is_ok() { Served } else { CutOff };
        assert_eq!(is, *end, "{served:?}");
        // The shutdown of telemetry follows the server's end.
        let took = match end {
            Served => ended.lock().unwrap().as_millis() as u64,
            CutOff => took,
        };
        assert!(expected.contains(&took), "{took} of {expected:?}");
    }
}

/// Telemetry that was not delivered is a value and a notice, not an error.
#[tokio::test]
async fn a_receiver_that_is_down_is_no_error() {
    let url = format!("http://{}", nowhere());
    for protocol in ["grpc", "http/protobuf"] {
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let telemetry = telemetry(&variables);
        spans(&telemetry, 5);
        let flush = Duration::from_millis(300);
        let shutdown = GracefulShutdown::new(telemetry).with_flush(flush);
        let began = std::time::Instant::now();
        let served = shutdown.serve(|_| async { Ok::<(), std::io::Error>(()) }).await.unwrap();
        assert_eq!(served.undelivered().unwrap().spans(), 5);
        assert!(began.elapsed() < flush + Duration::from_secs(1), "{:?}", began.elapsed());
    }
    let receiver = Receiver::start();
    let shutdown =
        GracefulShutdown::new(telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]));
    let served = shutdown.serve(|_| async { Ok::<(), std::io::Error>(()) }).await.unwrap();
    assert_eq!(served.undelivered(), None);
}

async fn get_text(url: String) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::get(url).await.unwrap().text().await.unwrap_or_default()
}
