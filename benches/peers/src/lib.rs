//! The rows: services that differ in their telemetry alone, and what is asked of them.

#[path = "../../workload/request.rs"]
mod request;
mod rows;
mod sdk;

use std::convert::Infallible;

use axum::body::Body;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use opentelemetry::trace::{SpanId, TraceId};
use tower::{Service, util::BoxCloneSyncService};

pub use self::{
    rows::{Expected, Row, reference, routed, rows},
    sdk::Sdk,
};

/// Who calls: the trace and the span of its `traceparent`.
pub const CALLER: (TraceId, SpanId) = request::CALLER;

pub type Boxed = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What is asked of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// No provider is installed; it comes first, for later ones install theirs.
    W4,
    /// A sampled parent with a `tracestate` of two members.
    W1,
    /// A sampled parent alone.
    W1n,
    /// A parent that is not sampled, with a `tracestate` of two members.
    W2,
    /// The request of W1, and no spans.
    Metrics,
    /// An outbound call, by itself.
    Client,
}

impl Workload {
    pub const ALL: [Self; 6] =
        [Self::W4, Self::W1, Self::W1n, Self::W2, Self::Metrics, Self::Client];

    pub fn title(self) -> &'static str {
        match self {
            Self::W1 => "W1: sampled, `tracestate`",
            Self::W1n => "W1n: sampled",
            Self::W2 => "W2: not sampled, `tracestate`",
            Self::Metrics => "metrics only",
            Self::W4 => "W4: no provider",
            Self::Client => "client",
        }
    }

    /// One of the requests that callers send.
    pub fn request(self) -> Request<Body> {
        match self {
            Self::Client => request::outbound(),
            Self::W4 | Self::W1n => request::inbound("/users/42", "01", false),
            Self::W1 | Self::Metrics => request::inbound("/users/42", "01", true),
            Self::W2 => request::inbound("/users/42", "00", true),
        }
    }
}

/// One exchange, to the end of the body.
pub fn exchange(service: &mut Boxed, request: Request<Body>) {
    let response = service.call(request).now_or_never().expect("nothing waits");
    let Ok(response) = response;
    let body = response.into_body().collect().now_or_never().expect("nothing waits");
    assert_eq!(body.expect("the body is whole").to_bytes(), "hello");
}

/// Many exchanges: what is timed, and what valgrind counts, by this name.
#[inline(never)]
pub fn exchange_all(service: &mut Boxed, requests: Vec<Request<Body>>) {
    for request in requests {
        exchange(service, request);
    }
}

/// Requests before anything is counted: what is made once is made, and a layer without a provider has
/// found out that there is none.
pub const WARM_UP: usize = 300;
