//! The service that answers.

use std::{
    convert::Infallible,
    future::{self, Ready},
    task::{Context, Poll},
};

use ::prometheus::{Encoder, Registry, TextEncoder, proto::MetricFamily};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower_service::Service;

use super::{accept, open_metrics};

/// Answers `GET` (and `HEAD`) with all metrics, at whatever path it is put; other methods with `405`.
///
/// Made by [`Telemetry::prometheus`](crate::Telemetry::prometheus).
#[derive(Debug, Clone, Default)]
pub struct MetricsService {
    /// None if nobody asked for the endpoint.
    registry: Option<Registry>,
}

impl MetricsService {
    pub(super) fn of(registry: Registry) -> Self {
        Self { registry: Some(registry) }
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let Some(registry) = &self.registry else {
            return text(StatusCode::NOT_FOUND, "there is no pull endpoint in this set-up\n");
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let families = registry.gather();
        let encoded = match accept::prefers_open_metrics(request.headers()) {
            true => Some((open_metrics::CONTENT_TYPE, open_metrics::encode(&families))),
            false => encode_text(&families).map(|text| (TEXT_CONTENT_TYPE, text)),
        };
        let Some((content_type, body)) = encoded else {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be encoded\n");
        };
        let mut response = Response::new(Full::from(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl<B> Service<Request<B>> for MetricsService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        future::ready(Ok(self.answer(&request)))
    }
}

fn encode_text(families: &[MetricFamily]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    TextEncoder::new().encode(families, &mut text).ok()?;
    Some(text)
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}

const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
