//! The text of both formats, for all instruments. It is public API: dashboards depend on it.
//!
//! `UPDATE_GOLDEN=1 cargo test --all-features --test pull golden` writes it again.

use opentelemetry::{InstrumentationScope, KeyValue, metrics::MeterProvider};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};
use tower_telemetry::pull::PullReader;

use crate::{
    Endpoint, OPEN_METRICS, TEXT, checker::check, debian::promtool_on, strict_parser, warnings,
};

fn endpoint() -> Endpoint {
    let resource = [
        KeyValue::new("service.name", "shop"),
        KeyValue::new("service.version", "1.2.3"),
        KeyValue::new("aws:cloudformation:stack-name", "x"),
        KeyValue::new("1st", true),
    ];
    let reader = PullReader::builder().with_resource_labels(["service.version"]);
    Endpoint::with(reader, &resource, |provider| {
        provider.with_view(|instrument: &Instrument| {
            let aggregation = Aggregation::Base2ExponentialHistogram {
                max_size: 160,
                max_scale: 20,
                record_min_max: true,
            };
            let is_exponential = instrument.name() == "latency";
            let stream = is_exponential.then(|| Stream::builder().with_aggregation(aggregation));
            stream?.build().ok()
        })
    })
}

fn record(endpoint: &Endpoint) {
    let scope = InstrumentationScope::builder("shop")
        .with_version("0.1")
        .with_schema_url("https://opentelemetry.io/schemas/1.40.0")
        .with_attributes([KeyValue::new("team", "blue")])
        .build();
    let meter = endpoint.provider.meter_with_scope(scope);
    let histogram = meter
        .f64_histogram("http.server.request.duration")
        .with_unit("s")
        .with_description("Duration of HTTP server requests.")
        .with_boundaries(vec![0.00001, 0.005, 1.0, 1e6])
        .build();
    for (route, seconds) in [("/a", 0.004), ("/a", 0.7), ("/b", 3.5)] {
        histogram.record(
            seconds,
            &[KeyValue::new("http.route", route), KeyValue::new("http.response.status_code", 200)],
        );
    }
    meter
        .i64_up_down_counter("http.server.active_requests")
        .with_unit("{request}")
        .with_description("Number of active requests.")
        .build()
        .add(-2, &[]);
    let orders = meter
        .u64_counter("orders")
        .with_unit("{order}")
        .with_description("Orders: \"all\"\nof \\ them.")
        .build();
    orders.add(3, &[KeyValue::new("kind", "a \"quoted\"\nline \\ with a slash")]);
    orders.add(u64::MAX, &[KeyValue::new("kind", "caf\u{e9} \u{1f980}")]);
    meter
        .f64_counter("cpu.time.total")
        .with_unit("s")
        .with_description("Time of the processor.")
        .build()
        .add(12_345_678.5, &[]);
    let temperature = meter
        .f64_gauge("oven.temperature")
        .with_unit("Cel")
        .with_description("Temperature of the ovens.")
        .build();
    for (oven, degrees) in [(1, 180.5), (2, -1e300), (3, 1e-9)] {
        temperature.record(degrees, &[KeyValue::new("1", oven), KeyValue::new("le", "label")]);
    }
    meter
        .f64_gauge("cache.hits")
        .with_unit("1")
        .with_description("Ratio.")
        .build()
        .record(0.5, &[]);
    let latency = meter
        .f64_histogram("latency")
        .with_unit("s")
        .with_description("An exponential histogram.")
        .build();
    for value in [0.0, 0.3, 5.0, 6.0, 70.0] {
        latency.record(value, &[]);
    }
    let balance = meter.f64_histogram("balance").with_description("Values below zero.");
    let balance = balance.with_boundaries(vec![-10.0, 0.0, 10.0]).build();
    balance.record(-7.0, &[]);
    balance.record(20.0, &[]);
    // Another scope with an instrument of the same name.
    let other = endpoint.provider.meter("other");
    other
        .u64_counter("orders")
        .with_description("Orders: \"all\"\nof \\ them.")
        .build()
        .add(1, &[]);
}

#[test]
fn golden_text() {
    let endpoint = endpoint();
    record(&endpoint);
    let mut bodies = [String::new(), String::new()];
    let told = warnings(|| {
        bodies = [endpoint.scrape(TEXT), endpoint.scrape(OPEN_METRICS)];
    });
    assert_eq!(told, [""; 0]);
    for (body, file) in bodies.iter().zip(["text.txt", "open_metrics.txt"]) {
        check(body);
        let file = format!("tests/pull/golden/{file}");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, body).unwrap();
        }
        let golden = std::fs::read_to_string(&file).unwrap();
        let change = golden.lines().zip(body.lines()).find(|(golden, now)| golden != now);
        assert_eq!(change, None, "{file}");
        assert_eq!(*body, golden, "{file}");
    }
    let [text, open_metrics] = bodies;
    strict_parser::accepts(&[&open_metrics]);
    if let Some(faults) = promtool_on(&text) {
        assert_eq!(faults, "", "{text}");
    }
}
