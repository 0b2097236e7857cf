//! Extracts arbitrary bytes as lines of `baggage`, and injects arbitrary text as a value and its
//! metadata. Extraction must return what was injected, without additional members.
//!
//! `cargo +nightly fuzz run baggage -- -max_total_time=60`

#![no_main]

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tower_telemetry::{
    opentelemetry::{
        Context,
        baggage::{BaggageExt, KeyValueMetadata},
        propagation::TextMapPropagator,
    },
    propagation::{Baggage, HeaderExtractor, HeaderInjector},
};

fn read(headers: &HeaderMap) -> Context {
    Baggage::new().extract_with_context(&Context::new(), &HeaderExtractor::new(headers))
}

fn send(context: &Context) -> HeaderMap {
    let mut sent = HeaderMap::new();
    Baggage::new().inject_context(context, &mut HeaderInjector::new(&mut sent));
    sent
}

fn entries(context: &Context) -> BTreeMap<String, (String, String)> {
    let baggage = context.baggage().iter();
    baggage
        .map(|(key, (value, metadata))| {
            (key.to_string(), (value.to_string(), metadata.to_string()))
        })
        .collect()
}

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append("baggage", line);
        }
    }
    let context = read(&headers);
    let sent = send(&context);
    let length = sent.get("baggage").map_or(0, HeaderValue::len);
    assert!(length <= 8192);
    // Encoding may lengthen a value. Members may only be missing for that reason.
    let again = entries(&read(&sent));
    let known = entries(&context);
    assert!(again.iter().all(|(key, entry)| known.get(key) == Some(entry)));
    assert!(again.len() == known.len() || length > 4096);

    let text = String::from_utf8_lossy(data);
    let (value, metadata) =
        text.split_at(text.char_indices().nth(8).map_or(text.len(), |(at, _)| at));
    let entry = KeyValueMetadata::new("k", value.to_owned(), metadata);
    let sent = send(&Context::new().with_baggage([entry]));
    let again = entries(&read(&sent));
    match sent.get("baggage") {
        Some(_) => {
            assert!(again.keys().eq(["k"]));
            assert_eq!(again["k"].0, value);
        }
        // Skipped because it is too long: an octet that is not UTF-8 becomes nine (U+FFFD,
        // encoded).
        None => assert!(data.len() > 8192 / 9 - 16),
    }
});
