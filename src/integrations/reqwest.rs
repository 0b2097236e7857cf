//! reqwest: a client as a service for tower's layers.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use reqwest::{Body, ResponseBuilderExt};
use tower_service::Service;

use super::reqwest_redirects::RedirectCheck;
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
            Ok((request, check)) => Sending::Request { future: self.client.call(request), check },
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
            check: RedirectCheck,
        },
        Invalid { error: Option<reqwest::Error> },
    }
}

impl Future for ReqwestFuture {
    type Output = Result<Response<Body>, reqwest::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().inner.project() {
            SendingProjection::Request { future, check } => {
                let response = ready!(future.poll(cx))?;
                check.warn_of(&response);
                Poll::Ready(Ok(into_http(response)))
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

/// Converts a request back to reqwest's, with the fragment of its URL. The check is for its response.
pub(super) fn from_request<B: Into<Body>>(
    request: Request<B>,
) -> reqwest::Result<(reqwest::Request, RedirectCheck)> {
    let (mut head, body) = request.into_parts();
    let fragment = UrlFragment::of(&head).map(str::to_owned);
    let limit = head.extensions.remove();
    let mut request = reqwest::Request::try_from(Request::from_parts(head, body))?;
    let check = RedirectCheck::new(limit, request.url());
    if fragment.is_some() {
        request.url_mut().set_fragment(fragment.as_deref());
    }
    Ok((request, check))
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
