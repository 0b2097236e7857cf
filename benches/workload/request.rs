//! Requests of callers. The package `benches/peers` includes this file, too.

use axum::body::Body;
use http::{HeaderValue, Request};
use opentelemetry::trace::{SpanId, TraceId};

/// The trace id and the span id in the `traceparent` of inbound requests.
pub(crate) const CALLER: (TraceId, SpanId) = (
    TraceId::from_bytes(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()),
    SpanId::from_bytes(0xb7ad_6b71_6920_3331_u64.to_be_bytes()),
);

/// Builds an inbound request with these flags in its `traceparent`, and with a `tracestate` of two
/// members if `has_state`.
pub(crate) fn inbound(path: &str, flags: &str, has_state: bool) -> Request<Body> {
    let (trace, span) = CALLER;
    let mut request = Request::get(path)
        .header("host", "api.example.com")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        )
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, deflate, br")
        .header("traceparent", format!("00-{trace}-{span}-{flags}"))
        .body(Body::empty())
        .expect("the request is valid");
    if has_state {
        let state = HeaderValue::from_static("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
        request.headers_mut().insert("tracestate", state);
    }
    request
}

pub(crate) fn outbound() -> Request<Body> {
    Request::get("https://api.example.com/users/42")
        .header("accept", "application/json")
        .body(Body::empty())
        .expect("the request is valid")
}
