//! The shutdown: within its deadline, once, and with a correct report.

use std::time::{Duration, Instant};

use opentelemetry::{
    metrics::MeterProvider,
    trace::{Span, Tracer, TracerProvider},
};

use crate::{
    all_signals,
    receiver::{Mood, Receiver, nowhere},
    spans, telemetry,
};

const SHORT: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn undelivered_telemetry_is_reported() {
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
            (Some(Mood::REFUSES), receiver.url()),
            (Some(Mood::OVERWHELMED), receiver.url()),
            (None, down),
        ] {
            if let Some(mood) = mood {
                receiver.set(mood);
            }
            let telemetry = with(&url);
            all_signals(&telemetry);
            // More than fit into the queue.
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

/// Delivered spans are not reported, and open ones are.
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

/// Several callers, one of which is dropped, and the drop of the handle share one shutdown.
#[tokio::test]
async fn concurrent_shutdowns_are_one() {
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

/// A deadline longer than the SDK's five seconds is used.
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
        // The first attempts last longer than a flush of the SDK.
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

/// A receiver that has failed before is awaited if it is back, but not if its port is closed.
#[test]
fn a_closed_port_is_not_awaited() {
    const PATIENCE: Duration = Duration::from_secs(20);
    for (protocol, is_back) in [("grpc", false), ("http/protobuf", false), ("grpc", true)] {
        let mut receiver = Receiver::start();
        receiver.set(Mood::REFUSES);
        let telemetry = telemetry(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ]);
        // A second request shows that the first one has failed.
        for requests in 1..=2 {
            spans(&telemetry, 1);
            receiver.wait_for("a request", |received| received.requests.len() >= requests);
        }
        receiver.stop();
        receiver.set(Mood::Takes);
        spans(&telemetry, 1);
        if is_back {
            receiver.resume();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let began = Instant::now();
        let undelivered = runtime.block_on(telemetry.shutdown(PATIENCE)).unwrap_err();
        let is_last_delivered = !receiver.received().spans().is_empty();
        assert_eq!(is_last_delivered, is_back, "{protocol}: {undelivered}");
        assert!(is_back || began.elapsed() < PATIENCE / 4, "{protocol}: {:?}", began.elapsed());
    }
}

/// Only metrics, with the default deadline, which is the SDK's too.
#[tokio::test]
async fn undelivered_metrics_are_reported() {
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

/// A slow callback is awaited, and one that panics is reported.
#[tokio::test]
async fn slow_callbacks_are_awaited() {
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
    // Longer than the SDK's timeout.
    let slow = || std::thread::sleep(Duration::from_millis(5500));
    let (slow, panicked) = tokio::join!(end(slow), end(|| panic!("a callback that panics")));
    assert_eq!(slow, (Ok(()), 1));
    assert!(panicked.0.unwrap_err().metrics());
    assert_eq!(panicked.1, 0);
}

/// With delta temporality, rejected data points are lost even if a later export succeeds. A notice tells of
/// the first ones at once, and the shutdown reports those that no notice has told of.
#[test]
fn undelivered_deltas_are_reported() {
    use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric::Data};

    let rows = [
        ("Delta", Mood::Takes, true),
        ("Delta", Mood::Rejects(1), false),
        ("Cumulative", Mood::Rejects(1), true),
    ];
    for (temporality, mood, is_complete) in rows {
        let receiver = Receiver::start();
        let telemetry = telemetry(&[
            NO_TRACES,
            NO_LOGS,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality),
            ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
        ]);
        let counter = telemetry.meter_provider().meter("test").u64_counter("c").build();
        receiver.set(mood);
        for exports in 1..=3 {
            counter.add(5, &[]);
            receiver.wait_for("an export", |received| received.metrics("c").len() >= exports);
        }
        receiver.set(Mood::Takes);
        let received = receiver.received();
        let Some(Data::Sum(sum)) = &received.metrics("c")[0].data else { panic!("a sum") };
        let is_delta = sum.aggregation_temporality() == AggregationTemporality::Delta;
        assert_eq!(is_delta, temporality == "Delta");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ended = runtime.block_on(telemetry.shutdown(SHORT));
        assert_eq!(ended.is_ok(), is_complete, "{temporality}, {mood:?}: {ended:?}");
    }
}

/// The longest deadline, and a shutdown with it that is dropped.
#[tokio::test]
async fn endless_deadlines() {
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

/// A key in the path or query of an endpoint is in no text.
#[tokio::test]
async fn a_key_in_an_endpoint_is_not_shown() {
    let url = format!("http://{}/s3cret?key=s3cret", nowhere());
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &url)]);
    spans(&telemetry, 1);
    let undelivered = telemetry.shutdown(Duration::from_millis(300)).await.unwrap_err();
    let text = format!("{undelivered} {undelivered:?} {telemetry:?}");
    assert!(!text.contains("s3cret"), "{text}");
}
