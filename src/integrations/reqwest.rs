//! reqwest: a client as a service for tower's layers.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use reqwest::{Body, ResponseBuilderExt, Url, redirect::Policy};
use tower_service::Service;

use crate::{
    convention::{ErrorKinds, RequestBodySize, UrlFragment},
    telemetry::TelemetryLayer,
};

/// A `reqwest::Client` as a service of HTTP requests, for tower's layers (feature `reqwest`).
///
/// A request whose URI is not absolute fails with reqwest's own error.
#[derive(Debug, Clone, Default)]
pub struct ReqwestService {
    client: reqwest::Client,
}

impl ReqwestService {
    /// Wraps a client.
    pub fn new(client: reqwest::Client) -> Self {
        Self { client }
    }
}

impl<B: Into<Body>> Service<Request<B>> for ReqwestService {
    type Response = Response<Body>;
    type Error = reqwest::Error;
    type Future = ReqwestFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = match from_request(request) {
            Ok(request) => Sending::Request { future: self.client.call(request) },
            Err(error) => Sending::Invalid { error: Some(error) },
        };
        ReqwestFuture { inner }
    }
}

pin_project! {
    /// The response future of [`ReqwestService`].
    pub struct ReqwestFuture {
        #[pin]
        inner: Sending,
    }
}

pin_project! {
    #[project = SendingProjection]
    enum Sending {
        Request {
            #[pin]
            future: <reqwest::Client as Service<reqwest::Request>>::Future,
        },
        Invalid { error: Option<reqwest::Error> },
    }
}

impl Future for ReqwestFuture {
    type Output = Result<Response<Body>, reqwest::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().inner.project() {
            SendingProjection::Request { future } => {
                Poll::Ready(ready!(future.poll(cx)).map(into_http))
            }
            SendingProjection::Invalid { error } => {
                Poll::Ready(Err(error.take().expect("a future is not polled once it is ready")))
            }
        }
    }
}

impl fmt::Debug for ReqwestFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReqwestFuture")
    }
}

/// Returns a policy by which reqwest follows a redirect only if `accepts` returns true for its URL, and
/// at most ten redirects in a row (feature `reqwest`).
///
/// reqwest sends all hops with the headers of the first one, `traceparent` and `baggage` included. Use
/// this policy with the rule of
/// [`with_destinations`](crate::observe::ObserveLayer::with_destinations), so that they don't reach
/// other destinations. A redirect to one of those is not an error: reqwest returns it as the response.
///
/// # Example
///
/// ```
/// use tower_telemetry::{TelemetryLayer, integrations::{ReqwestClient, redirects_to}};
/// # let _ = rustls::crypto::ring::default_provider().install_default();
///
/// let is_ours = |host: Option<&str>| host.is_some_and(|host| host.ends_with(".internal"));
/// let policy = redirects_to(move |url| is_ours(url.host_str()));
/// let inner = reqwest::Client::builder().redirect(policy).build()?;
/// let layer = TelemetryLayer::client().with_destinations(move |head| is_ours(head.uri.host()));
/// let client = ReqwestClient::with_layer(inner, layer);
/// # Ok::<_, reqwest::Error>(())
/// ```
pub fn redirects_to<F>(accepts: F) -> Policy
where
    F: Fn(&Url) -> bool + Send + Sync + 'static,
{
    Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else if accepts(attempt.url()) {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// The limit of reqwest's default policy.
const MAX_REDIRECTS: usize = 10;

/// The layer of a reqwest client, with the error kinds of reqwest and of hyper, on which it is built.
pub(super) fn default_layer() -> TelemetryLayer {
    TelemetryLayer::client().with_error_kinds([ErrorKinds::REQWEST, ErrorKinds::HYPER])
}

/// Converts reqwest's request. Adds the size of its body if that is known, and the fragment of its
/// URL, which a `Uri` does not have.
pub(super) fn into_request(request: reqwest::Request) -> reqwest::Result<Request<Body>> {
    let fragment = request.url().fragment().map(UrlFragment::new);
    let mut request = Request::try_from(request)?;
    if let Some(bytes) = request.body().as_bytes() {
        let size = RequestBodySize::new(bytes.len() as u64);
        request.extensions_mut().insert(size);
    }
    if let Some(fragment) = fragment {
        request.extensions_mut().insert(fragment);
    }
    Ok(request)
}

/// Converts a request back to reqwest's, with the fragment of its URL.
pub(super) fn from_request<B: Into<Body>>(
    request: Request<B>,
) -> reqwest::Result<reqwest::Request> {
    let (head, body) = request.into_parts();
    let fragment = UrlFragment::of(&head).map(str::to_owned);
    let mut request = reqwest::Request::try_from(Request::from_parts(head, body))?;
    if fragment.is_some() {
        request.url_mut().set_fragment(fragment.as_deref());
    }
    Ok(request)
}

/// Converts reqwest's response, and keeps its URL, which reqwest's own conversion loses.
pub(super) fn into_http(response: reqwest::Response) -> Response<Body> {
    let url = Response::builder().url(response.url().clone()).body(());
    let mut response = Response::<Body>::from(response);
    if let Ok(url) = url {
        response.extensions_mut().extend(url.into_parts().0.extensions);
    }
    response
}

/// Converts a response back to reqwest's.
pub(super) fn from_http<B>(response: Response<B>) -> reqwest::Response
where
    B: http_body::Body<Data: Into<bytes::Bytes>> + Send + Sync + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    response.map(Body::wrap).into()
}
