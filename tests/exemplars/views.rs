//! Exemplars at `GET /metrics` under views of all kinds.

use opentelemetry::Key;
use opentelemetry_sdk::{
    metrics::{Aggregation, Instrument, Stream, StreamBuilder},
    trace::Sampler,
};
use tower_telemetry::Convention;

use crate::support::{Rig, Shown, get_path, router, send};

type View = fn(StreamBuilder) -> StreamBuilder;

/// A rig whose durations are under a view.
fn rig(view: View) -> Rig {
    Rig::with(Sampler::AlwaysOn, |provider| {
        provider.with_view(move |instrument: &Instrument| {
            let is_duration = instrument.name() == "http.server.request.duration";
            is_duration.then(|| view(Stream::builder()))?.build().ok()
        })
    })
}

fn histogram(boundaries: &[f64]) -> Aggregation {
    let boundaries = boundaries.to_vec();
    Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false }
}

fn exponential() -> Aggregation {
    Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true }
}

/// Sends a `GET` and a `PUT`, and returns the exemplars.
fn exemplars(view: View) -> Vec<Shown> {
    let rig = rig(view);
    let router = router().layer(rig.layer(Convention::server()));
    send(&router, get_path("/a"));
    let mut put = get_path("/a");
    *put.method_mut() = http::Method::PUT;
    send(&router, put);
    rig.metrics_with_exemplars_of_spans();
    rig.shown()
}

#[test]
fn exemplars_are_shown_under_any_view() {
    let name = "http_server_request_duration_seconds";
    let all = &["GET", "PUT"][..];
    let rows: [(&str, View, &str, &[&str]); 9] = [
        ("default", |s| s, name, all),
        ("another name", |s| s.with_name("renamed"), "renamed_seconds", all),
        ("another description", |s| s.with_description("x"), name, all),
        ("another unit", |s| s.with_unit("By"), "http_server_request_duration_bytes", all),
        ("another name and description", |s| s.with_name("x").with_description("y"), "", &[]),
        ("one boundary", |s| s.with_aggregation(histogram(&[1e-9])), name, all),
        ("no boundaries", |s| s.with_aggregation(histogram(&[])), name, all),
        ("exponential", |s| s.with_aggregation(exponential()), name, all),
        ("overflow", |s| s.with_cardinality_limit(1), name, &["GET"]),
    ];
    for (row, view, metric, methods) in rows {
        let shown = exemplars(view);
        let seen: Vec<_> =
            shown.iter().map(|exemplar| exemplar.series["http_request_method"].as_str()).collect();
        assert_eq!(seen, methods, "{row}");
        assert!(shown.iter().all(|exemplar| exemplar.metric == metric), "{row}: {shown:?}");
        assert!(shown.iter().all(|exemplar| exemplar.filtered().is_empty()), "{row}: {shown:?}");
    }
}

/// Both series fall into one data point, and their values into one bucket: the later one is shown.
#[test]
fn dropped_attributes_are_labels_of_the_exemplar() {
    let shown = exemplars(|stream| {
        let keys = ["http.route", "http.response.status_code"].map(Key::new);
        stream.with_allowed_attribute_keys(keys).with_aggregation(histogram(&[]))
    });
    assert_eq!(shown.len(), 1, "{shown:?}");
    let (shown, le) = (&shown[0], &shown[0].le);
    assert_eq!(le, "+Inf");
    assert_eq!(
        shown.filtered(),
        // `status_class` does not fit.
        [
            ("http_request_method", "PUT"),
            ("network_protocol_version", "1.1"),
            ("url_scheme", "http"),
        ],
        "those that fit into 128 characters: {shown:?}"
    );
}
