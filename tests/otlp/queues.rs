//! Queues: a receiver that is away for long, an overflow while it is well, several exports at a time.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value};

use crate::{
    ENDPOINT, PROTOCOL, each_protocol, notes, one_of_each,
    receiver::{Mood, Received, Receiver, attribute, nowhere},
    shutdown, spans, telemetry,
};

/// Returns the last value of a metric with these attributes, and without `error.type` if it is not one of
/// them.
fn value(received: &Received, name: &str, attributes: &[(&str, &str)]) -> Option<i64> {
    let metrics = received.metrics(name);
    let Some(Data::Sum(sum)) = &metrics.last()?.data else { panic!("{name} is a sum") };
    let point = sum.data_points.iter().find(|point| {
        let has = |(k, v): &(&str, &str)| attribute(&point.attributes, k).as_deref() == Some(v);
        let is_error = attribute(&point.attributes, "error.type").is_some();
        attributes.iter().all(has) && is_error == attributes.iter().any(|(k, _)| *k == "error.type")
    })?;
    match point.value? {
        Value::AsInt(value) => Some(value),
        Value::AsDouble(value) => panic!("{name} is {value}"),
    }
}

/// A service that starts before its receiver loses nothing, however long the receiver is away.
#[test]
fn a_receiver_may_start_late() {
    each_protocol(|protocol| {
        let address = nowhere();
        let url = format!("http://{address}");
        let telemetry = telemetry(&[(ENDPOINT, &url), (PROTOCOL, protocol)]);
        spans(&telemetry, 5000);
        one_of_each(&telemetry);
        let shown = if protocol == "grpc" { url } else { format!("{url}/v1/traces") };
        notes::wait_for(&format!("traces don't arrive at {shown}: connection refused"));
        let receiver = Receiver::start_at(address);
        receiver.wait_for("all", |received| {
            received.spans().len() == 5001 && received.log_records().len() == 1
        });
        assert_eq!(shutdown(&telemetry, 20_000), Ok(()));
        assert_eq!(receiver.received().spans().len(), 5001, "none twice");
    });
}

/// A connection that is lost without a reset is not used again.
#[test]
fn a_dead_connection_is_given_up() {
    each_protocol(|protocol| {
        let receiver = Receiver::start();
        let url = format!("http://{}", behind_a_dead_connection(receiver.address));
        let telemetry = telemetry(&[
            (ENDPOINT, &url),
            (PROTOCOL, protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ]);
        spans(&telemetry, 1);
        receiver.wait_for("the span", |received| received.spans().len() == 1);
        assert_eq!(shutdown(&telemetry, 20_000), Ok(()), "{protocol}");
    });
}

/// Returns the address of a proxy that never answers on its first connection, and keeps it open.
fn behind_a_dead_connection(receiver: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The threads end with the process of the tests.
    thread::spawn(move || {
        let dead = listener.accept().unwrap();
        for connection in listener.incoming() {
            let (client, server) = (connection.unwrap(), TcpStream::connect(receiver).unwrap());
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                thread::spawn(move || io::copy(&mut from, &mut to));
            }
        }
        drop(dead);
    });
    address
}

/// With a limit, a batch is dropped after it, and the notice says so.
#[test]
fn a_limit_is_kept() {
    notes::listen();
    let url = format!("http://{}", nowhere());
    let telemetry = telemetry(&[
        (ENDPOINT, &url),
        ("OTEL_BSP_EXPORT_TIMEOUT", "700"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "700"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "700"),
    ]);
    one_of_each(&telemetry);
    let notice = notes::wait_for(&format!("traces don't arrive at {url}/v1/traces: "));
    assert_eq!(
        notice,
        format!(
            "traces don't arrive at {url}/v1/traces: connection refused. Dropped after 700.0ms of \
             attempts: 1 span. A notice follows when they arrive"
        )
    );
    drop(telemetry);
}

