//! Context propagation, tested against the text of the specifications.

mod b3;
mod baggage;
mod carriers;
mod layers;
mod trace_context;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Context, propagation::TextMapPropagator};
use tower_telemetry::propagation::{HeaderExtractor, HeaderInjector};

/// Builds headers from `name: value` pairs.
fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

fn extract(propagator: &impl TextMapPropagator, headers: &HeaderMap) -> Context {
    propagator.extract_with_context(&Context::new(), &HeaderExtractor::new(headers))
}

fn inject(propagator: &impl TextMapPropagator, context: &Context) -> HeaderMap {
    let mut headers = HeaderMap::new();
    propagator.inject_context(context, &mut HeaderInjector::new(&mut headers));
    headers
}

/// Returns the only value of a header, if there is one.
#[track_caller]
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values: Vec<_> = headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
    assert!(values.len() <= 1, "{name} occurs several times: {values:?}");
    values.first().copied()
}
