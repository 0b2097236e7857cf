//! The services to compare, which differ only in their telemetry, and their workloads.

mod instructions;
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
    instructions::instructions,
    rows::{Expected, Row, reference, routed, rows},
    sdk::Sdk,
};

/// The trace id and the span id in the `traceparent` of inbound requests.
pub const CALLER: (TraceId, SpanId) = request::CALLER;

pub type Boxed = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The requests to a row, and the installed providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// No provider is installed. It runs first, because the others install global providers.
    W4,
    /// A sampled parent with a `tracestate` of two members.
    W1,
    /// A sampled parent alone.
    W1n,
    /// A parent that is not sampled, with a `tracestate` of two members.
    W2,
    /// The request of W1, with metrics and without spans.
    Metrics,
    /// An outbound call without an inbound one.
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

    /// Builds a request of this workload.
    pub fn request(self) -> Request<Body> {
        match self {
            Self::Client => request::outbound(),
            Self::W4 | Self::W1n => request::inbound("/users/42", "01", false),
            Self::W1 | Self::Metrics => request::inbound("/users/42", "01", true),
            Self::W2 => request::inbound("/users/42", "00", true),
        }
    }
}

/// Runs one exchange to the end of the body.
pub fn exchange(service: &mut Boxed, request: Request<Body>) {
    let response = service.call(request).now_or_never().expect("the service answers at once");
    let Ok(response) = response;
    let body = response.into_body().collect().now_or_never().expect("the service answers at once");
    assert_eq!(body.expect("the body has no error").to_bytes(), "hello");
}

/// Runs exchanges. This function is timed, and valgrind counts the instructions in the function of
/// this name.
#[inline(never)]
pub fn exchange_all(service: &mut Boxed, requests: Vec<Request<Body>>) {
    for request in requests {
        exchange(service, request);
    }
}

/// The number of requests before measuring. They fill the caches, and a layer without a provider
/// stops looking for one.
pub const WARM_UP: usize = 300;
