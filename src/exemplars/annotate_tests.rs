//! Exemplars on the data points of a real SDK, under views of all kinds.

use std::time::SystemTime;

use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_sdk::metrics::{Aggregation, Temporality};

use super::{
    Exemplars, InstrumentExemplars,
    annotate::annotate,
    rig::{Rig, View, sampled, text},
};
use crate::convention::{Side, emit, instruments};

fn histogram(boundaries: &[f64]) -> Aggregation {
    let boundaries = boundaries.to_vec();
    Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: true }
}

fn exponential(max_scale: i8) -> Aggregation {
    Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale, record_min_max: true }
}

/// The same four measurements under each view, for a cumulative and a delta reader.
#[test]
fn exemplars_are_on_the_right_points_under_any_view() {
    let rows: [(&str, View, &str); 14] = [
        ("default", |s| s, "m=GET,r=/a: 0.005@1 0.5@2; m=GET,r=/b: 0.5@3; m=PUT,r=/a: 50@4"),
        (
            "another name",
            |s| s.with_name("renamed"),
            "m=GET,r=/a: 0.005@1 0.5@2; m=GET,r=/b: 0.5@3; m=PUT,r=/a: 50@4",
        ),
        (
            "another description",
            |s| s.with_description("described"),
            "m=GET,r=/a: 0.005@1 0.5@2; m=GET,r=/b: 0.5@3; m=PUT,r=/a: 50@4",
        ),
        // Nothing tells which instrument it is.
        ("another name and description", |s| s.with_name("x").with_description("y"), ""),
        (
            "another unit",
            |s| s.with_unit("min"),
            "m=GET,r=/a: 0.005@1 0.5@2; m=GET,r=/b: 0.5@3; m=PUT,r=/a: 50@4",
        ),
        // The two measurements of 0.5 are in one bucket, and the later one is shown.
        (
            "without the route",
            |s| s.with_allowed_attribute_keys([opentelemetry::Key::new("m")]),
            "m=GET: 0.005@1[r=/a] 0.5@3[r=/b]; m=PUT: 50@4[r=/a]",
        ),
        (
            "without the route, renamed",
            |s| s.with_name("x").with_allowed_attribute_keys([opentelemetry::Key::new("m")]),
            "m=GET: 0.005@1[r=/a] 0.5@3[r=/b]; m=PUT: 50@4[r=/a]",
        ),
        (
            "without attributes",
            |s| s.with_allowed_attribute_keys([]),
            ": 0.005@1[m=GET,r=/a] 0.5@3[m=GET,r=/b] 50@4[m=PUT,r=/a]",
        ),
        (
            "coarse boundaries",
            |s| s.with_aggregation(histogram(&[10.0])),
            "m=GET,r=/a: 0.5@2; m=GET,r=/b: 0.5@3; m=PUT,r=/a: 50@4",
        ),
        (
            "a boundary that is a value",
            |s| s.with_aggregation(histogram(&[0.005, 0.5, 49.0])),
            "m=GET,r=/a: 0.005@1 0.5@2; m=GET,r=/b: 0.5@3; m=PUT,r=/a: 50@4",
        ),
        (
            "no boundaries",
            |s| s.with_aggregation(histogram(&[])),
            "m=GET,r=/a: 0.5@2; m=GET,r=/b: 0.5@3; m=PUT,r=/a: 50@4",
        ),
        (
            "exponential",
            |s| s.with_aggregation(exponential(20)),
            "m=GET,r=/a: 0.005@1 0.5@2; m=GET,r=/b: 0.5@3; m=PUT,r=/a: 50@4",
        ),
        (
            "exponential without the route",
            |s| {
                s.with_aggregation(exponential(0))
                    .with_allowed_attribute_keys([opentelemetry::Key::new("m")])
            },
            "m=GET: 0.005@1[r=/a] 0.5@3[r=/b]; m=PUT: 50@4[r=/a]",
        ),
        // The series beyond the limit are one, and nobody knows which ones.
        ("overflow", |s| s.with_cardinality_limit(1), "m=GET,r=/a: 0.005@1 0.5@2"),
    ];
    for (name, view, expected) in rows {
        let rig = Rig::new(view, &[Temporality::Cumulative, Temporality::Delta]);
        rig.record(&[("m", "GET"), ("r", "/a")], 0.005, 1);
        rig.record(&[("m", "GET"), ("r", "/a")], 0.5, 2);
        rig.record(&[("m", "GET"), ("r", "/b")], 0.5, 3);
        rig.record(&[("m", "PUT"), ("r", "/a")], 50.0, 4);
        assert_eq!(rig.shown(), [expected, expected], "{name}");
    }
}

/// Keys that only series of the overflow have look like dropped ones.
#[test]
fn a_metric_with_an_overflow_has_exemplars_for_equal_attributes_only() {
    let rig = Rig::new(|s| s.with_cardinality_limit(1), &[Temporality::Cumulative]);
    rig.record(&[("m", "GET")], 0.005, 1);
    rig.record(&[("m", "GET"), ("e", "timeout")], 0.006, 2);
    assert_eq!(rig.shown(), ["m=GET: 0.005@1"]);
}

#[test]
fn each_reader_shows_what_is_in_its_own_time() {
    let rig = Rig::new(|s| s, &[Temporality::Cumulative, Temporality::Delta]);
    rig.record(&[("m", "GET")], 0.005, 1);
    assert_eq!(rig.shown(), ["m=GET: 0.005@1", "m=GET: 0.005@1"]);
    rig.record(&[("m", "GET")], 0.05, 2);
    assert_eq!(rig.shown(), ["m=GET: 0.005@1 0.05@2", "m=GET: 0.05@2"]);
    rig.record(&[("m", "GET")], 0.006, 3);
    assert_eq!(rig.shown(), ["m=GET: 0.006@3 0.05@2", "m=GET: 0.006@3"]);
    assert_eq!(rig.shown(), ["m=GET: 0.006@3 0.05@2", ""]);
}

