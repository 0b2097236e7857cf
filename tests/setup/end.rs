//! The end: within its deadline, once, and with a true report.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Body, routing::get};
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use tokio::{net::TcpListener, sync::Notify};
use tower::ServiceExt;
use tower_telemetry::{
    TelemetryLayer,
    setup::{GracefulShutdown, ServeError, Undelivered},
};

use crate::{
    all_signals,
    receiver::{Mood, Receiver, nowhere},
    spans, telemetry,
};

const SHORT: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn what_is_not_delivered_is_reported() {
    for protocol in ["grpc", "http/protobuf"] {
        let with = |url: &str| {
            telemetry(&[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret"),
            ])
        };
        let receiver = Receiver::start();
        let down = format!("http://{}", nowhere());
        for (mood, url) in [
            (Some(Mood::Hangs), receiver.url()),
            (Some(Mood::Refuses), receiver.url()),
            (Some(Mood::Overwhelmed), receiver.url()),
            (None, down),
        ] {
            if let Some(mood) = mood {
                receiver.set(mood);
            }
            let telemetry = with(&url);
            all_signals(&telemetry);
            // More than the queue takes.
            spans(&telemetry, 3000);
            let began = Instant::now();
            let undelivered = telemetry.shutdown(SHORT).await.unwrap_err();
            let took = began.elapsed();
            assert!(took < SHORT + Duration::from_secs(2), "{took:?}");
            assert_eq!(undelivered.spans(), 3002, "{protocol}: {undelivered}");
            assert_eq!(undelivered.log_records(), 1);
            assert_eq!(undelivered.open_spans(), 0);
            assert!(undelivered.metrics());
            let text = undelivered.to_string();
            assert!(text.contains("3002 spans") && text.contains(&url), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
            assert_eq!(telemetry.shutdown(SHORT).await.unwrap_err(), undelivered, "idempotent");
        }
    }
}

/// What arrived is not reported, what was still open is.
#[tokio::test]
async fn open_spans_are_reported() {
    let receiver = Receiver::start();
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
    spans(&telemetry, 10);
    let mut open = telemetry.tracer_provider().tracer("test").start("open");
    let undelivered = telemetry.shutdown(SHORT).await.unwrap_err();
    open.end();
    assert_eq!((undelivered.spans(), undelivered.open_spans()), (0, 1));
    assert_eq!(undelivered.log_records(), 0);
    assert!(!undelivered.metrics());
    assert_eq!(receiver.received().spans().len(), 10);
}

/// Several callers, one of whom gives up, and the drop after them: one end.
#[tokio::test]
async fn the_end_comes_once() {
    let receiver = Receiver::start();
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
    spans(&telemetry, 100);
    let abandoned = tokio::time::timeout(Duration::ZERO, telemetry.shutdown(SHORT)).await;
    let (one, other) = tokio::join!(telemetry.shutdown(SHORT), telemetry.shutdown(SHORT));
    assert_eq!((one, other), (Ok(()), Ok(())));
    assert!(abandoned.is_err() || abandoned == Ok(Ok(())));
    spans(&telemetry, 1);
    drop(telemetry);
    assert_eq!(receiver.received().spans().len(), 100);
}

/// A deadline beyond the SDK's own five seconds holds too.
#[tokio::test]
async fn a_long_deadline_is_used() {
    let receiver = Receiver::start();
    receiver.set(Mood::Hangs);
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "6000"),
    ]);
    all_signals(&telemetry);
    let end = async {
        // The first attempts hang for longer than a flush of the SDK waits.
        while receiver.received().requests.len() < 3 {
            tokio::task::yield_now().await;
        }
        receiver.set(Mood::Takes);
    };
    let (ended, ()) = tokio::join!(telemetry.shutdown(Duration::from_secs(20)), end);
    assert_eq!(ended, Ok(()));
    assert_eq!(receiver.received().spans().len(), 2);
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
        .with_delay(Duration::from_millis(200))
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
            .layer(layer)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/slow", listener.local_addr().unwrap());
    let server = tokio::spawn(
        shutdown.serve(|stop| axum::serve(listener, app).with_graceful_shutdown(stop)),
    );
    let client = tokio::spawn(get_text(url));
    entered.notified().await;
    assert_eq!(probe().await.unwrap().status(), 200);
    told.notify_one();
    while readiness.is_ready() {
        tokio::task::yield_now().await;
    }
    assert_eq!(probe().await.unwrap().status(), 503);
    assert!(receiver.received().spans().is_empty());
    finish.notify_one();
    assert_eq!(client.await.unwrap(), "done");
    server.await.unwrap().unwrap();
    assert_eq!(receiver.received().spans().len(), 1);
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

/// Without a subscriber the one notice goes to standard error; with one, to it.
#[test]
fn suspicious_settings_are_told() {
    let told = Arc::new(Mutex::new(String::new()));
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer({
            let told = told.clone();
            move || Told(told.clone())
        })
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        for (variables, expected) in [
            (
                vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317")],
                &[
                    "traces go by http/protobuf to http://localhost:4317/v1/traces",
                    "metrics go by",
                    "logs go by",
                    "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
                ][..],
            ),
            (
                vec![
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318"),
                ],
                &["traces go by grpc to http://localhost:4318"],
            ),
            (
                vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", "/a.pem")],
                &["OTEL_EXPORTER_OTLP_CERTIFICATE is set, and has no effect"],
            ),
            (
                vec![("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "/a.pem")],
                &["OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY is set"],
            ),
        ] {
            told.lock().unwrap().clear();
            drop(telemetry(&variables));
            let told = told.lock().unwrap();
            for expected in expected {
                assert!(told.contains(expected), "{expected}: {told}");
            }
        }
        for quiet in [
            vec![
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317"),
            ],
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")],
            vec![],
        ] {
            told.lock().unwrap().clear();
            drop(telemetry(&quiet));
            let told = told.lock().unwrap();
            assert!(!told.contains("go by"), "{told}");
        }
    });
}

struct Told(Arc<Mutex<String>>);

impl std::io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
