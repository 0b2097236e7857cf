//! Telemetry for tests: what the assertions accept, and how they fail.

use std::panic::{self, AssertUnwindSafe};

use axum::{Router, body::Body, http::Request, routing::get};
use http_body_util::BodyExt;
use opentelemetry::{
    KeyValue,
    logs::{AnyValue, LogRecord, Logger, LoggerProvider},
    metrics::MeterProvider,
    trace::{Span, Status, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::Sampler;
use tower::ServiceExt;
use tower_telemetry::{TelemetryLayer, testing::TestTelemetry};

/// Telemetry of a parent with a child, a counter and a log record.
fn recorded() -> TestTelemetry {
    let telemetry = TestTelemetry::new();
    let tracer = telemetry.tracer_provider().tracer("test");
    let logger = telemetry.logger_provider().logger("test");
    tracer.in_span("parent", |cx| {
        cx.span().set_attribute(KeyValue::new("amount", 3));
        let mut child = tracer.start("child");
        child.set_status(Status::error("failed"));
        child.add_event("sent", Vec::new());
        drop(child);
        let mut record = logger.create_log_record();
        record.set_body("paid".into());
        record.add_attribute("amount", AnyValue::Int(3));
        logger.emit(record);
    });
    (0..2).for_each(|_| tracer.start("twice").end());
    let orders = telemetry.meter_provider().meter("test").u64_counter("orders").build();
    orders.add(2, &[KeyValue::new("kind", "gift"), KeyValue::new("tenant", "a")]);
    orders.add(3, &[KeyValue::new("kind", "gift"), KeyValue::new("tenant", "b")]);
    orders.add(7, &[KeyValue::new("kind", "other")]);
    telemetry
}

#[test]
fn what_is_recorded() {
    let telemetry = recorded();
    let parent = telemetry.span("parent");
    parent.assert_root().assert_no_error().assert_attribute("amount", 3).assert_no_attribute("x");
    telemetry.span("child").assert_child_of(&parent).assert_error().assert_event("sent");
    telemetry.log("paid").assert_within(&parent).assert_attribute("amount", 3);
    assert_eq!(telemetry.spans().len(), 4);
    assert_eq!(telemetry.metric_names(), ["orders"]);
    let orders = telemetry.metric("orders");
    assert_eq!((orders.sum(), orders.series(), orders.count()), (12.0, 3, 0));
    assert_eq!(orders.with("kind", "gift").sum(), 5.0);
    assert_eq!(orders.with("kind", "gift").with("tenant", "b").sum(), 3.0);
    assert_eq!(orders.without("tenant").sum(), 7.0);
    assert_eq!(Vec::from_iter(orders.label_keys()), ["kind", "tenant"]);
    assert_eq!(orders.label("kind"), None);
    assert_eq!(orders.with("tenant", "a").label("kind"), Some(&"gift".into()));
}

#[test]
fn assertions_fail_with_what_was_recorded() {
    let telemetry = recorded();
    let fails = |expected: &str, assertion: &dyn Fn()| {
        let panic = panic::catch_unwind(AssertUnwindSafe(assertion)).expect_err(expected);
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains(expected), "{text}");
    };
    let parent = || telemetry.span("parent");
    let child = || telemetry.span("child");
    fails(
        "a span named \"GET /\" was not recorded. The spans that have ended: [\"child\"",
        &|| {
            telemetry.span("GET /");
        },
    );
    fails("a span named \"twice\" was recorded 2 times", &|| _ = telemetry.span("twice"));
    fails("the span \"parent\" has no attribute x; expected I64(7)", &|| {
        parent().assert_attribute("x", 7);
    });
    fails("amount of the span \"parent\"", &|| _ = parent().assert_attribute("amount", "3"));
    fails("has the attribute amount: Some(I64(3))", &|| _ = parent().assert_no_attribute("amount"));
    fails("the parent of the span \"child\"", &|| _ = child().assert_root());
    fails("which is not the span \"child\"", &|| _ = child().assert_child_of(&child()));
    fails("the status of the span \"parent\" is Unset", &|| _ = parent().assert_error());
    fails("the status of the span \"child\" is Error", &|| _ = child().assert_no_error());
    fails("has no event \"read\", but these: [\"sent\"]", &|| _ = child().assert_event("read"));
    fails("no metric named \"x\". The metrics: [\"orders\"]", &|| _ = telemetry.metric("x"));
    fails("orders has no series with kind=String", &|| {
        let _ = telemetry.metric("orders").with("kind", "none");
    });
    fails("a log record \"sent\" was not recorded. The messages: [\"paid\"]", &|| {
        telemetry.log("sent");
    });
    fails("is not within the span \"child\"", &|| {
        let _ = telemetry.log("paid").assert_within(&child());
    });
}

/// Nothing is global, so tests in one process don't see each other's telemetry.
#[test]
fn tests_run_at_the_same_time() {
    let run = |requests: u64| {
        let telemetry = TestTelemetry::new();
        let layer = TelemetryLayer::server()
            .with_tracer_provider(telemetry.tracer_provider())
            .with_meter_provider(telemetry.meter_provider());
        let app = Router::new().route("/users/{id}", get(async || "Ada")).layer(layer);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for _ in 0..requests {
                let request = Request::get("/users/7").body(Body::empty()).unwrap();
                let response = app.clone().oneshot(request).await.unwrap();
                response.into_body().collect().await.unwrap();
            }
        });
        let durations = telemetry.metric("http.server.request.duration");
        assert_eq!(durations.with("http.route", "/users/{id}").count(), requests);
        assert_eq!(telemetry.spans().len() as u64, requests);
    };
    std::thread::scope(|scope| {
        (1..5).for_each(|n| _ = scope.spawn(move || run(n * 50)));
    });
}

#[test]
fn a_sampler_drops_spans() {
    let telemetry = TestTelemetry::with_sampler(Sampler::AlwaysOff);
    telemetry.tracer_provider().tracer("test").start("dropped").end();
    assert!(telemetry.spans().is_empty());
}
