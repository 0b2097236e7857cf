//! A real Prometheus scrapes a process whose operator and libraries chose hostile names.

use axum::{
    Router,
    http::{HeaderValue, Request, header},
};
use opentelemetry::{InstrumentationScope, KeyValue, metrics::MeterProvider};
use serde_json::Value;
use tokio::net::TcpListener;
use tower::{Layer, util::MapRequestLayer};
use tower_telemetry::{Telemetry, pull::PullReader, setup::TelemetryBuilder};

use crate::{Endpoint, OPEN_METRICS, TEXT, checker::check, scraper::Scraper, strict_parser};

/// Keys that a label cannot have, and their labels in Prometheus.
const KEYS: [(&str, &str); 13] = [
    ("aws:cloudformation:stack-name", "aws_cloudformation_stack_name"),
    ("1st", "key_1st"),
    ("", "_"),
    ("caf\u{e9}", "caf_"),
    ("__name__", "_name_"),
    ("__address__", "_address_"),
    ("le", "exported_le"),
    ("quantile", "exported_quantile"),
    ("job", "exported_job"),
    ("instance", "exported_instance"),
    ("otel.scope.name", "exported_otel_scope_name"),
    ("a b\n\"c\"\\", "a_b_c_"),
    ("{}=,#", "_"),
];

const VALUE: &str = "\"\\\n\r\t\u{0}\u{1f980}{}=,# EOF\n# TYPE x counter";

fn record(meters: &impl MeterProvider) {
    let scope = InstrumentationScope::builder(VALUE)
        .with_version("\n")
        .with_attributes([KeyValue::new("1:", VALUE), KeyValue::new("name", "other")])
        .build();
    let meter = meters.meter_with_scope(scope);
    for (i, (key, _)) in KEYS.iter().enumerate() {
        let labels = [KeyValue::new(*key, VALUE), KeyValue::new("row", i as i64)];
        meter.u64_counter("1.hostile/counter{}").with_description(VALUE).build().add(1, &labels);
        meter.f64_histogram("hostile:\u{e9}\n").with_unit("#/\"").build().record(-1.5, &labels);
        meter.f64_gauge(VALUE).with_unit("1").build().record(0.5, &labels);
    }
}

/// Serves the endpoint twice: as it is, and at a second address in the text format alone.
async fn serve(app: Router) -> [String; 2] {
    let as_text = MapRequestLayer::new(|mut request: Request<_>| {
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(TEXT));
        request
    });
    let mut targets = Vec::new();
    for app in [app.clone(), Router::new().fallback_service(as_text.layer(app))] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        targets.push(listener.local_addr().unwrap().to_string());
        tokio::spawn(async move { axum::serve(listener, app).await });
    }
    targets.try_into().unwrap()
}

fn telemetry() -> TelemetryBuilder {
    Telemetry::builder().without_globals().with_variables(|name| match name {
        "OTEL_RESOURCE_ATTRIBUTES" => Some(
            "aws:cloudformation:stack-name=x,1st=%22%5C%0A,le=1,__name__=y,job=j,service.name=shop"
                .to_owned(),
        ),
        name => name.ends_with("EXPORTER").then(|| "none".to_owned()),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn prometheus_accepts_hostile_names() {
    let telemetry = telemetry()
        .with_pull_reader(PullReader::builder().with_resource_labels(["1st", "job"]))
        .build()
        .unwrap();
    record(telemetry.meter_provider());
    let app = Router::new().route_service("/metrics", telemetry.prometheus());
    let targets = serve(app).await;
    let Some(prometheus) = Scraper::start(&format!(
        "- job_name: hostile\n  scrape_interval: 300ms\n  scrape_timeout: 300ms\n  \
         static_configs: [{{targets: {targets:?}}}]\n"
    )) else {
        return;
    };
    let is_scraped = |data: &Value| {
        let targets = data["activeTargets"].as_array();
        targets.is_some_and(|targets| targets.iter().all(|target| target["health"] != "unknown"))
    };
    let data = prometheus.until("targets", &[], is_scraped).await;
    for target in data["activeTargets"].as_array().unwrap() {
        assert_eq!(target["lastError"], "", "{target}");
        assert_eq!(target["health"], "up");
    }
    let count = |n: usize| {
        move |data: &Value| data["result"].as_array().is_some_and(|series| series.len() == n)
    };
    for (metric, each) in [
        ("_1_hostile_counter_total", KEYS.len()),
        ("hostile:__bucket", KEYS.len() * 16),
        ("{__name__=~\"_.*TYPE_x_counter_ratio\"}", KEYS.len()),
        ("target_info", 1),
    ] {
        let _ = prometheus.until("query", &[("query", metric)], count(2 * each)).await;
    }
    for (i, (key, label)) in KEYS.iter().enumerate() {
        let query = format!("_1_hostile_counter_total{{row=\"{i}\"}}");
        let data = prometheus.until("query", &[("query", &query)], count(2)).await;
        for series in data["result"].as_array().unwrap() {
            assert_eq!(series["metric"][label], VALUE, "{key:?}: {series}");
            assert_eq!(series["metric"]["otel_scope_name"], VALUE, "{series}");
            assert_eq!(series["metric"]["otel_scope_1_"], VALUE, "{series}");
            assert_eq!(series["metric"]["key_1st"], if *key == "1st" { VALUE } else { "\"\\\n" });
        }
    }
    let data = prometheus.until("query", &[("query", "target_info")], count(2)).await;
    let labels = &data["result"][0]["metric"];
    for (label, value) in [
        ("aws_cloudformation_stack_name", "x"),
        ("key_1st", "\"\\\n"),
        ("exported_le", "1"),
        ("_name_", "y"),
        ("exported_job", "j"),
        ("job", "hostile"),
        ("service_name", "shop"),
    ] {
        assert_eq!(labels[label], value, "{labels}");
    }
}

#[test]
fn other_parsers_accept_hostile_names() {
    let endpoint = Endpoint::new();
    record(&endpoint.provider);
    let (text, open_metrics) = (endpoint.scrape(TEXT), endpoint.scrape(OPEN_METRICS));
    assert!(check(&text) == KEYS.len() * (17 + 2));
    assert!(check(&open_metrics) == KEYS.len() * (16 + 2));
    strict_parser::accepts(&[&open_metrics]);
}
