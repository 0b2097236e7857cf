//! The options of the reader, and the answers of the service.

use std::{
    io::Read,
    panic::{self, AssertUnwindSafe},
    slice, thread,
};

use flate2::read::GzDecoder;
use futures_util::FutureExt;
use http::{Request, StatusCode};
use opentelemetry::{InstrumentationScope, KeyValue, metrics::MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tower::Service;
use tower_telemetry::pull::{MetricsService, PullReader};

use crate::{Endpoint, OPEN_METRICS, TEXT, checker::check, strict_parser};

fn resource() -> [KeyValue; 4] {
    [
        KeyValue::new("service.name", "shop"),
        KeyValue::new("service.version", "1.2"),
        KeyValue::new("service-version", "1.3"),
        KeyValue::new("deployment.environment.name", "test"),
    ]
}

#[test]
fn resource_labels() {
    let environment = "deployment_environment_name=\"test\"";
    for (keys, attribute, expected) in [
        (&[][..], KeyValue::new("a", "b"), "a=\"b\"".to_owned()),
        (&["absent"], KeyValue::new("a", "b"), "a=\"b\"".to_owned()),
        (
            &["service.name", "deployment.environment.name", "service.name"],
            KeyValue::new("a", "b"),
            format!("a=\"b\",{environment},service_name=\"shop\""),
        ),
        // The attribute wins.
        (
            &["service.name", "deployment.environment.name"],
            KeyValue::new("service_name", "other"),
            format!("{environment},service_name=\"other\""),
        ),
        // Two keys of one label.
        (
            &["service.version", "service-version"],
            KeyValue::new("a", "b"),
            "a=\"b\",service_version=\"1.3;1.2\"".to_owned(),
        ),
    ] {
        let reader = PullReader::builder().with_resource_labels(keys.iter().copied());
        let endpoint = Endpoint::with(reader, &resource(), |provider| provider);
        endpoint.meter().u64_counter("orders").build().add(1, slice::from_ref(&attribute));
        endpoint.meter().u64_histogram("sizes").build().record(1, &[attribute]);
        let text = endpoint.scrape(TEXT);
        check(&text);
        for line in [
            format!("\norders_total{{{expected}}} 1\n"),
            format!("\nsizes_count{{{expected}}} 1\n"),
            format!("\nsizes_bucket{{{expected},le=\"+Inf\"}} 1\n"),
            "target_info{deployment_environment_name=\"test\",service_name=\"shop\",\
             service_version=\"1.3;1.2\"} 1\n"
                .to_owned(),
        ] {
            assert!(text.contains(&line), "{line} {text}");
        }
    }
}

#[test]
fn scope_labels() {
    let scope = InstrumentationScope::builder("shop")
        .with_version("3")
        .with_schema_url("https://example.com/")
        .with_attributes([KeyValue::new("team", "blue")])
        .build();
    let with = "orders_total{otel_scope_name=\"shop\",\
                otel_scope_schema_url=\"https://example.com/\",\
                otel_scope_team=\"blue\",otel_scope_version=\"3\"} 1\n";
    for (reader, expected) in [
        (PullReader::builder(), with),
        (PullReader::builder().without_scope_labels(), "orders_total 1\n"),
    ] {
        let endpoint = Endpoint::with(reader, &[], |provider| provider);
        let meter = endpoint.provider.meter_with_scope(scope.clone());
        meter.u64_counter("orders").build().add(1, &[]);
        let text = endpoint.scrape(TEXT);
        check(&text);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn created_series() {
    let before = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - 0.001;
    let endpoint =
        Endpoint::with(PullReader::builder().with_created_series(), &[], |provider| provider);
    let meter = endpoint.meter();
    meter.u64_counter("orders").with_unit("s").build().add(1, &[KeyValue::new("a", "b")]);
    meter.u64_histogram("sizes").build().record(1, &[]);
    meter.u64_gauge("level").build().record(1, &[]);
    meter.i64_up_down_counter("active").build().add(1, &[]);
    assert!(!endpoint.scrape(TEXT).contains("_created"), "not in the text format");
    let text = endpoint.scrape(OPEN_METRICS);
    check(&text);
    strict_parser::accepts(&[&text]);
    let created: Vec<_> = text.lines().filter(|line| line.contains("_created")).collect();
    assert_eq!(created.len(), 2, "{text}");
    let after = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    for (line, name) in created.iter().zip(["orders_seconds_created{a=\"b\"} ", "sizes_created "]) {
        let time: f64 = line.strip_prefix(name).unwrap().parse().unwrap();
        assert!((before..=after).contains(&time), "{line}");
    }
}

#[test]
fn gzip() {
    let endpoint = Endpoint::new();
    let histogram = endpoint.meter().f64_histogram("a").build();
    for i in 0..1500 {
        histogram.record(1.0, &[KeyValue::new("number", i)]);
    }
    for accept in [TEXT, OPEN_METRICS] {
        let plain = endpoint.ask(&[("accept", accept)]);
        assert!(!plain.headers().contains_key("content-encoding"));
        let compressed = endpoint.ask(&[("accept", accept), ("accept-encoding", "gzip")]);
        assert_eq!(compressed.headers()["content-encoding"], "gzip");
        assert_eq!(compressed.headers()["content-type"], plain.headers()["content-type"]);
        for headers in [plain.headers(), compressed.headers()] {
            assert_eq!(headers["vary"], "accept, accept-encoding");
            assert_eq!(headers["cache-control"], "no-store");
        }
        let mut text = Vec::new();
        GzDecoder::new(&compressed.body()[..]).read_to_end(&mut text).unwrap();
        assert!(text == *plain.body(), "the same text");
        let (plain, compressed) = (text.len(), compressed.body().len());
        assert!(plain > 500_000 && compressed < plain / 8, "{compressed} of {plain} bytes");
    }
}

/// The endpoint is down before there is a provider, and after it is shut down.
#[test]
fn without_a_provider() {
    let status = |mut service: MetricsService| {
        service.call(Request::new(())).now_or_never().unwrap().unwrap().status()
    };
    assert_eq!(status(MetricsService::default()), StatusCode::NOT_FOUND);
    let reader = PullReader::builder().build();
    let service = reader.service();
    assert_eq!(status(service.clone()), StatusCode::SERVICE_UNAVAILABLE);
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    assert_eq!(status(service.clone()), StatusCode::OK);
    provider.shutdown().unwrap();
    assert_eq!(status(service), StatusCode::SERVICE_UNAVAILABLE);
}

/// A panic in a callback of the program is not hidden, and later scrapes answer.
#[test]
fn a_callback_that_panics() {
    let endpoint = Endpoint::new();
    let meter = endpoint.meter();
    meter.u64_observable_gauge("level").with_callback(|_| panic!("in the callback")).build();
    let scrape = || endpoint.ask(&[]).status();
    assert!(panic::catch_unwind(AssertUnwindSafe(scrape)).is_err());
    // The SDK gives up its metrics then.
    assert_eq!(scrape(), StatusCode::SERVICE_UNAVAILABLE);
}

/// Each of many scrapes at once is whole, while measurements and instruments are added.
#[test]
fn scrapes_at_once() {
    let endpoint = Endpoint::new();
    thread::scope(|threads| {
        for thread in 0..3 {
            let endpoint = &endpoint;
            threads.spawn(move || {
                for i in 0..300_u64 {
                    let meter = endpoint.provider.meter(["a", "b", "c"][thread]);
                    let histogram = meter.u64_histogram(format!("sizes.{}", i % 10)).build();
                    histogram.record(i, &[KeyValue::new("number", (i % 50) as i64)]);
                    meter.u64_counter(format!("orders.{}", i % 10)).build().add(i, &[]);
                }
            });
        }
        for accept in [TEXT, OPEN_METRICS, TEXT, OPEN_METRICS] {
            let endpoint = &endpoint;
            threads.spawn(move || {
                for _ in 0..10 {
                    check(&endpoint.scrape(accept));
                }
            });
        }
    });
    assert_eq!(check(&endpoint.scrape(TEXT)), 3 * 10 + 3 * 10 * 5 * 18);
}
