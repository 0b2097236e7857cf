//! A real Prometheus stores the exemplars, and each leads to an exported span.

use std::collections::HashSet;

use axum::Router;
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::{
    metrics::{Instrument, Stream},
    trace::Sampler,
};
use serde_json::Value;
use tokio::net::TcpListener;
use tower_telemetry::Convention;

use crate::{
    scraper::Scraper,
    strict_parser,
    support::{OPEN_METRICS, Rig, get_path, ids, router, scrape, send},
};

const NOTE: &str = "quote \" slash \\ line \n";
const ESCAPED_NOTE: &str = "quote \\\" slash \\\\ line \\n";
const BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const METRIC: &str = "http_server_request_duration_seconds_bucket";

#[test]
fn the_strict_parser_accepts_exemplars() {
    let rig = Rig::new();
    let app = router().layer(rig.layer(Convention::server()).with_body_sizes());
    for path in ["/a", "/b", "/panic", "/never"] {
        send(&app, get_path(path));
    }
    let answer = scrape(&rig.endpoint, OPEN_METRICS);
    assert!(rig.shown().len() >= 6, "{answer}");
    strict_parser::accepts(&[&answer]);
}

#[tokio::test]
async fn prometheus_returns_trace_ids_of_exported_spans() {
    // The label is dropped by a view, so that it is one of the exemplar.
    let rig = Rig::with(Sampler::AlwaysOn, |provider| {
        provider.with_view(|instrument: &Instrument| {
            let is_duration = instrument.name() == "http.server.request.duration";
            let keys = ["http.request.method", "error.type"].map(Key::new);
            let stream = is_duration.then(|| Stream::builder().with_allowed_attribute_keys(keys));
            stream?.build().ok()
        })
    });
    let convention =
        Convention::server().with_request_labels(|_| vec![KeyValue::new("a.note", NOTE)]);
    // There is room for few labels.
    let dropped = ["url.scheme", "network.protocol.version", "http.route", "status_class"];
    let layer = rig.layer(convention).without_attributes(dropped);
    let app = router().layer(layer);
    for path in ["/a", "/b", "/panic", "/never"] {
        send(&app, get_path(path));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Router::new().route_service("/metrics", rig.endpoint.clone());
    tokio::spawn(async { axum::serve(listener, metrics).await });
    let Some(prometheus) = Scraper::start(&format!(
        "  - job_name: shop\n    scrape_interval: 200ms\n    scrape_timeout: 200ms\n    \
         static_configs: [{{targets: ['{address}']}}]\n"
    )) else {
        return;
    };
    let count = |data: &Value| {
        let series = data.as_array().into_iter().flatten();
        series.map(|series| series["exemplars"].as_array().map_or(0, Vec::len)).sum::<usize>()
    };
    let query = [("query", METRIC), ("start", "0"), ("end", "99999999999")];
    // `/a` and `/b` are one route and one series: two series were cancelled or panicked.
    let data = prometheus.until("query_exemplars", &query, |data| count(data) >= 3).await;
    let spans: HashSet<_> = rig.spans().iter().map(|span| ids(span.span_context.clone())).collect();
    for series in data.as_array().unwrap() {
        let le: f64 = series["seriesLabels"]["le"].as_str().unwrap().parse().unwrap();
        for exemplar in series["exemplars"].as_array().unwrap() {
            let label = |name: &str| exemplar["labels"][name].as_str().unwrap().to_owned();
            let found = (label("trace_id"), label("span_id"));
            assert!(spans.contains(&found), "{found:?} is of none of {spans:?}");
            // Prometheus 2 keeps the escapes.
            let note = label("a_note");
            assert!(note == NOTE || note == ESCAPED_NOTE, "{note:?}");
            let value: f64 = exemplar["value"].as_str().unwrap().parse().unwrap();
            let lower = BOUNDARIES.into_iter().filter(|bound| *bound < le).fold(0.0, f64::max);
            assert!(lower < value && value <= le, "{value} in {lower} to {le}");
        }
    }
    let health =
        prometheus.until("targets", &[], |data| data["activeTargets"][0]["health"] == "up");
    assert_eq!(health.await["activeTargets"][0]["lastError"], "");
}
