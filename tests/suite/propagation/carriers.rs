//! `HeaderExtractor` and `HeaderInjector`.

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector};
use tower_telemetry::propagation::{HeaderExtractor, HeaderInjector};

use super::headers;

#[test]
fn the_extractor_joins_lists_and_rejects_a_second_traceparent() {
    let headers = headers(&[
        ("traceparent", "1"),
        ("tracestate", "a=1"),
        ("tracestate", ""),
        ("tracestate", "b=2"),
        ("baggage", "c=3"),
        ("baggage", "\u{e9}"),
        ("baggage", "d=4"),
        ("b3", "80f198ee"),
        ("b3", "second"),
        ("x-other", "\u{e9}"),
    ]);
    let extractor = HeaderExtractor::new(&headers);
    for (key, value) in [
        ("traceparent", Some("1")),
        ("TraceParent", Some("1")),
        ("tracestate", Some("a=1,,b=2")),
        ("TRACESTATE", Some("a=1,,b=2")),
        ("Baggage", Some("c=3,d=4")),
        ("b3", Some("80f198ee")),
        ("x-other", None),
        ("missing", None),
        ("not a name", None),
    ] {
        assert_eq!(extractor.get(key), value, "{key}");
    }
    assert_eq!(extractor.get_all("tracestate"), Some(vec!["a=1", "", "b=2"]));
    assert_eq!(extractor.get_all("x-other"), None);
    let mut keys = extractor.keys();
    keys.sort_unstable();
    assert_eq!(keys, ["b3", "baggage", "traceparent", "tracestate", "x-other"]);
}

#[test]
fn the_injector_skips_empty_and_invalid_headers() {
    let mut headers = headers(&[("tracestate", "a=1"), ("tracestate", "b=2"), ("b3", "old")]);
    let mut injector = HeaderInjector::new(&mut headers);
    injector.set("B3", "new".into());
    injector.set("tracestate", String::new());
    injector.set("x-line", "a\r\nevil: 1".into());
    injector.set("not a name", "1".into());
    injector.set("", "1".into());
    let lines: Vec<_> = headers.iter().map(|(k, v)| (k.as_str(), v.to_str().unwrap())).collect();
    assert_eq!(lines, [("b3", "new")]);
}

/// A header map holds at most 2^15 entries. Its `insert` panics if it is full.
#[test]
fn the_injector_leaves_a_full_map_unchanged() {
    let mut headers = HeaderMap::new();
    while let Ok(Some(_) | None) = headers
        .try_append(
            http::HeaderName::from_bytes(format!("x-{}", headers.len()).as_bytes()).unwrap(),
            http::HeaderValue::from_static("1"),
        )
        .map(Some)
    {}
    let full = headers.len();
    let mut injector = HeaderInjector::new(&mut headers);
    injector.reserve(100_000);
    injector.set("traceparent", "1".into());
    assert_eq!(headers.len(), full);
}
