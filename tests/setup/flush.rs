//! A flush: what has been recorded arrives while telemetry goes on.

use std::time::{Duration, Instant};

use opentelemetry::{
    metrics::MeterProvider,
    trace::{Span, Tracer, TracerProvider},
};
use tower_telemetry::{Telemetry, setup::Undelivered};

use crate::{
    all_signals,
    receiver::{Mood, Receiver, nowhere},
    spans, telemetry,
};

const LONG: Duration = Duration::from_secs(20);

/// Sets telemetry up that exports nothing by itself.
fn idle(url: &str) -> Telemetry {
    telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "3600000"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
    ])
}

/// In a runtime with one thread and without timers, which would do the most harm.
fn flush(telemetry: &Telemetry, deadline: Duration) -> Result<(), Undelivered> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(telemetry.flush(deadline))
}

#[test]
fn everything_arrives_and_telemetry_goes_on() {
    let receiver = Receiver::start();
    let telemetry = idle(&receiver.url());
    let mut open = telemetry.tracer_provider().tracer("test").start("open");
    for round in 1..=3 {
        all_signals(&telemetry);
        assert_eq!(flush(&telemetry, LONG), Ok(()));
        let received = receiver.received();
        assert_eq!((received.spans().len(), received.log_records().len()), (2 * round, round));
        assert_eq!(received.metrics("orders").len(), round);
    }
    open.end();
    assert_eq!(flush(&telemetry, LONG), Ok(()));
    assert_eq!(receiver.received().spans().len(), 7, "a span is delivered once it has ended");
    let shutdown = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(shutdown.block_on(telemetry.shutdown(LONG)), Ok(()));
    assert_eq!(flush(&telemetry, LONG), Ok(()), "after the shutdown it does nothing");
}

/// The deadline is kept, and what is not delivered by then arrives later.
#[test]
fn what_waits_is_reported_and_kept() {
    let receiver = Receiver::start();
    receiver.set(Mood::Hangs);
    let telemetry = idle(&receiver.url());
    all_signals(&telemetry);
    let began = Instant::now();
    let undelivered = flush(&telemetry, Duration::from_millis(300)).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!((undelivered.spans(), undelivered.log_records()), (2, 1), "{undelivered}");
    assert!(undelivered.metrics());
    receiver.set(Mood::Takes);
    receiver.wait_for("what waited", |received| {
        received.spans().len() == 2 && received.log_records().len() == 1
    });
    assert_eq!(flush(&telemetry, LONG), Ok(()));
}

/// A loss is reported by the flush in which it happens.
#[test]
fn what_is_lost_is_reported() {
    let receiver = Receiver::start();
    receiver.set(Mood::REFUSES);
    let telemetry = idle(&receiver.url());
    all_signals(&telemetry);
    let undelivered = flush(&telemetry, LONG).unwrap_err();
    assert_eq!((undelivered.spans(), undelivered.log_records()), (2, 1), "{undelivered}");
    assert!(undelivered.metrics() && undelivered.to_string().contains("401"), "{undelivered}");
    receiver.set(Mood::Takes);
    spans(&telemetry, 1);
    assert_eq!(flush(&telemetry, LONG), Ok(()));
}

/// Without receivers, and with one that is down.
#[test]
fn other_exporters() {
    let none = telemetry(&[
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ]);
    none.meter_provider().meter("test").u64_counter("c").build().add(1, &[]);
    spans(&none, 1);
    assert_eq!(flush(&none, Duration::MAX), Ok(()));
    let down = idle(&format!("http://{}", nowhere()));
    spans(&down, 1);
    let undelivered = flush(&down, Duration::from_millis(300)).unwrap_err();
    assert!(undelivered.to_string().contains("connection refused"), "{undelivered}");
}
