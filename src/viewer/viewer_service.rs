//! The service that answers.

use std::{
    convert::Infallible,
    future::{self, Ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tower_service::Service;

use super::{Viewer, assets::asset, pages::Query, peers};

/// Answers `GET` and `HEAD` with the pages of the [viewer](crate::viewer), at any path; other methods with `405`.
///
/// [`Telemetry::viewer`](crate::Telemetry::viewer) makes it. The default answers with `404`. The page asks for
/// everything by queries of its own path, so one route is enough:
///
/// ```text
/// app.route_service("/telemetry", telemetry.viewer())
/// ```
///
/// It sends no request to anywhere else. Its `Content-Security-Policy` allows scripts and styles of its own origin only.
#[derive(Debug, Clone, Default)]
pub struct ViewerService {
    /// None if there is no viewer in the set-up.
    viewer: Option<Viewer>,
    answers_all_peers: bool,
}

impl ViewerService {
    pub(super) fn of(viewer: Viewer) -> Self {
        Self { viewer: Some(viewer), answers_all_peers: false }
    }

    /// Answers all peers, and requests that a proxy has forwarded. Protect the route yourself.
    #[must_use]
    pub fn for_all_peers(mut self) -> Self {
        self.answers_all_peers = true;
        self
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let Some(viewer) = &self.viewer else {
            return text(StatusCode::NOT_FOUND, "there is no viewer in this set-up\n");
        };
        if !self.answers_all_peers
            && let Some(reason) = peers::obstacle(request)
        {
            return text(StatusCode::FORBIDDEN, &format!("{reason}\n"));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let query = request.uri().query().unwrap_or_default();
        if let Some((content_type, content)) = asset(query) {
            return response(StatusCode::OK, content_type, Bytes::from_static(content.as_bytes()));
        }
        let query = Query::of(query);
        let answer = match query.get("api") {
            Some("overview") => Some(viewer.overview()),
            Some("traces") => Some(viewer.traces(&query)),
            Some("trace") => viewer.trace(&query),
            Some("logs") => Some(viewer.log_lines(&query)),
            Some("resources") => Some(viewer.resources()),
            _ => None,
        };
        match answer {
            Some(answer) => as_json(StatusCode::OK, &answer),
            None => as_json(StatusCode::NOT_FOUND, &json!({ "error": "not in memory" })),
        }
    }
}

impl<B> Service<Request<B>> for ViewerService {
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

fn as_json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    response(status, "application/json", Bytes::from(value.to_string()))
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(text.as_bytes()))
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