/// More is recorded than the receiver takes: the operator is told while it happens, with what to do, and the
/// metrics of the exporter say it, too.
#[test]
fn an_overflow_is_told() {
    notes::listen();
    let receiver = Receiver::start();
    receiver.set(Mood::Hangs);
    let telemetry = telemetry(&[
        (ENDPOINT, &receiver.url()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
    ]);
    // Four batches are under way. The receiver does not answer them yet.
    spans(&telemetry, 150);
    receiver.wait_for("four requests", |received| received.requests.len() == 4);
    receiver.set(Mood::Takes);
    let notice = notes::wait_for("Dropped 50 spans");
    assert_eq!(
        notice,
        format!(
            "Dropped 50 spans: the queue of 100 is full, because {}/v1/traces takes traces slower than \
             they are recorded. Raise OTEL_BSP_MAX_QUEUE_SIZE, or sample fewer",
            receiver.url()
        )
    );
    // The receiver was told of by then, so this is no news at the shutdown.
    assert_eq!(shutdown(&telemetry, 20_000), Ok(()));
    let received = receiver.received();
    let processor = ("otel.component.type", "batching_span_processor");
    let name = "otel.sdk.processor.span.processed";
    assert_eq!(value(&received, name, &[processor, ("error.type", "queue_full")]), Some(50));
    assert_eq!(value(&received, "otel.sdk.processor.span.queue.capacity", &[processor]), Some(100));
}

/// The queue overflows while the receiver is away: it is told then, and when the receiver is back.
#[test]
fn an_overflow_during_an_outage_is_told() {
    each_protocol(|protocol| {
        let address = nowhere();
        let url = format!("http://{address}");
        let telemetry = telemetry(&[
            (ENDPOINT, &url),
            (PROTOCOL, protocol),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ]);
        spans(&telemetry, 100);
        let shown = if protocol == "grpc" { url } else { format!("{url}/v1/traces") };
        notes::wait_for(&format!("traces don't arrive at {shown}: connection refused"));
        spans(&telemetry, 40);
        let why = format!("because traces don't arrive at {shown}: connection refused");
        notes::wait_for(&format!("Dropped 40 spans: the queue of 100 is full, {why}"));
        let receiver = Receiver::start_at(address);
        let notice = notes::wait_for(&format!("traces arrive at {shown} again"));
        assert_eq!(
            notice,
            format!("traces arrive at {shown} again, 40 spans lost since the start")
        );
        receiver.wait_for("what fits", |received| received.spans().len() == 100);
        assert_eq!(shutdown(&telemetry, 20_000), Ok(()), "{protocol}");
    });
}

/// Several batches are under way at a time, so a receiver that needs time is no bottleneck.
#[test]
fn batches_are_sent_at_the_same_time() {
    let receiver = Receiver::start();
    receiver.set(Mood::Hangs);
    let telemetry = telemetry(&[
        (ENDPOINT, &receiver.url()),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
    ]);
    spans(&telemetry, 100);
    let received = receiver.wait_for("four requests", |received| received.requests.len() >= 4);
    assert_eq!(received.requests.len(), 4, "and not more");
    let _ = shutdown(&telemetry, 0);
}

/// The metrics of the exporters tell successes from failures, by their cause.
#[test]
fn exporters_are_measured() {
    notes::listen();
    for (protocol, component, kind) in [
        ("grpc", "otlp_grpc_span_exporter", "UNAUTHENTICATED"),
        ("http/protobuf", "otlp_http_span_exporter", "401"),
        ("http/json", "otlp_http_json_span_exporter", "401"),
    ] {
        let receiver = Receiver::start();
        receiver.set(Mood::REFUSES);
        let telemetry = telemetry(&[
            (ENDPOINT, &receiver.url()),
            (PROTOCOL, protocol),
            ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ]);
        spans(&telemetry, 3);
        let _ = telemetry.tracer_provider().force_flush();
        receiver.set(Mood::Takes);
        spans(&telemetry, 2);
        assert!(telemetry.tracer_provider().force_flush().is_ok());
        let _ = shutdown(&telemetry, 20_000);
        let received = receiver.received();
        let port = receiver.address.port().to_string();
        let to = [
            ("otel.component.type", component),
            ("server.address", "127.0.0.1"),
            ("server.port", port.as_str()),
        ];
        let exported = "otel.sdk.exporter.span.exported";
        assert_eq!(value(&received, exported, &to), Some(2), "{protocol}");
        let failed = [&to[..], &[("error.type", kind)]].concat();
        assert_eq!(value(&received, exported, &failed), Some(3), "{protocol}");
        assert_eq!(value(&received, "otel.sdk.exporter.span.inflight", &to), Some(0));
        let durations = received.metrics("otel.sdk.exporter.operation.duration");
        let Some(Data::Histogram(histogram)) = &durations.last().unwrap().data else {
            panic!("a histogram")
        };
        let attempts = |kind: Option<&str>| {
            let point = histogram.data_points.iter().find(|point| {
                attribute(&point.attributes, "error.type").as_deref() == kind
                    && attribute(&point.attributes, "otel.component.type").as_deref()
                        == Some(component)
            });
            point.map(|point| point.count)
        };
        assert_eq!((attempts(None), attempts(Some(kind))), (Some(1), Some(1)), "{protocol}");
    }
}
