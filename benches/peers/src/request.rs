//! What callers send.

use axum::body::Body;
use http::{HeaderValue, Request};
use opentelemetry::trace::{SpanId, TraceId};

use crate::Workload;

/// Who calls: the trace and the span of its `traceparent`.
pub const CALLER: (TraceId, SpanId) = (
    TraceId::from_bytes(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()),
    SpanId::from_bytes(0xb7ad_6b71_6920_3331_u64.to_be_bytes()),
);

pub(crate) fn of(workload: Workload) -> Request<Body> {
    if workload == Workload::Client {
        return outbound();
    }
    let flags = if workload == Workload::W2 { "00" } else { "01" };
    let (trace, span) = CALLER;
    let parent = format!("00-{trace}-{span}-{flags}");
    let mut request = Request::get("/users/42")
        .header("host", "api.example.com")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        )
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, deflate, br")
        .header("traceparent", parent)
        .body(Body::empty())
        .expect("the request is valid");
    if workload != Workload::W1n && workload != Workload::W4 {
        let state = HeaderValue::from_static("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
        request.headers_mut().insert("tracestate", state);
    }
    request
}

fn outbound() -> Request<Body> {
    Request::get("https://api.example.com/users/42")
        .header("accept", "application/json")
        .body(Body::empty())
        .expect("the request is valid")
}
