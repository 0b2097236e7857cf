//! `GET /metrics` of a `Telemetry`.

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode},
    routing::get,
};
use http_body_util::BodyExt;
use opentelemetry::{KeyValue, metrics::MeterProvider};
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_telemetry::{MetricsLayer, Telemetry, pull::PullReader};

use crate::{builder, debian::promtool_on, receiver::nowhere, scraper::Scraper, spans};

fn telemetry() -> Telemetry {
    builder(&[
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "none"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=shop,deployment.environment.name=test,quote=%22%5C",
        ),
    ])
    .build()
    .unwrap()
}

/// A service with telemetry, and the endpoint beside it.
fn app(telemetry: &Telemetry) -> Router {
    let layer = MetricsLayer::server().with_meter_provider(telemetry.meter_provider());
    Router::new()
        .route("/users/{id}", get(|| async { "user" }))
        .layer(layer)
        .route_service("/metrics", telemetry.prometheus())
}

async fn ask(app: &Router, request: Request<Body>) -> (Response<()>, String) {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

async fn metrics(app: &Router, accept: &str) -> (Response<()>, String) {
    let request = Request::get("/metrics").header("accept", accept).body(Body::empty());
    ask(app, request.unwrap()).await
}

const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";

#[tokio::test]
async fn both_formats() {
    let telemetry = telemetry();
    let meter = telemetry.meter_provider().meter("shop");
    let strange = "a \"quoted\"\nline \\ with a slash";
    meter
        .u64_counter("shop.orders")
        .with_description("Orders.\nAll \\ of them.")
        .build()
        .add(3, &[KeyValue::new("kind", strange)]);
    meter.f64_gauge("shop.level").build().record(2.0, &[]);
    let app = app(&telemetry);
    ask(&app, Request::get("/users/7").body(Body::empty()).unwrap()).await;

    let (text, body) = metrics(&app, "text/plain").await;
    assert_eq!(text.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let (open, open_body) = metrics(&app, OPEN_METRICS).await;
    assert_eq!(
        open.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(open.headers()["vary"], "accept, accept-encoding");
    let labels = "http_request_method=\"GET\"";
    for line in [
        "# TYPE http_server_request_duration_seconds histogram",
        "# TYPE http_server_active_requests gauge",
        "# TYPE shop_orders_total counter",
        "# TYPE target_info gauge",
        "shop_orders_total{kind=\"a \\\"quoted\\\"\\nline \\\\ with a slash\",",
        "quote=\"\\\"\\\\\"",
        labels,
    ] {
        assert!(body.contains(line), "{line}: {body}");
    }
    for line in [
        "# TYPE http_server_request_duration_seconds histogram\n",
        "# TYPE shop_orders counter\n# HELP shop_orders Orders.\\nAll \\\\ of them.\nshop_orders_total{",
        "kind=\"a \\\"quoted\\\"\\nline \\\\ with a slash\"",
        "# TYPE target info\n",
        "\ntarget_info{deployment_environment_name=\"test\",",
        "service_name=\"shop\"",
        "http_route=\"/users/{id}\"",
        "le=\"0.005\"} ",
        "le=\"1.0\"} ",
        "le=\"+Inf\"} 1.0\n",
        "# TYPE shop_level gauge\nshop_level{otel_scope_name=\"shop\"} 2.0\n",
    ] {
        assert!(open_body.contains(line), "{line}: {open_body}");
    }
    assert!(open_body.ends_with("# EOF\n"));
    assert_eq!(open_body.matches("# EOF").count(), 1);
}

#[tokio::test]
async fn methods() {
    let telemetry = telemetry();
    let app = app(&telemetry);
    for (method, status) in [
        ("GET", StatusCode::OK),
        ("HEAD", StatusCode::OK),
        ("POST", StatusCode::METHOD_NOT_ALLOWED),
        ("DELETE", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let request = Request::builder().method(method).uri("/metrics").body(Body::empty());
        let (response, _) = ask(&app, request.unwrap()).await;
        assert_eq!(response.status(), status, "{method}");
        let allow = (status != StatusCode::OK).then_some("GET, HEAD");
        assert_eq!(response.headers().get("allow").map(|v| v.to_str().unwrap()), allow);
    }
}

/// The service answers with 404 if the endpoint is not configured, or the SDK is disabled.
#[tokio::test]
async fn not_asked_for() {
    for variables in [
        vec![("OTEL_METRICS_EXPORTER", "none")],
        vec![("OTEL_METRICS_EXPORTER", "prometheus"), ("OTEL_SDK_DISABLED", "true")],
    ] {
        let telemetry = builder(&variables).build().unwrap();
        let (response, _) = metrics(&app(&telemetry), "*/*").await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }
    let telemetry =
        builder(&[("OTEL_METRICS_EXPORTER", "none")]).with_prometheus().build().unwrap();
    let (response, _) = metrics(&app(&telemetry), "*/*").await;
    assert_eq!(response.status(), StatusCode::OK);
}

/// The options hold, whether the environment asks for the endpoint too, or `with_prometheus` does.
#[tokio::test]
async fn options() {
    for exporter in ["none", "prometheus"] {
        let telemetry = builder(&[
            ("OTEL_METRICS_EXPORTER", exporter),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.2,aws:stack=x"),
        ])
        .with_pull_reader(PullReader::builder().with_resource_labels(["service.version"]))
        .with_prometheus()
        .build()
        .unwrap();
        telemetry.meter_provider().meter("shop").u64_counter("orders").build().add(1, &[]);
        let (_, body) = metrics(&app(&telemetry), "text/plain").await;
        let line = "\norders_total{otel_scope_name=\"shop\",service_version=\"1.2\"} 1\n";
        assert_eq!(body.matches(line).count(), 1, "{body}");
        assert!(body.contains("target_info{aws_stack=\"x\","), "{body}");
    }
}

#[tokio::test]
async fn promtool_finds_no_fault() {
    let telemetry = telemetry();
    let app = app(&telemetry);
    ask(&app, Request::get("/users/7").body(Body::empty()).unwrap()).await;
    let (_, body) = metrics(&app, "text/plain").await;
    let Some(faults) = promtool_on(&body) else { return };
    assert_eq!(faults, "", "{body}");
}

/// Prometheus scrapes in the format that it prefers, and answers queries.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn prometheus_scrapes() {
    let telemetry = telemetry();
    let app = app(&telemetry);
    for _ in 0..3 {
        ask(&app, Request::get("/users/7").body(Body::empty()).unwrap()).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let Some(prometheus) = Scraper::start(&format!(
        "- job_name: shop\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  \
         static_configs: [{{targets: ['{target}']}}]\n"
    )) else {
        return;
    };
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let query = "http_server_request_duration_seconds_count{http_route=\"/users/{id}\",\
                 status_class=\"2xx\"} * on(instance) group_left(service_name) target_info";
    let is_there = |data: &Value| data["result"][0]["metric"]["service_name"] == "shop";
    let found = prometheus.until("query", &[("query", query)], is_there).await;
    server.abort();
    assert_eq!(found["result"][0]["value"][1], "3", "{found}");
}

/// The endpoint shows that pushing fails, and why, before anything is lost.
#[tokio::test]
async fn the_endpoint_shows_that_pushing_fails() {
    let down = nowhere();
    let telemetry = builder(&[
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{down}")),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ])
    .with_pull_reader(PullReader::builder().without_scope_labels())
    .build()
    .unwrap();
    spans(&telemetry, 3);
    let app = app(&telemetry);
    let exporter = "otel_component_name=\"otlp_http_span_exporter/0\",\
                    otel_component_type=\"otlp_http_span_exporter\"";
    let server = format!("server_address=\"127.0.0.1\",server_port=\"{}\"", down.port());
    let attempts = "otel_sdk_exporter_operation_duration_seconds_count";
    let failed = format!("{attempts}{{error_type=\"connection_refused\",{exporter},{server}}}");
    // The spans may leave in several batches.
    let in_flight = format!("otel_sdk_exporter_span_inflight{{{exporter},{server}}} 3");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let (_, page) = metrics(&app, "text/plain").await;
        if page.contains(&failed) && page.contains(&in_flight) {
            break;
        }
        assert!(std::time::Instant::now() < end, "{failed} or {in_flight} is not in {page}");
        tokio::task::yield_now().await;
    }
    let undelivered = telemetry.shutdown(std::time::Duration::from_millis(100)).await;
    assert_eq!(undelivered.unwrap_err().spans(), 3);
}
