//! Carriers that let a propagator read and write a header map.

use std::cell::OnceCell;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};

/// An [`Extractor`] that reads from a header map, for any propagator.
///
/// It differs from `opentelemetry_http::HeaderExtractor`:
///
/// - `get` joins several lines of `tracestate` or `baggage` into one list, in order.
/// - `get` returns `None` for a `traceparent` that was sent twice, because the specification makes
///   it invalid.
/// - Lines that are not visible ASCII are skipped.
#[derive(Debug)]
pub struct HeaderExtractor<'a> {
    headers: &'a HeaderMap,
    // `get` returns a reference, so the joined lines must be stored in the carrier.
    joined: [OnceCell<String>; LISTS.len()],
}

impl<'a> HeaderExtractor<'a> {
    /// Creates an extractor that reads from `headers`.
    pub fn new(headers: &'a HeaderMap) -> Self {
        Self { headers, joined: Default::default() }
    }

    /// Returns the lines of a header that are visible ASCII.
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

/// An [`Injector`] that writes to a header map, for any propagator.
///
/// It differs from `opentelemetry_http::HeaderInjector`:
///
/// - An empty value removes the header, because some propagators set an empty `tracestate`.
/// - A header that doesn't fit into a full header map is skipped instead of causing a panic.
///
/// Invalid names and values are skipped, too.
#[derive(Debug)]
pub struct HeaderInjector<'a> {
    headers: &'a mut HeaderMap,
}

impl<'a> HeaderInjector<'a> {
    /// Creates an injector that writes to `headers`.
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
            // `insert` panics if the map is full. No server accepts a request with 2^15 headers.
            let _ = self.headers.try_insert(name, value);
        }
    }

    fn reserve(&mut self, additional: usize) {
        let _ = self.headers.try_reserve(additional);
    }
}

/// Returns the header name of `key` if it is one of the W3C's, so that it needn't be parsed.
fn known(key: &str) -> Option<&'static HeaderName> {
    W3C.iter().find(|name| name.as_str() == key)
}

/// The headers that the W3C specifies.
pub(super) static W3C: [HeaderName; 3] = [
    HeaderName::from_static(TRACEPARENT),
    HeaderName::from_static(TRACESTATE),
    HeaderName::from_static(BAGGAGE),
];
pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";
pub(super) const BAGGAGE: &str = "baggage";
const LISTS: [&str; 2] = [TRACESTATE, BAGGAGE];
