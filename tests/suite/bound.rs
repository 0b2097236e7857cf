//! Bound and unbound instruments record the same metrics.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use opentelemetry::KeyValue;
use tower::{Layer, Service, service_fn};
use tower_telemetry::{Convention, Route};

use crate::support::{AnyConvention, Script, Step::*, Telemetry};

/// Count and sum by instrument and labels. The sum of a duration is zero, because durations differ
/// between runs.
type Counts = BTreeMap<(String, Vec<String>), (u64, f64)>;

fn counts(telemetry: &Telemetry) -> Counts {
    let mut counts = Counts::new();
    for point in telemetry.points() {
        let sum = if point.unit == "s" { 0.0 } else { point.sum };
        let mut labels: Vec<_> = point.labels.iter().map(|label| format!("{label:?}")).collect();
        labels.sort();
        let known = counts.insert((point.name, labels), (point.count, sum));
        assert!(known.is_none(), "a series was exported twice");
    }
    counts
}

/// Runs several kinds of exchanges on `routes` routes, each twice, and returns their metrics.
fn counted(convention: impl Into<AnyConvention>, routes: usize, is_bound: bool) -> Counts {
    let telemetry = Telemetry::new();
    let mut layer = telemetry.stack(convention);
    if is_bound {
        layer = layer.with_bound_instruments();
    }
    let mut service = layer.layer(service_fn(|request: Request<String>| async move {
        Route::new(request.uri().path()).announce(request.extensions());
        let body = match request.uri().query() {
            Some("error") => Script::new(&[Data("ab"), Error]),
            Some("half") => Script::new(&[Data("ab"), Pending]),
            _ => Script::new(&[Data("abcd"), Trailers]),
        };
        let status = if request.uri().query() == Some("fail") { 500 } else { 200 };
        Ok::<_, std::convert::Infallible>(Response::builder().status(status).body(body).unwrap())
    }));
    for _ in 0..2 {
        for route in 0..routes {
            let queries: &[&str] =
                if route < 3 { &["", "?error", "?half", "?fail"] } else { &[""] };
            for query in queries {
                let uri = format!("http://example.com/{route}{query}");
                let request = Request::post(uri).header("content-length", "5");
                let request = request.body(String::from("hello")).unwrap();
                let response = service.call(request).now_or_never().unwrap().unwrap();
                let _ = response.into_body().collect().now_or_never();
            }
        }
    }
    // Reads the metrics while an exchange is active.
    let response = service.call(Request::new(String::new())).now_or_never().unwrap().unwrap();
    let counts = counts(&telemetry);
    drop(response);
    assert_eq!(telemetry.active(), 0);
    counts
}

#[test]
fn bound_instruments_record_the_same() {
    for convention in [
        Convention::server().into(),
        Convention::client().into(),
        AnyConvention::from(
            Convention::server().with_request_labels(|_| vec![KeyValue::new("tier", "gold")]),
        ),
    ] {
        let bound = counted(convention.clone(), 4, true);
        assert!(bound.len() > 8, "expected several series of several instruments: {bound:#?}");
        assert_eq!(bound, counted(convention, 4, false));
    }
}

/// More series than the cache binds, and more than the SDK's cardinality limit.
#[test]
fn bound_instruments_record_the_same_beyond_the_limits() {
    let bound = counted(Convention::server(), 2100, true);
    assert!(bound.keys().any(|(_, labels)| labels.concat().contains("overflow")));
    assert_eq!(bound, counted(Convention::server(), 2100, false));
}
