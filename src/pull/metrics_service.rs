//! The service that answers.

use std::{
    convert::Infallible,
    future::{self, Ready},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower_service::Service;

use super::{negotiation, number::Format, reader::Scraper};

/// Answers `GET` and `HEAD` with all metrics, at any path; other methods with `405`.
///
/// [`Telemetry::prometheus`](crate::Telemetry::prometheus) and
/// [`PullReader::service`](super::PullReader::service) make it. The default answers with `404`.
///
/// It answers with `503` if there is no meter provider yet, or it is shut down, so that Prometheus
/// sees the target as down.
#[derive(Debug, Clone, Default)]
pub struct MetricsService {
    /// None if there is no pull endpoint in the set-up.
    scraper: Option<Arc<Scraper>>,
}

impl MetricsService {
    pub(super) fn of(scraper: Arc<Scraper>) -> Self {
        Self { scraper: Some(scraper) }
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let Some(scraper) = &self.scraper else {
            return text(StatusCode::NOT_FOUND, "there is no pull endpoint in this set-up\n");
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let format = negotiation::format(request.headers());
        let is_compressed = negotiation::accepts_gzip(request.headers());
        let Ok(body) = scraper.scrape(format, is_compressed) else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "the meter provider is shut down\n");
        };
        let mut response = Response::new(Full::from(body));
        let headers = response.headers_mut();
        let content_type = match format {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if is_compressed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
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

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}