/// Changes the times of the only data point, and returns its exemplars.
fn at_times(change: impl Fn(&mut u64, &mut u64)) -> String {
    let rig = Rig::new(|s| s, &[Temporality::Cumulative]);
    rig.record(&[("m", "GET")], 0.005, 1);
    let mut request = rig.collect().remove(0);
    let metric = &mut request.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(Data::Histogram(histogram)) = &mut metric.data else { panic!("a histogram") };
    let point = &mut histogram.data_points[0];
    change(&mut point.start_time_unix_nano, &mut point.time_unix_nano);
    annotate(&rig.exemplars, &mut request);
    text(&request)
}

#[test]
fn exemplars_are_shown_for_ten_minutes_and_within_the_time_of_the_point() {
    for (name, change, is_shown) in [
        ("now", (|_, _| {}) as fn(&mut u64, &mut u64), true),
        ("9 minutes later", |_, time| *time += 540_000_000_000, true),
        ("10 minutes later", |_, time| *time += 601_000_000_000, false),
        ("before it was measured", |_, time| *time -= 60_000_000_000, false),
        ("a point that starts now", |start, time| *start = *time, false),
        ("a point without a start", |start, _| *start = 0, true),
    ] {
        let expected = if is_shown { "m=GET: 0.005@1" } else { "" };
        assert_eq!(at_times(change), expected, "{name}");
    }
}

#[test]
fn a_measurement_that_the_point_lacks_is_not_shown() {
    let rig = Rig::new(|s| s, &[Temporality::Cumulative]);
    rig.record(&[("m", "GET")], 0.005, 1);
    // As if the SDK was collected between the two halves of a recording.
    let labels = [KeyValue::new("m", "GET")];
    rig.offers().offer_uncached(&labels, 0.5, &sampled(2, SystemTime::now()));
    let labels = [KeyValue::new("m", "PUT")];
    rig.offers().offer_uncached(&labels, 0.5, &sampled(3, SystemTime::now()));
    assert_eq!(rig.shown(), ["m=GET: 0.005@1"]);
}

#[test]
fn points_with_exemplars_and_metrics_of_others_stay_as_they_are() {
    let rig = Rig::new(|s| s, &[Temporality::Cumulative]);
    rig.record(&[("m", "GET")], 0.005, 1);
    let [original] = rig.collect().try_into().unwrap();
    for (name, version) in [("other", env!("CARGO_PKG_VERSION")), (emit::scope().name(), "9.9.9")] {
        let mut others = original.clone();
        let scope = others.resource_metrics[0].scope_metrics[0].scope.as_mut().unwrap();
        (scope.name, scope.version) = (name.to_owned(), version.to_owned());
        let before = others.clone();
        annotate(&rig.exemplars, &mut others);
        assert_eq!(others, before, "{name} {version}");
    }
    let mut annotated = original.clone();
    annotate(&rig.exemplars, &mut annotated);
    assert_ne!(annotated, original);
    rig.record(&[("m", "GET")], 0.006, 2);
    let mut again = annotated.clone();
    annotate(&rig.exemplars, &mut again);
    assert_eq!(again, annotated);
}

#[test]
fn invalid_spans_are_not_shown() {
    let rig = Rig::new(|s| s, &[Temporality::Cumulative]);
    rig.record(&[("m", "GET")], 0.005, 0);
    assert_eq!(rig.shown(), [""]);
}

/// Labels of all types, as hooks may give.
#[test]
fn values_of_all_types_match() {
    let strings = Array::String(vec!["x".into(), "y".into()]);
    for value in [
        Value::Bool(true),
        Value::I64(-7),
        Value::F64(0.5),
        Value::F64(f64::INFINITY),
        Value::String("text".into()),
        Value::Array(strings),
        Value::Array(Array::I64(vec![1, 2])),
        Value::Array(Array::Bool(vec![])),
    ] {
        let rig = Rig::new(|s| s, &[Temporality::Cumulative]);
        let labels = [KeyValue::new("k", value.clone()), KeyValue::new("m", "GET")];
        rig.duration.histogram.record(0.5, &labels);
        rig.offers().offer_uncached(&labels, 0.5, &sampled(1, SystemTime::now()));
        assert!(rig.shown()[0].ends_with("m=GET: 0.5@1"), "{value:?}: {:?}", rig.shown());
    }
}

/// A renamed stream is found by its description.
#[test]
fn descriptions_tell_instruments_apart() {
    let sides = [Side::Server, Side::Client];
    let mut all: Vec<_> = sides
        .into_iter()
        .flat_map(|side| {
            [
                instruments::duration(side),
                instruments::request_body_size(side),
                instruments::response_body_size(side),
                instruments::call_duration(side),
            ]
        })
        .map(|instrument| instrument.description)
        .collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 8);
}

/// Fewer slots than buckets: still in the right bucket.
#[test]
fn many_boundaries_share_slots() {
    let exemplars = Exemplars::new();
    let instrument = instruments::duration(Side::Server);
    let boundaries: Vec<f64> = (0..1000).map(f64::from).collect();
    let offers = InstrumentExemplars::new(&exemplars, instrument, &boundaries);
    for value in 0..1000_u32 {
        let now = SystemTime::now();
        offers.offer_uncached(&[], f64::from(value), &sampled(u64::from(value) + 1, now));
    }
    let reservoirs = exemplars.reservoirs();
    let slots = reservoirs[0].read((0, u64::MAX)).count();
    assert!((16..=32).contains(&slots), "{slots} slots are used");
}
