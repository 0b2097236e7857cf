//! The end: within its deadline, once, and with a true report.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Body, routing::get};
use opentelemetry::{
    metrics::MeterProvider,
    trace::{Span, Tracer, TracerProvider},
};
use tokio::{net::TcpListener, sync::Notify};
use tower::ServiceExt;
use tower_telemetry::{
    TelemetryLayer,
    setup::{GracefulShutdown, ServeError, Undelivered},
};

use crate::{
    all_signals, log_records,
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

const NO_TRACES: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");
const NO_LOGS: (&str, &str) = ("OTEL_LOGS_EXPORTER", "none");

/// Metrics alone, with the deadline that is also the SDK's own, and the default.
#[tokio::test]
async fn metrics_that_are_not_delivered() {
    let receiver = Receiver::start();
    receiver.set(Mood::Hangs);
    let down = format!("http://{}", nowhere());
    let end = async |protocol: &str, url: &str| {
        let telemetry = telemetry(&[
            NO_TRACES,
            NO_LOGS,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ]);
        telemetry.meter_provider().meter("test").u64_counter("c").build().add(1, &[]);
        let undelivered = telemetry.shutdown(Duration::from_secs(5)).await.unwrap_err();
        assert!(undelivered.metrics(), "{protocol}, {url}: {undelivered}");
        assert_eq!((undelivered.spans(), undelivered.log_records()), (0, 0));
    };
    let url = receiver.url();
    tokio::join!(
        end("grpc", &url),
        end("grpc", &down),
        end("http/protobuf", &url),
        end("http/protobuf", &down),
    );
}

/// What is measured by a callback is waited for; what panics there is told.
#[tokio::test]
async fn metrics_that_are_slow_to_collect() {
    let end = async |callback: fn()| {
        let receiver = Receiver::start();
        let telemetry =
            telemetry(&[NO_TRACES, NO_LOGS, ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
        let meter = telemetry.meter_provider().meter("test");
        let _gauge = meter
            .u64_observable_gauge("slow")
            .with_callback(move |gauge| {
                callback();
                gauge.observe(1, &[]);
            })
            .build();
        let outcome = telemetry.shutdown(Duration::from_secs(20)).await;
        (outcome, receiver.received().metrics("slow").len())
    };
    // Longer than the SDK waits.
    let slow = || std::thread::sleep(Duration::from_millis(5500));
    let (slow, panicked) = tokio::join!(end(slow), end(|| panic!("as the test wants it")));
    assert_eq!(slow, (Ok(()), 1));
    assert!(panicked.0.unwrap_err().metrics());
    assert_eq!(panicked.1, 0);
}

/// With deltas an export that failed is lost, whatever comes after it.
#[test]
fn deltas_that_are_not_delivered() {
    use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric::Data};

    for (refuses, complete) in [(false, true), (true, false)] {
        let receiver = Receiver::start();
        let telemetry = telemetry(&[
            NO_TRACES,
            NO_LOGS,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
        ]);
        let counter = telemetry.meter_provider().meter("test").u64_counter("c").build();
        if refuses {
            receiver.set(Mood::Refuses);
            counter.add(5, &[]);
            receiver.wait_for("a refused export", |received| !received.requests.is_empty());
            receiver.set(Mood::Takes);
        }
        counter.add(1, &[]);
        let received = receiver.wait_for("an export", |received| !received.metrics("c").is_empty());
        let Some(Data::Sum(sum)) = &received.metrics("c")[0].data else { panic!("a sum") };
        assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Delta);
        let ended = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(telemetry.shutdown(SHORT));
        assert_eq!(ended.is_ok(), complete, "{ended:?}");
    }
}

/// What a queue doesn't take is dropped and counted, and what it takes arrives.
#[tokio::test]
async fn queues_have_their_sizes() {
    let receiver = Receiver::start();
    receiver.set(Mood::Hangs);
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "50"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "30"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "10"),
    ]);
    spans(&telemetry, 100);
    log_records(&telemetry, 100);
    receiver.set(Mood::Takes);
    let undelivered = telemetry.shutdown(Duration::from_secs(20)).await.unwrap_err();
    assert_eq!((undelivered.spans(), undelivered.log_records()), (50, 70));
    let received = receiver.received();
    assert_eq!((received.spans().len(), received.log_records().len()), (50, 30));
}

/// A batch that can't be delivered is given up after its time, so the end need not wait for it.
#[test]
fn batches_are_given_up() {
    let down = format!("http://{}", nowhere());
    for protocol in ["grpc", "http/protobuf"] {
        let telemetry = telemetry(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &down),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BSP_EXPORT_TIMEOUT", "300"),
            ("OTEL_BLRP_EXPORT_TIMEOUT", "300"),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "300"),
        ]);
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        all_signals(&telemetry);
        let ended = runtime.block_on(telemetry.shutdown(Duration::from_secs(60)));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        let undelivered = ended.unwrap_err();
        assert_eq!((undelivered.spans(), undelivered.log_records()), (2, 1));
        assert!(undelivered.metrics());
    }
}

/// Until the delay is over nothing is sent, though the default's would be.
#[test]
fn delays_are_kept() {
    let receiver = Receiver::start();
    let hour = "3600000";
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
        ("OTEL_BSP_SCHEDULE_DELAY", hour),
        ("OTEL_BLRP_SCHEDULE_DELAY", hour),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
    ]);
    all_signals(&telemetry);
    // The exports of metrics are the clock: six seconds, where the defaults are five and one.
    let received = receiver.wait_for("metrics", |received| received.metrics("orders").len() >= 60);
    assert!(received.traces.is_empty() && received.logs.is_empty());
    drop(telemetry);
    assert_eq!(receiver.received().spans().len(), 2);
}

/// No deadline at all, and one that nobody waits for any more.
#[tokio::test]
async fn deadlines_without_end() {
    let receiver = Receiver::start();
    let good = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
    spans(&good, 1);
    assert_eq!(good.shutdown(Duration::MAX).await, Ok(()));

    receiver.set(Mood::Hangs);
    let left = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
    all_signals(&left);
    let waits = tokio::time::timeout(Duration::from_millis(100), left.shutdown(Duration::MAX));
    assert!(waits.await.is_err());
    let began = Instant::now();
    drop(left);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

/// A key in the path or the query of an endpoint is told to nobody.
#[tokio::test]
async fn a_key_in_an_endpoint_is_not_told() {
    let url = format!("http://{}/s3cret?key=s3cret", nowhere());
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &url)]);
    spans(&telemetry, 1);
    let undelivered = telemetry.shutdown(Duration::from_millis(300)).await.unwrap_err();
    let text = format!("{undelivered} {undelivered:?} {telemetry:?}");
    assert!(!text.contains("s3cret"), "{text}");
}

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
        Err(ServeError::Undelivered(undelivered)) => assert_eq!(undelivered.spans(), 1),
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
                    "traces go by http/protobuf to http://localhost:4317,",
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
