//! The service for readiness probes.

use std::{
    convert::Infallible,
    future::{self, Ready},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use tower_service::Service;

/// A service that answers a readiness probe: `200` until the process is told to stop, then `503`.
///
/// In axum it is a route: `.route_service("/readyz", shutdown.readiness())`.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    is_ending: Arc<AtomicBool>,
}

impl Readiness {
    /// Returns true until the process is told to stop.
    pub fn is_ready(&self) -> bool {
        !self.is_ending.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }
}

impl<B> Service<Request<B>> for Readiness {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let (status, text) = match self.is_ready() {
            true => (StatusCode::OK, "ready\n"),
            false => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n"),
        };
        let response = Response::builder()
            .status(status)
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::from(text))
            .expect("the parts of this response are valid");
        future::ready(Ok(response))
    }
}
