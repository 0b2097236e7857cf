//! Telemetry arrives: by each protocol, from each kind of runtime, after each outage.

use std::{thread, time::Duration};

use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value};
use tower_telemetry::{
    Telemetry,
    setup::{Compression, Otlp, OtlpProtocol, Signal},
};

use crate::{
    all_signals, builder,
    receiver::{Mood, Received, Receiver, attribute, nowhere},
    spans, telemetry,
};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn all_signals_arrive_with_their_ids() {
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        for compression in ["none", "gzip"] {
            let receiver = Receiver::start();
            let telemetry = telemetry(&[
                ("OTEL_SERVICE_NAME", "shop"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
                ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cret%2C%20100%25,x-tenant=a"),
            ]);
            all_signals(&telemetry);
            telemetry.shutdown(LONG).await.unwrap();

            let received = receiver.received();
            assert_eq!(attribute(&received.resource().attributes, "service.name").unwrap(), "shop");
            let spans = received.spans();
            assert_eq!(spans.len(), 2);
            let order = spans.iter().find(|span| span.name == "order").unwrap();
            let pay = spans.iter().find(|span| span.name == "pay").unwrap();
            assert_eq!(pay.parent_span_id, order.span_id);
            let scope = received.traces[0].scope_spans[0].scope.as_ref().unwrap();
            assert_eq!(scope.name, "shop");

            let [record] = received.log_records()[..] else { panic!("one log record") };
            assert_eq!(record.trace_id, order.trace_id, "{protocol}");
            assert_eq!(record.span_id, order.span_id);
            assert_eq!(record.severity_text, "INFO");
            assert_eq!(attribute(&record.attributes, "amount").unwrap(), "3");
            assert_eq!(received.logs[0].scope_logs[0].scope.as_ref().unwrap().name, "shop");

            assert_eq!(sum(&received, "orders"), 3);
            for (path, headers) in &received.requests {
                assert_eq!(headers["x-key"], "s3cret, 100%", "{path}");
                assert_eq!(headers["x-tenant"], "a");
                let encoding =
                    if protocol == "grpc" { "grpc-encoding" } else { "content-encoding" };
                let encoding = headers.get(encoding).map(|value| value.to_str().unwrap());
                assert_eq!(encoding, (compression == "gzip").then_some("gzip"), "{path}");
            }
        }
    }
}

/// `event_name` tells kinds of events apart. `tracing` makes up a name of the source line for an event
/// without one, which is not sent.
#[test]
fn only_named_events_have_a_name() {
    use tracing_subscriber::layer::SubscriberExt;

    for protocol in ["grpc", "http/protobuf", "http/json"] {
        let receiver = Receiver::start();
        let telemetry = telemetry(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ]);
        let bridge = tower_telemetry::logs::bridge(telemetry.logger_provider());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(bridge), || {
            tracing::info!("without a name");
            tracing::info!(name: "order.placed", "with a name");
        });
        drop(telemetry);
        let received = receiver.received();
        let names: Vec<_> = received.log_records().iter().map(|r| r.event_name.clone()).collect();
        assert_eq!(names, ["", "order.placed"], "{protocol}");
    }
}

/// Returns the last sum of a counter.
fn sum(received: &Received, name: &str) -> i64 {
    let metrics = received.metrics(name);
    let Some(Data::Sum(sum)) = &metrics.last().unwrap().data else { panic!("a sum") };
    match sum.data_points[0].value {
        Some(Value::AsInt(value)) => value,
        other => panic!("{other:?}"),
    }
}

/// Settings in code have the same effect as variables.
#[tokio::test]
async fn settings_in_code_are_used() {
    let receiver = Receiver::start();
    let other = Receiver::start();
    let otlp = Otlp::new()
        .with_protocol(OtlpProtocol::Grpc)
        .with_endpoint(receiver.url())
        .with_header("x-key", "50% of s3cret")
        .with_compression(Compression::Gzip)
        .with_timeout(Duration::from_secs(3));
    let own = Otlp::new()
        .with_protocol(OtlpProtocol::HttpProtobuf)
        .with_endpoint(format!("{}/own/path", other.url()))
        .with_header("x-key", "60% of it");
    assert!(!format!("{otlp:?}{own:?}").contains("of"), "secrets are not printed");
    let telemetry =
        builder(&[]).with_otlp(otlp).with_signal_otlp(Signal::Traces, own).build().unwrap();
    let telemetry = &telemetry;
    all_signals(telemetry);
    telemetry.shutdown(LONG).await.unwrap();
    for (path, headers) in receiver.received().requests.iter().chain(&other.received().requests) {
        assert!(
            headers.get("x-leak").is_none(),
            "{path}: headers of the process's environment are not sent"
        );
    }
    let paths = |receiver: &Receiver| {
        let mut paths: Vec<_> =
            receiver.received().requests.into_iter().map(|(path, _)| path).collect();
        paths.sort();
        paths.dedup();
        paths
    };
    assert_eq!(paths(&receiver), ["logs", "metrics"]);
    assert_eq!(paths(&other), ["/own/path"]);
    assert_eq!(receiver.received().requests[0].1["x-key"], "50% of s3cret");
    let header = &other.received().requests[0].1;
    assert_eq!(header["x-key"], "60% of it");
    assert_eq!(header["content-encoding"], "gzip");
}

/// If variables are looked up elsewhere, a key in the process's environment is not sent.
#[test]
fn the_environment_of_the_process_is_not_read() {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "delivery::settings_in_code_are_used"])
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-leak=1")
        .env("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-leak=2")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Setup, recording and shutdown work in each kind of runtime, by `shutdown` and by dropping.
