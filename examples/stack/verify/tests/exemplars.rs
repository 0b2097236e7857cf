//! Metrics lead to traces: each exemplar that Prometheus returns has a trace in Jaeger, and its value lies in
//! its bucket. By push through a Collector with each protocol, and by pull.

use std::{collections::BTreeSet, time::Duration};

use axum::{Router, extract::Path, routing::get};
use serde_json::Value;
use tokio::net::TcpListener;
use tower_telemetry::{
    Convention, Telemetry, TelemetryLayer,
    setup::{Exporter, Otlp, OtlpProtocol, Signal, TelemetryBuilder},
};
use tower_telemetry_stack::{Jaeger, Prometheus, Stack, number};

const REQUESTS: usize = 30;

/// A service with its telemetry.
struct Service {
    telemetry: Telemetry,
    url: String,
}

impl Service {
    async fn start(name: &str, builder: TelemetryBuilder) -> Self {
        let builder = builder.with_variables(|_| None).without_globals().with_service_name(name);
        let telemetry = builder
            .with_metric_interval(Duration::from_millis(500))
            .build()
            .expect("valid settings");
        let layer = TelemetryLayer::new(Convention::server())
            .with_tracer_provider(telemetry.tracer_provider())
            .with_meter_provider(telemetry.meter_provider());
        let app = Router::new()
            .route("/orders/{millis}", get(answer_after))
            .layer(layer)
            .route_service("/metrics", telemetry.prometheus());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the address of a listener");
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { telemetry, url: format!("http://{address}") }
    }

    /// Sends requests that last from 0 to 290 ms.
    async fn load(&self) {
        for n in 0..REQUESTS {
            let url = format!("{}/orders/{}", self.url, 10 * n);
            let answer = reqwest::get(url).await.expect("an answer");
            assert!(answer.status().is_success());
        }
    }

    fn target(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

async fn answer_after(Path(millis): Path<u64>) -> String {
    tokio::time::sleep(Duration::from_millis(millis)).await; // the work of a handler
    millis.to_string()
}

/// Checks the exemplars of a service: their buckets, and that each leads to its trace.
async fn check(prometheus: &Prometheus, jaeger: &Jaeger, selector: &str) {
    let bucket = format!("http_server_request_duration_seconds_bucket{{{selector}}}");
    let count = format!("sum(http_server_request_duration_seconds_count{{{selector}}})");
    // All requests have been counted, once.
    prometheus.value(&count, |sum| sum == REQUESTS as f64).await;

    let range = [("query", &*bucket), ("start", "0"), ("end", "9999999999")];
    let data = prometheus.until("query_exemplars", &range, |data| exemplars(data).len() >= 5).await;
    let found = exemplars(&data);
    let bounds = bounds(prometheus, &bucket).await;
    let mut traces = BTreeSet::new();
    for (le, value, trace_id, span_id) in &found {
        let below = bounds.iter().copied().rfind(|bound| bound < le).unwrap_or(0.0);
        assert!(below < *value && value <= le, "{value} is not in ({below}, {le}]");
        assert_eq!((trace_id.len(), span_id.len()), (32, 16));
        let spans = jaeger.trace(trace_id, |spans| !spans.is_empty()).await;
        let span = spans.iter().find(|span| span.span_id == *span_id);
        let span = span.unwrap_or_else(|| panic!("{span_id} is not in {spans:?}"));
        assert_eq!(span.name, "GET /orders/{millis}");
        // The span lasted as long as the exemplar says.
        assert!((span.seconds - value).abs() < 1e-6, "{} s and {value} s", span.seconds);
        traces.insert(trace_id);
    }
    let buckets: BTreeSet<_> = found.iter().map(|(le, ..)| le.to_bits()).collect();
    println!(
        "{selector}: {} exemplars in {} buckets, {} traces",
        found.len(),
        buckets.len(),
        traces.len()
    );
    assert!(buckets.len() >= 5, "the exemplars are of several buckets");
}

/// Returns bound, value, trace id and span id of each exemplar.
fn exemplars(data: &Value) -> Vec<(f64, f64, String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut all = Vec::new();
    for series in data.as_array().into_iter().flatten() {
        for exemplar in series["exemplars"].as_array().into_iter().flatten() {
            let labels = &exemplar["labels"];
            all.extend(number(&series["seriesLabels"]["le"]).and_then(|le| {
                let (trace, span) = (text(&labels["trace_id"])?, text(&labels["span_id"])?);
                Some((le, number(&exemplar["value"])?, trace, span))
            }));
        }
    }
    all
}

/// Returns the bounds of the histogram in ascending order.
async fn bounds(prometheus: &Prometheus, bucket: &str) -> Vec<f64> {
    let query = format!("count by (le) ({bucket})");
    let data =
        prometheus.until("query", &[("query", &query)], |data| data["result"].is_array()).await;
    let series = data["result"].as_array().cloned().unwrap_or_default();
    let bounds = series.iter().filter_map(|series| series["metric"]["le"].as_str()?.parse().ok());
    let mut bounds: Vec<f64> = bounds.collect();
    bounds.sort_by(f64::total_cmp);
    bounds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exemplars_lead_to_traces_by_push() {
    let mut stack = Stack::start();
    let collector = stack.collector().await;
    for (name, protocol, url) in [
        ("by-grpc", OtlpProtocol::Grpc, &collector.grpc),
        ("by-http", OtlpProtocol::HttpProtobuf, &collector.http),
        ("by-json", OtlpProtocol::HttpJson, &collector.http),
    ] {
        let otlp = Otlp::new().with_protocol(protocol).with_endpoint(url);
        let service = Service::start(name, Telemetry::builder().with_otlp(otlp)).await;
        service.load().await;
        check(&stack.prometheus, &stack.jaeger, &format!("service_name=\"{name}\"")).await;
        let ended = service.telemetry.shutdown(Duration::from_secs(20)).await;
        assert_eq!(ended, Ok(()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exemplars_lead_to_traces_by_pull() {
    let jaeger = Jaeger::start();
    let otlp = Otlp::new()
        .with_protocol(OtlpProtocol::Grpc)
        .with_endpoint(format!("http://{}", jaeger.otlp));
    let builder = Telemetry::builder()
        .with_otlp(otlp)
        .with_exporters(Signal::Metrics, [Exporter::Prometheus])
        .with_exporters(Signal::Logs, [Exporter::None]);
    let service = Service::start("by-pull", builder).await;
    service.load().await;
    for mut prometheus in [Prometheus::start(), Prometheus::start_debian()] {
        prometheus.scrape("service", service.target()).await;
        check(&prometheus, &jaeger, "job=\"service\"").await;
    }
    let ended = service.telemetry.shutdown(Duration::from_secs(20)).await;
    assert_eq!(ended, Ok(()));
}
