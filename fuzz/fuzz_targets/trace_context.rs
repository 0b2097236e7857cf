//! Forwards arbitrary bytes as `traceparent` and lines of `tracestate`. The result must follow the
//! grammar, and must not change if it is forwarded again.
//!
//! `cargo +nightly fuzz run trace_context -- -max_total_time=60`

#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tower_telemetry::{
    opentelemetry::{Context, propagation::TextMapPropagator},
    propagation::{HeaderExtractor, HeaderInjector, TraceContext},
};

fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let propagator = TraceContext::new();
    let extractor = HeaderExtractor::new(headers);
    let context = propagator.extract_with_context(&Context::new(), &extractor);
    let mut sent = HeaderMap::new();
    propagator.inject_context(&context, &mut HeaderInjector::new(&mut sent));
    sent
}

fuzz_target!(|data: &[u8]| {
    // Half of the runs have a valid `traceparent`.
    let (is_valid, data) = match data.split_first() {
        Some((first, rest)) => (first & 1 == 1, rest),
        None => return,
    };
    let mut headers = HeaderMap::new();
    let mut lines = data.split(|byte| *byte == b'\n');
    if is_valid {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
        headers.append("traceparent", HeaderValue::from_static(parent));
    } else if let Some(Ok(parent)) = lines.next().map(HeaderValue::from_bytes) {
        headers.append("traceparent", parent);
    }
    for line in lines.filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append("tracestate", line);
    }

    let sent = forwarded(&headers);
    assert_eq!(forwarded(&sent), sent);
    let Some(parent) = sent.get("traceparent") else {
        assert!(sent.is_empty());
        return;
    };
    let parent = parent.as_bytes();
    assert_eq!(parent.len(), 55);
    assert!(parent.iter().all(|b| matches!(b, b'-' | b'0'..=b'9' | b'a'..=b'f')));
    if let Some(state) = sent.get("tracestate") {
        let members: Vec<_> = state.to_str().unwrap().split(',').collect();
        assert!(members.len() <= 32);
        for member in members {
            let (key, value) = member.split_once('=').unwrap();
            assert!((1..=256).contains(&key.len()) && (1..=256).contains(&value.len()));
            assert!(!value.ends_with([' ', '\t']) && !value.contains('='));
        }
    }
});
