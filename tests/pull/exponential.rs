//! Exponential histograms, as histograms whose boundaries are powers of two.

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::{Aggregation, Stream};
use tower_telemetry::pull::PullReader;

use crate::{Endpoint, OPEN_METRICS, TEXT, checker::check, strict_parser};

fn endpoint(max_size: u32, max_scale: i8) -> Endpoint {
    Endpoint::with(PullReader::builder(), &[], |provider| {
        provider.with_view(move |_: &_| {
            let aggregation = Aggregation::Base2ExponentialHistogram {
                max_size,
                max_scale,
                record_min_max: true,
            };
            Stream::builder().with_aggregation(aggregation).build().ok()
        })
    })
}

/// Returns `le=count` for each bucket, then the sum and the count.
fn buckets(text: &str) -> String {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        match name.split_once("le=\"") {
            Some((_, bound)) => format!("{}={value}", bound.trim_end_matches("\"}")),
            None => format!("{}={value}", name.trim_start_matches("a_")),
        }
    });
    samples.collect::<Vec<_>>().join(" ")
}

#[test]
fn powers_of_two() {
    for (max_size, max_scale, values, expected) in [
        (160, 20, &[0.3, 0.5, 0.7, 3.0][..], "0=0 0.5=2 1=3 2=3 4=4 +Inf=4 sum=4.5 count=4"),
        // A boundary belongs to the bucket below it.
        (160, 20, &[1.0, 2.0, 4.0], "0=0 1=1 2=2 4=3 +Inf=3 sum=7 count=3"),
        (160, 0, &[1.0, 2.0, 4.0], "0=0 1=1 2=2 4=3 +Inf=3 sum=7 count=3"),
        (160, 20, &[0.0, 0.0, 1.5], "0=2 2=3 +Inf=3 sum=1.5 count=3"),
        (160, 20, &[0.0], "0=1 +Inf=1 sum=0 count=1"),
        // Scales below zero: the values are far apart, the buckets few.
        (4, 20, &[1.0, 1000.0], "0=0 1=1 16=1 256=1 4096=2 +Inf=2 sum=1001 count=2"),
        (2, 20, &[1e-6, 1e6], "0=0 1=1 4294967296=2 +Inf=2 sum=1000000.000001 count=2"),
        // Negative values: there is no sum then.
        (160, 20, &[-3.0, -0.3, 0.0, 5.0], "-2=1 -1=1 -0.5=1 -0.25=2 0=3 8=4 +Inf=4 count=4"),
        // The largest and the smallest numbers.
        (160, 20, &[f64::MAX], "0=0 +Inf=1 sum=1.7976931348623157e308 count=1"),
        (
            160,
            20,
            &[f64::MIN_POSITIVE],
            "0=0 2.2250738585072014e-308=1 +Inf=1 sum=2.2250738585072014e-308 count=1",
        ),
        // The SDK does not count these.
        (160, 20, &[f64::NAN, f64::INFINITY, 1.0], "0=0 1=1 +Inf=1 sum=1 count=1"),
    ] {
        let endpoint = endpoint(max_size, max_scale);
        let histogram = endpoint.meter().f64_histogram("a").build();
        for value in values {
            histogram.record(*value, &[]);
        }
        let (text, open_metrics) = (endpoint.scrape(TEXT), endpoint.scrape(OPEN_METRICS));
        assert_eq!(buckets(&text), expected, "{values:?}");
        check(&text);
        check(&open_metrics);
        strict_parser::accepts(&[&open_metrics]);
    }
}

/// All series have the same boundaries, because sums over them need that, and the counts agree
/// with the values.
#[test]
fn series_share_their_boundaries() {
    let endpoint = endpoint(20, 20);
    let histogram = endpoint.meter().f64_histogram("a").build();
    let series: [(&str, Vec<f64>); 4] = [
        ("narrow", (1..=100).map(|i| 1.0 + f64::from(i) / 1000.0).collect()),
        ("wide", (-200..=200).map(|i| 1.1_f64.powi(i)).collect()),
        ("signed", (-50..=50).map(|i| f64::from(i) * 0.37).collect()),
        ("empty", vec![]),
    ];
    for (name, values) in &series {
        for value in values {
            histogram.record(*value, &[KeyValue::new("series", *name)]);
        }
    }
    let text = endpoint.scrape(TEXT);
    check(&text);
    let mut shared: Option<Vec<&str>> = None;
    for (name, values) in &series[..3] {
        let mut bounds = Vec::new();
        let prefix = format!("a_bucket{{series=\"{name}\",le=\"");
        for line in text.lines().filter_map(|line| line.strip_prefix(&prefix)) {
            let (bound, count) = line.split_once("\"} ").unwrap();
            bounds.push(bound);
            let bound: f64 = bound.replace("+Inf", "inf").parse().unwrap();
            let expected = values.iter().filter(|value| **value <= bound).count();
            assert_eq!(count, expected.to_string(), "{name}: {bound}");
        }
        assert!(bounds.len() > 3, "{bounds:?}");
        assert_eq!(shared.get_or_insert_with(|| bounds.clone()), &bounds, "{name}");
    }
}
