//! The sizes of requests and answers.

use opentelemetry::{
    KeyValue,
    logs::{LogRecord, Logger, LoggerProvider},
    metrics::MeterProvider,
    trace::{Span, Tracer, TracerProvider},
};
use tower_telemetry::Telemetry;

use crate::{
    ENDPOINT, PROTOCOL, PROTOCOLS, notes, one_of_each,
    receiver::{Mood, Receiver},
    shutdown, telemetry,
};

const MIB: usize = 1 << 20;
const HOUR: &str = "3600000";

/// Sets telemetry up that sends everything in one batch of each signal.
fn in_one_batch(receiver: &Receiver, protocol: &str) -> Telemetry {
    telemetry(&[
        (ENDPOINT, &receiver.url()),
        (PROTOCOL, protocol),
        // An attempt that is cut off although it has arrived would be sent again.
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
        ("OTEL_BSP_SCHEDULE_DELAY", HOUR),
        ("OTEL_BLRP_SCHEDULE_DELAY", HOUR),
        ("OTEL_METRIC_EXPORT_INTERVAL", HOUR),
    ])
}

/// Records spans, log records and instruments that are each a bit larger than `size`.
fn record(telemetry: &Telemetry, count: usize, size: usize) {
    let filling = "x".repeat(size);
    for n in 0..count {
        // Two scopes, so that a split goes through the middle of one.
        let scope = if n < count / 3 { "few" } else { "many" };
        let mut span = telemetry.tracer_provider().tracer(scope).start("span");
        span.set_attribute(KeyValue::new("filling", filling.clone()));
        span.end();
        let logger = telemetry.logger_provider().logger(scope);
        let mut record = logger.create_log_record();
        record.set_body(filling.clone().into());
        logger.emit(record);
        let meter = telemetry.meter_provider().meter(scope);
        let attribute = [KeyValue::new("filling", filling.clone())];
        meter.u64_counter(format!("counter.{n}")).build().add(1, &attribute);
    }
}

/// A batch that is too large for a request is sent in several, and everything arrives once.
#[test]
fn large_batches_are_split() {
    for protocol in PROTOCOLS {
        // 4 MiB by gRPC, 20 MiB by HTTP.
        let limit = if protocol == "grpc" { 4 * MIB } else { 20 * MIB };
        let receiver = Receiver::start();
        let telemetry = in_one_batch(&receiver, protocol);
        record(&telemetry, 7, limit / 4);
        assert_eq!(shutdown(&telemetry, 60_000), Ok(()), "{protocol}");
        let received = receiver.received();
        assert_eq!((received.spans().len(), received.log_records().len()), (7, 7), "{protocol}");
        for n in 0..7 {
            assert_eq!(received.metrics(&format!("counter.{n}")).len(), 1, "{protocol}, {n}");
        }
        let requests =
            |path: &str| received.requests.iter().filter(|r| r.0.ends_with(path)).count();
        for path in ["traces", "metrics", "logs"] {
            assert!((3..=5).contains(&requests(path)), "{protocol}, {path}: {}", requests(path));
        }
        for resource in &received.traces {
            assert!(resource.resource.is_some());
            assert!(resource.scope_spans.iter().all(|scope| !scope.spans.is_empty()));
        }
    }
}

/// An item that is larger than a request is lost alone. The notice tells its size.
#[test]
fn a_large_item_is_lost_alone() {
    notes::listen();
    let receiver = Receiver::start();
    let telemetry = in_one_batch(&receiver, "grpc");
    one_of_each(&telemetry);
    record(&telemetry, 1, 5 * MIB);
    one_of_each(&telemetry);
    let undelivered = shutdown(&telemetry, 20_000).unwrap_err();
    assert_eq!((undelivered.spans(), undelivered.log_records()), (1, 1), "{undelivered}");
    let received = receiver.received();
    assert_eq!((received.spans().len(), received.log_records().len()), (2, 2));
    assert!(!received.metrics("orders").is_empty() && received.metrics("counter.0").is_empty());
    let start = format!("traces don't arrive at {}: an item of 5243", receiver.url());
    let notice = notes::wait_for(&start);
    let end = "bytes is larger than a request may be (4194304). Lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE or \
               OTEL_BLRP_MAX_EXPORT_BATCH_SIZE. Dropped without another attempt: 1 span. A notice follows \
               when they arrive";
    assert!(notice.ends_with(end), "{notice}");
}

/// An answer without an end is not read. The receiver took the request, so it is not sent again.
#[test]
fn long_answers_are_cut_off() {
    notes::listen();
    for protocol in PROTOCOLS {
        let receiver = Receiver::start();
        receiver.set(Mood::Chatters);
        let telemetry = in_one_batch(&receiver, protocol);
        one_of_each(&telemetry);
        let undelivered = shutdown(&telemetry, 20_000).unwrap_err();
        let text = undelivered.to_string();
        assert!(text.contains("its answer is longer than 4194304 bytes"), "{text}");
        assert_eq!(
            receiver.received().requests.len(),
            3,
            "{protocol}: one attempt for each signal"
        );
    }
}
