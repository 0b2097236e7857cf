//! A server that is told to end: in order, within bounds.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use tokio::{net::TcpListener, sync::Notify};
use tower::ServiceExt;
use tower_telemetry::{
    TelemetryLayer,
    setup::{GracefulShutdown, ServeError, Undelivered},
};

use crate::{
    receiver::{Mood, Receiver},
    spans, telemetry,
};

/// A second signal ends the delivery of telemetry too.
#[tokio::test]
async fn a_second_signal_ends_the_flush() {
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
    told.notify_one();
    match server.await.unwrap() {
        Ok(served) => assert_eq!(served.undelivered().unwrap().spans(), 1),
        other => panic!("{other:?}"),
    }
}

/// Readiness, the delay, the drain, and telemetry last.
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

/// A request without an end can't keep a process alive, nor can a second signal be ignored.
#[tokio::test]
async fn a_drain_has_a_bound() {
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
        if impatient {
            told.notify_one();
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
async fn a_server_that_fails_is_heard() {
    let receiver = Receiver::start();
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
    spans(&telemetry, 5);
    let shutdown = GracefulShutdown::new(telemetry);
    let error = shutdown.serve(|_| async { Err::<(), _>("no port") }).await.unwrap_err();
    assert!(matches!(error, ServeError::Server("no port")));
    assert_eq!(receiver.received().spans().len(), 5, "its telemetry is delivered");
}

async fn get_text(url: String) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::get(url).await.unwrap().text().await.unwrap_or_default()
}
