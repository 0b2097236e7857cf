//! Header maps as the carriers of propagators: what those of `opentelemetry-http` do, and what they lack.

use std::cell::OnceCell;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};

/// Reads headers for a propagator of any kind.
///
/// Beyond `opentelemetry_http::HeaderExtractor`: the lists `tracestate` and
/// `baggage` come joined, in order, where they were sent in several lines, and a `traceparent` that
/// was sent twice is none. Lines that are not text are skipped.
#[derive(Debug)]
pub struct HeaderExtractor<'a> {
    headers: &'a HeaderMap,
    // `get` lends from the carrier, so what is joined must live in it.
    joined: [OnceCell<String>; LISTS.len()],
}

impl<'a> HeaderExtractor<'a> {
    /// Reads from these headers.
    pub fn new(headers: &'a HeaderMap) -> Self {
        Self { headers, joined: Default::default() }
    }

    /// The lines of a header that are text.
    fn lines(&self, key: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(key).into_iter().filter_map(|value| value.to_str().ok())
    }
}

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut lines = self.lines(key);
        let first = lines.next()?;
        let Some(second) = lines.next() else { return Some(first) };
        if key.eq_ignore_ascii_case(TRACEPARENT) {
            return None;
        }
        let Some(list) = LISTS.iter().position(|list| key.eq_ignore_ascii_case(list)) else {
            return Some(first);
        };
        let join = || [first, second].into_iter().chain(lines).collect::<Vec<_>>().join(",");
        Some(self.joined[list].get_or_init(join))
    }

    fn keys(&self) -> Vec<&str> {
        self.headers.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let lines: Vec<_> = self.lines(key).collect();
        (!lines.is_empty()).then_some(lines)
    }
}

/// Writes headers for a propagator of any kind.
///
/// Beyond `opentelemetry_http::HeaderInjector`: an empty value is not sent (some propagators set an
/// empty `tracestate`), and a header map that is full stays as it is. Names and values that no
/// header can have are left out.
#[derive(Debug)]
pub struct HeaderInjector<'a> {
    headers: &'a mut HeaderMap,
}

impl<'a> HeaderInjector<'a> {
    /// Writes to these headers.
    pub fn new(headers: &'a mut HeaderMap) -> Self {
        Self { headers }
    }
}

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if value.is_empty() {
            self.headers.remove(key);
            return;
        }
        let name = match known(key) {
            Some(name) => Ok(name.clone()),
            None => HeaderName::from_bytes(key.as_bytes()),
        };
        let value = HeaderValue::from_maybe_shared(Bytes::from(value));
        if let (Ok(name), Ok(value)) = (name, value) {
            // `insert` panics where the map is full. A request with 2^15 headers will not arrive.
            let _ = self.headers.try_insert(name, value);
        }
    }

    fn reserve(&mut self, additional: usize) {
        let _ = self.headers.try_reserve(additional);
    }
}

/// The name as a header's, where it needn't be read anew each time.
fn known(key: &str) -> Option<&'static HeaderName> {
    W3C.iter().find(|name| name.as_str() == key)
}

/// The names of the W3C's headers.
pub(super) static W3C: [HeaderName; 3] = [
    HeaderName::from_static(TRACEPARENT),
    HeaderName::from_static(TRACESTATE),
    HeaderName::from_static(BAGGAGE),
];
pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";
pub(super) const BAGGAGE: &str = "baggage";
const LISTS: [&str; 2] = [TRACESTATE, BAGGAGE];
