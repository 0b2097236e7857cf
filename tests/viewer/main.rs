//! The viewer's service: who is answered, what is held, and what it answers.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::get};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use opentelemetry::{
    Context, KeyValue,
    logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity},
    metrics::MeterProvider,
    trace::{Span, SpanKind, Status, TraceContextExt, Tracer, TracerProvider},
};
use serde_json::Value;
use tower::ServiceExt;
use tower_telemetry::{Telemetry, TelemetryLayer, setup::TelemetryBuilder, viewer::ViewerService};

fn builder() -> TelemetryBuilder {
    let none = |name: &str| name.ends_with("EXPORTER").then(|| "none".to_owned());
    Telemetry::builder().with_variables(none).with_service_name("shop").without_globals()
}

fn telemetry() -> Telemetry {
    builder().with_viewer().build().unwrap()
}

/// Sends a request from a peer.
async fn send(
    service: &ViewerService,
    mut request: Request<Body>,
    peer: Option<&str>,
) -> (StatusCode, String) {
    let peer = peer.map(|peer| ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    peer.map(|peer| request.extensions_mut().insert(peer));
    let response = service.clone().oneshot(request).await.unwrap();
    let policy = response.headers().get("content-security-policy");
    assert!(
        policy.is_some_and(|policy| policy.to_str().unwrap().starts_with("default-src 'none'"))
    );
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Asks the API as a program on this machine does.
async fn ask(telemetry: &Telemetry, query: &str) -> (StatusCode, Value) {
    let request = Request::get(format!("/telemetry?{query}")).header("host", "localhost:8000");
    let service = telemetry.viewer();
    let (status, body) = send(&service, request.body(Body::empty()).unwrap(), Some(LOCAL)).await;
    (status, serde_json::from_str(&body).unwrap())
}

const LOCAL: &str = "127.0.0.1:50000";

/// Records a request of a route as a span and as a measurement.
fn request(telemetry: &Telemetry, route: &'static str, millis: u64, is_error: bool) -> String {
    let tracer = telemetry.tracer_provider().tracer("test");
    let labels = [KeyValue::new("http.request.method", "GET"), KeyValue::new("http.route", route)];
    let begin = SystemTime::now();
    let builder = tracer.span_builder(format!("GET {route}")).with_kind(SpanKind::Server);
    let mut span = builder
        .with_start_time(begin)
        .with_attributes(labels.clone())
        .start_with_context(&tracer, &Context::new());
    if is_error {
        span.set_status(Status::error("failed"));
    }
    span.end_with_timestamp(begin + Duration::from_millis(millis));
    let meter = telemetry.meter_provider().meter("test");
    let durations = meter
        .f64_histogram("http.server.request.duration")
        .with_boundaries(vec![
            0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
        ])
        .build();
    durations.record(millis as f64 / 1e3, &labels);
    span.span_context().trace_id().to_string()
}

#[tokio::test]
async fn peers() {
    let telemetry = telemetry();
    let (viewer, everybody) = (telemetry.viewer(), telemetry.viewer().for_all_peers());
    for (peer, headers, expected) in [
        (Some("127.0.0.1:5"), &[("host", "localhost:8000")][..], ""),
        (Some("127.9.9.9:5"), &[("host", "127.0.0.1")], ""),
        (Some("[::1]:5"), &[("host", "[::1]:8000")], ""),
        (Some("[::ffff:127.0.0.1]:5"), &[("host", "shop.localhost:8000")], ""),
        (Some(LOCAL), &[("host", "LOCALHOST.")], ""),
        (Some(LOCAL), &[("host", "localhost"), ("sec-fetch-site", "same-origin")], ""),
        (Some(LOCAL), &[("host", "localhost"), ("sec-fetch-site", "none")], ""),
        // A link on another site leads to the page, which asks for the rest itself.
        (
            Some(LOCAL),
            &[
                ("host", "localhost"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
            ],
            "",
        ),
        (
            Some(LOCAL),
            &[
                ("host", "localhost"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
            ],
            "a page of another site makes",
        ),
        (
            Some(LOCAL),
            &[("host", "localhost:8000"), ("sec-fetch-site", "same-site")],
            "a page of another site makes",
        ),
        (None, &[("host", "localhost")], "the peer of this request is unknown"),
        (Some("10.0.0.7:5"), &[("host", "localhost")], "only peers on the loopback interface. Use"),
        (Some("[2001:db8::1]:5"), &[("host", "localhost")], "only peers on the loopback"),
        (Some("[::ffff:10.0.0.7]:5"), &[("host", "localhost")], "only peers on the loopback"),
        (Some(LOCAL), &[("host", "evil.example")], "answers only as `localhost`"),
        (Some(LOCAL), &[("host", "localhost.evil.example")], "answers only as `localhost`"),
        (Some(LOCAL), &[("host", "10.0.0.7")], "answers only as `localhost`"),
        (Some(LOCAL), &[("host", "a b")], "answers only as `localhost`"),
        (Some(LOCAL), &[], "answers only as `localhost`"),
        (
            Some(LOCAL),
            &[("host", "localhost"), ("forwarded", "for=10.0.0.7")],
            "a proxy has forwarded",
        ),
        (
            Some(LOCAL),
            &[("host", "localhost"), ("x-forwarded-for", "::1")],
            "a proxy has forwarded",
        ),
        (Some(LOCAL), &[("host", "localhost"), ("x-forwarded-host", "a")], "a proxy has forwarded"),
        (
            Some(LOCAL),
            &[("host", "localhost"), ("x-real-ip", "127.0.0.1")],
            "a proxy has forwarded",
        ),
        (
            Some(LOCAL),
            &[("host", "localhost"), ("x-forwarded-proto", "a")],
            "a proxy has forwarded",
        ),
        (Some(LOCAL), &[("host", "localhost"), ("x-envoy-internal", "a")], "a proxy has forwarded"),
        (Some(LOCAL), &[("host", "localhost"), ("via", "1.1 proxy")], "a proxy has forwarded"),
    ] {
        let request = || {
            let mut request = Request::get("/telemetry?api=overview");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.body(Body::empty()).unwrap()
        };
        let (status, body) = send(&viewer, request(), peer).await;
        let row = format!("{peer:?} {headers:?}: {status} {body}");
        assert_eq!(status == StatusCode::OK, expected.is_empty(), "{row}");
        assert!(expected.is_empty() || body.contains(expected), "{row}");
        assert_eq!(send(&everybody, request(), peer).await.0, StatusCode::OK, "{row}");
    }
}

#[tokio::test]
async fn requests_that_can_not_be_answered() {
    let viewer = telemetry().viewer().for_all_peers();
    for (method, query, expected) in [
        ("GET", "", StatusCode::OK),
        ("HEAD", "", StatusCode::OK),
        ("GET", "app.js", StatusCode::OK),
        ("POST", "", StatusCode::METHOD_NOT_ALLOWED),
        ("GET", "api=nothing", StatusCode::NOT_FOUND),
        ("GET", "api=trace", StatusCode::NOT_FOUND),
        ("GET", "api=trace&id=4bf92f3577b34da6a3ce929d0e0e4736", StatusCode::NOT_FOUND),
        ("GET", "api=trace&id=%00%ff%zz%3Cscript%3E", StatusCode::NOT_FOUND),
        ("GET", "api=logs&after=-1&level=LOUD&limit=99999999999999999999", StatusCode::OK),
        ("GET", "api=traces&min=NaN&limit=x&operation=&text=%", StatusCode::OK),
    ] {
        let uri = format!("/telemetry?{query}");
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
        let (status, body) = send(&viewer, request, None).await;
        assert_eq!(status, expected, "{method} {query}: {body}");
    }
    let off = builder().build().unwrap();
    let response = off.viewer().oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

/// From the route to the slow trace to its line and back, as the pages do.
#[tokio::test]
async fn signals_lead_to_each_other() {
    let telemetry = telemetry();
    let tracer = telemetry.tracer_provider().clone();
    let logger = telemetry.logger_provider().logger("test");
    let handler = move || async move {
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Warn);
        record.set_body("stock is <b>low</b>".into());
        record.add_attribute("left", AnyValue::Int(3));
        logger.emit(record);
        "ok"
    };
    let layer = TelemetryLayer::server()
        .with_tracer_provider(&tracer)
        .with_meter_provider(telemetry.meter_provider());
    let app = Router::new().route("/users/{id}", get(handler)).layer(layer);
    for _ in 0..3 {
        let request = Request::get("/users/7").body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    }

    let (_, overview) = ask(&telemetry, "api=overview").await;
    assert_eq!(overview["service"], "shop");
    let operation = &overview["operations"][0];
    assert_eq!(operation["key"], "server GET /users/{id}", "{overview}");
    assert_eq!((&operation["count"], &operation["errors"]), (&3.into(), &0.into()));
    let bucket = operation["buckets"].as_array().unwrap().iter().find(|b| b["count"] != 0).unwrap();
    let trace = bucket["trace"]["id"].as_str().unwrap();
    assert!(bucket["trace"]["duration"].as_f64() <= bucket["le"].as_f64(), "{bucket}");

    let (status, page) = ask(&telemetry, &format!("api=trace&id={trace}")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(page["spans"][0]["name"], "GET /users/{id}");
    assert_eq!(page["spans"][0]["attributes"]["http.response.status_code"], 200);
    let line = &page["lines"][0];
    assert_eq!((&line["message"], &line["level"]), (&"stock is <b>low</b>".into(), &"WARN".into()));
    assert_eq!(line["attributes"]["left"], 3);
    assert_eq!(line["span"], page["spans"][0]["id"]);

    let (_, lines) = ask(&telemetry, "api=logs&level=WARN&text=LOW&after=2").await;
    assert_eq!(lines["lines"].as_array().unwrap().len(), 1, "{lines}");
    let of_line = lines["lines"][0]["trace"].as_str().unwrap();
    let (status, _) = ask(&telemetry, &format!("api=trace&id={of_line}")).await;
    assert_eq!(status, StatusCode::OK);
    let (_, none) = ask(&telemetry, "api=logs&level=ERROR").await;
    assert_eq!(none["lines"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn errors_slow_traces_and_one_of_each_bucket_are_held() {
    let telemetry = telemetry();
    let error = request(&telemetry, "/fails", 1, true);
    let slow = request(&telemetry, "/users/{id}", 90_000, false);
    let of_bucket = request(&telemetry, "/users/{id}", 700, false);
    let first = request(&telemetry, "/users/{id}", 1, false);
    for n in 0..3000 {
        request(&telemetry, "/users/{id}", n % 4, false);
    }
    let last = request(&telemetry, "/users/{id}", 1, false);
    let (_, overview) = ask(&telemetry, "api=overview").await;
    assert_eq!(overview["traces"]["seen"], 3005);
    assert!(overview["traces"]["count"].as_u64().unwrap() <= 2000, "{}", overview["traces"]);
    for (name, id, expected) in [
        ("error", &error, StatusCode::OK),
        ("slow", &slow, StatusCode::OK),
        ("of a bucket", &of_bucket, StatusCode::OK),
        ("last", &last, StatusCode::OK),
        ("first", &first, StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(&telemetry, &format!("api=trace&id={id}")).await.0, expected, "{name}");
    }
    let users = overview["operations"].as_array().unwrap().iter();
    let users = users.clone().find(|row| row["key"] == "server GET /users/{id}").unwrap();
    for bucket in users["buckets"].as_array().unwrap() {
        assert_eq!(bucket["count"] == 0, bucket["trace"].is_null(), "{bucket}");
    }
    for (filter, expected) in [
        ("status=error", 1),
        ("min=80", 1),
        ("operation=server+GET+%2Ffails", 1),
        ("operation=server+GET+%2Ffails&status=ok", 0),
        ("text=FAILS", 1),
        ("limit=7", 7),
    ] {
        let (_, traces) = ask(&telemetry, &format!("api=traces&{filter}")).await;
        assert_eq!(traces["traces"].as_array().unwrap().len(), expected, "{filter}: {traces}");
    }
}

/// An outage makes all requests fail: slow traces from before it are held nevertheless.
#[tokio::test]
async fn errors_do_not_displace_slow_traces() {
    let telemetry = telemetry();
    let slow = request(&telemetry, "/users/{id}", 20_000, false);
    for _ in 0..5000 {
        request(&telemetry, "/users/{id}", 3, true);
    }
    assert_eq!(ask(&telemetry, &format!("api=trace&id={slow}")).await.0, StatusCode::OK);
    let (_, errors) = ask(&telemetry, "api=traces&status=error&limit=1000").await;
    let errors = errors["traces"].as_array().unwrap().len();
    assert!((400..=500).contains(&errors), "{errors}");
}

#[tokio::test]
async fn memory_is_bounded_by_bytes() {
    let telemetry = telemetry();
    let tracer = telemetry.tracer_provider().tracer("test");
    let logger = telemetry.logger_provider().logger("test");
    let large = "x".repeat(100_000);
    for _ in 0..1000 {
        let mut span = tracer.start("large");
        span.set_attribute(KeyValue::new("large", large.clone()));
        drop(span);
        let mut record = logger.create_log_record();
        record.set_body(large.clone().into());
        logger.emit(record);
    }
    let (_, overview) = ask(&telemetry, "api=overview").await;
    for held in ["traces", "lines"] {
        let held = &overview[held];
        assert_eq!(held["seen"], 1000, "{held}");
        assert!(held["bytes"].as_u64() <= held["max_bytes"].as_u64(), "{held}");
        assert!(held["bytes"].as_u64().unwrap() > 4_000_000, "{held}");
    }
    let (_, lines) = ask(&telemetry, "api=logs&after=3&limit=1").await;
    assert!(lines["missed"].as_u64().unwrap() > 800, "{}", lines["missed"]);
}

#[tokio::test]
async fn parts_of_a_trace_are_one_trace() {
    let telemetry = telemetry();
    let tracer = telemetry.tracer_provider().tracer("test");
    let first = tracer.start("first");
    let cx = Context::new().with_remote_span_context(first.span_context().clone());
    let id = first.span_context().trace_id().to_string();
    let (_, open) = ask(&telemetry, &format!("api=trace&id={id}")).await;
    assert_eq!(open["is_open"], true, "{open}");
    drop(first);
    tracer.start_with_context("second", &cx).end();
    let third = tracer.start_with_context("third", &cx);
    let (_, trace) = ask(&telemetry, &format!("api=trace&id={id}")).await;
    assert_eq!(trace["spans"].as_array().unwrap().len(), 2, "{trace}");
    assert_eq!(trace["is_open"], true);
    // A span that is open and has a child that ended is a row of its own.
    let cx = Context::new().with_span(third);
    tracer.start_with_context("fourth", &cx).end();
    let (_, traces) = ask(&telemetry, "api=traces&limit=100").await;
    assert_eq!(traces["traces"][0]["is_open"], true, "{traces}");
    drop(cx);
    let (_, trace) = ask(&telemetry, &format!("api=trace&id={id}")).await;
    assert_eq!(trace["spans"].as_array().unwrap().len(), 4, "{trace}");
    assert_eq!(trace["is_open"], false);
    let (_, traces) = ask(&telemetry, "api=traces").await;
    assert_eq!(traces["traces"].as_array().unwrap().len(), 1, "{traces}");
    assert_eq!(traces["traces"][0]["name"], "first");
}

/// A caller may send the same trace id again and again. A part that failed makes the trace an error.
#[tokio::test]
async fn a_trace_of_many_parts_is_bounded() {
    let telemetry = telemetry();
    let tracer = telemetry.tracer_provider().tracer("test");
    let first = tracer.start("first");
    let cx = Context::new().with_remote_span_context(first.span_context().clone());
    let id = first.span_context().trace_id().to_string();
    drop(first);
    for number in 0..5000 {
        let mut span = tracer.start_with_context("part", &cx);
        if number == 100 {
            span.set_status(Status::error("failed"));
        }
    }
    let (_, trace) = ask(&telemetry, &format!("api=trace&id={id}")).await;
    assert_eq!(trace["spans"].as_array().unwrap().len(), 200);
    assert_eq!(trace["left_out"], 4801);
    // It is held as an error is.
    (0..3000).for_each(|_| drop(tracer.start("other")));
    assert_eq!(ask(&telemetry, &format!("api=trace&id={id}")).await.0, StatusCode::OK);
}

/// After more operations than are pinned, the latest ones are.
#[tokio::test]
async fn the_latest_operations_are_pinned() {
    let telemetry = telemetry();
    let routes: Vec<&'static str> =
        (0..300).map(|number| &*Box::leak(format!("/{number}").into_boxed_str())).collect();
    routes.iter().for_each(|route| _ = request(&telemetry, route, 1, false));
    let last = request(&telemetry, routes[299], 30, false);
    let (_, overview) = ask(&telemetry, "api=overview").await;
    let rows = overview["operations"].as_array().unwrap();
    let row = rows.iter().find(|row| row["key"] == "server GET /299").unwrap();
    let bucket = row["buckets"].as_array().unwrap().iter().find(|b| b["le"] == 0.05).unwrap();
    assert_eq!(bucket["trace"]["id"], last, "{bucket}");
}
