//! Queues, delays and timeouts of batches.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::metrics::v1::{
    NumberDataPoint, metric::Data, number_data_point::Value,
};

use crate::{
    all_signals, log_records,
    receiver::{Mood, Receiver, attribute, nowhere},
    spans, telemetry,
};

/// Items that exceed a queue are dropped and counted. The others arrive.
#[tokio::test]
async fn queues_drop_what_exceeds_their_size() {
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
    // A notice tells of the first drops, and the shutdown of the others.
    let undelivered = telemetry.shutdown(Duration::from_secs(20)).await;
    let reported = undelivered.err().map_or((0, 0), |lost| (lost.spans(), lost.log_records()));
    assert!(reported.0 <= 50 && reported.1 <= 70, "{reported:?}");
    let received = receiver.received();
    assert_eq!((received.spans().len(), received.log_records().len()), (50, 30));
    let dropped = |name: &str| {
        let metrics = received.metrics(name);
        let Some(Data::Sum(sum)) = &metrics.last().unwrap().data else { panic!("a sum") };
        let is_full = |point: &&NumberDataPoint| {
            attribute(&point.attributes, "error.type").as_deref() == Some("queue_full")
        };
        sum.data_points.iter().find(is_full).unwrap().value
    };
    assert_eq!(dropped("otel.sdk.processor.span.processed"), Some(Value::AsInt(50)));
    assert_eq!(dropped("otel.sdk.processor.log.processed"), Some(Value::AsInt(70)));
}

/// A batch is dropped after its timeout, so the shutdown does not wait for it.
#[test]
fn batches_are_dropped_after_their_timeout() {
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

/// Nothing is sent before the delay, not even after the default delay.
#[test]
fn nothing_is_sent_before_the_delay() {
    let receiver = Receiver::start();
    let hour = "3600000";
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
        ("OTEL_BSP_SCHEDULE_DELAY", hour),
        ("OTEL_BLRP_SCHEDULE_DELAY", hour),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
    ]);
    all_signals(&telemetry);
    // Sixty exports of metrics take six seconds. The default delays are five and one.
    let received = receiver.wait_for("metrics", |received| received.metrics("orders").len() >= 60);
    assert!(received.traces.is_empty() && received.logs.is_empty());
    drop(telemetry);
    assert_eq!(receiver.received().spans().len(), 2);
}

/// An attempt ends after the signal's timeout, and another one follows.
#[test]
fn hanging_attempts_are_repeated() {
    for (protocol, name) in [
        ("grpc", "OTEL_EXPORTER_OTLP_TIMEOUT"),
        ("http/protobuf", "OTEL_EXPORTER_OTLP_TIMEOUT"),
        ("http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"),
    ] {
        let receiver = Receiver::start();
        receiver.set(Mood::Hangs);
        let telemetry = telemetry(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            (name, "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "1500"),
        ]);
        spans(&telemetry, 1);
        receiver.wait_for("three attempts", |received| received.requests.len() >= 3);
        receiver.set(Mood::Takes);
        drop(telemetry);
    }
}

/// Batches have their size, and are sent after the delay without a flush.
#[test]
fn batches_have_their_size() {
    let receiver = Receiver::start();
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "50"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
    ]);
    all_signals(&telemetry);
    receiver.wait_for("all signals", |received| {
        !(received.traces.is_empty() || received.logs.is_empty() || received.metrics.is_empty())
    });
    spans(&telemetry, 40);
    let received = receiver.wait_for("all", |received| received.spans().len() == 42);
    let largest = received.traces.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).max();
    assert_eq!(largest, Some(10));
}