#[test]
fn every_kind_of_runtime_works() {
    let multi_thread = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let current_thread =
        || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();

    for protocol in ["grpc", "http/protobuf"] {
        let run = |runtime: Option<tokio::runtime::Runtime>, drops: bool| {
            let receiver = Receiver::start();
            let variables = [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
            ];
            let body = move || {
                let variables: Vec<_> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
                let telemetry = telemetry(&variables);
                spans(&telemetry, 1005);
                telemetry
            };
            let began = std::time::Instant::now();
            match runtime {
                // Blocking a task would do the most harm.
                Some(runtime) => runtime
                    .block_on(async move {
                        tokio::spawn(async move {
                            let telemetry = body();
                            if !drops {
                                telemetry.shutdown(LONG).await.unwrap();
                            }
                        })
                        .await
                    })
                    .unwrap(),
                None => drop(thread::spawn(body).join().unwrap()),
            }
            let took = began.elapsed();
            assert_eq!(receiver.received().spans().len(), 1005, "{protocol}, drops: {drops}");
            assert!(took < Duration::from_secs(4), "no stall: {took:?}");
        };
        run(None, true);
        for drops in [false, true] {
            run(Some(multi_thread()), drops);
            run(Some(current_thread()), drops);
        }
    }
}

/// Nothing is lost while a receiver is down, overloaded or silent for a while.
#[test]
fn outages_lose_nothing() {
    let variables = |url: &str, protocol: &str| {
        telemetry(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ])
    };
    for protocol in ["grpc", "http/protobuf"] {
        // The receiver starts later.
        let address = nowhere();
        let telemetry = variables(&format!("http://{address}"), protocol);
        spans(&telemetry, 2000);
        let mut receiver = Receiver::start_at(address);
        receiver.wait_for("all", |received| received.spans().len() == 2000);
        // The receiver restarts.
        receiver.stop();
        spans(&telemetry, 1500);
        receiver.resume();
        receiver.wait_for("all", |received| received.spans().len() == 3500);
        for mood in [Mood::OVERWHELMED, Mood::Hangs] {
            receiver.set(mood);
            let before = receiver.received();
            spans(&telemetry, 100);
            receiver.wait_for("an attempt", |r| r.requests.len() > before.requests.len() + 1);
            receiver.set(Mood::Takes);
            let all = before.spans().len() + 100;
            receiver.wait_for("all", |received| received.spans().len() == all);
        }
        // The receiver stops during a request, whose outcome is unknown.
        receiver.set(Mood::Hangs);
        let before = receiver.received().requests.len();
        spans(&telemetry, 100);
        receiver.wait_for("the request", |received| received.requests.len() > before);
        receiver.stop();
        receiver.set(Mood::Takes);
        receiver.resume();
        receiver.wait_for("all", |received| received.spans().len() == 3800);
        drop(telemetry);
        assert_eq!(receiver.received().spans().len(), 3800, "none twice, {protocol}");
    }
}

/// Exporting log records must not create log records that are exported in turn.
#[test]
fn exporting_logs_creates_no_logs() {
    use tracing_subscriber::layer::SubscriberExt;

    let receiver = Receiver::start();
    for protocol in ["grpc", "http/protobuf"] {
        let telemetry = telemetry(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BLRP_SCHEDULE_DELAY", "10"),
        ]);
        let before = receiver.received().log_records().len();
        let subscriber = tracing_subscriber::registry()
            .with(tower_telemetry::logs::bridge(telemetry.logger_provider()));
        // A subscriber for this thread would not see events of the exporters' threads.
        let dispatch = tracing::Dispatch::new(subscriber);
        feedback::hear(dispatch.clone());
        for n in 1..=5 {
            tracing::dispatcher::with_default(&dispatch, || tracing::info!("mine"));
            receiver.wait_for("my record", |r| r.log_records().len() >= before + n);
        }
        feedback::hear(tracing::Dispatch::none());
        drop::<Telemetry>(telemetry);
        let records = receiver.received();
        let foreign: Vec<_> = records.log_records()[before..]
            .iter()
            .filter(|record| !format!("{:?}", record.body).contains("mine"))
            .map(|record| format!("{record:?}"))
            .collect();
        assert!(foreign.is_empty(), "{foreign:#?}");
        assert!(feedback::heard() > 0, "exporters log something");
    }
}

/// A global subscriber that can be replaced.
mod feedback {
    use std::sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicUsize, Ordering},
    };

    use tracing::{Dispatch, Event, Metadata, Subscriber, span};

    static NOW: Mutex<Option<Dispatch>> = Mutex::new(None);
    static HEARD: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn hear(dispatch: Dispatch) {
        static ONCE: Once = Once::new();
        *NOW.lock().unwrap() = Some(dispatch);
        ONCE.call_once(|| tracing::subscriber::set_global_default(Switch).unwrap());
    }

    /// Returns the number of events of exporters.
    pub(super) fn heard() -> usize {
        HEARD.load(Ordering::Relaxed)
    }

    struct Switch;

    impl Subscriber for Switch {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &Event<'_>) {
            // Only those of exporters: receivers and clients of tests are in this process too.
            let thread = std::thread::current();
            let name = thread.name().unwrap_or_default();
            if !name.starts_with("telemetry") && !name.starts_with("OpenTelemetry") {
                return;
            }
            HEARD.fetch_add(1, Ordering::Relaxed);
            let now = NOW.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(dispatch) = now {
                dispatch.event(event);
            }
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }
}
