//! The layer of [`ClientConnections`](super::ClientConnections): which request is on which
//! connection.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use http::{Extensions, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::client_connections::{ActiveRequest, Connection};

/// A client whose requests are seen on their connections.
#[derive(Debug, Clone)]
pub struct CountedRequests<S> {
    inner: S,
}

impl<S> CountedRequests<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }

    /// Returns the service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the service inside, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for CountedRequests<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ResB: Body,
{
    type Response = Response<CountedBody<ResB>>;
    type Error = S::Error;
    type Future = CountedRequest<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        let captured = capture_connection(&mut request);
        let sent = Instant::now();
        CountedRequest { inner: self.inner.call(request), captured, sent, active: None }
    }
}

pin_project! {
    /// The future of a [`CountedRequests`].
    pub struct CountedRequest<F> {
        #[pin]
        inner: F,
        captured: CaptureConnection,
        sent: Instant,
        active: Option<ActiveRequest>,
    }
}

impl<F, B, E> Future for CountedRequest<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<CountedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = this.inner.poll(cx);
        // The client takes a connection in one of these polls, and reports it in `captured` only.
        if this.active.is_none() {
            *this.active = captured(this.captured).map(|it| it.begin(Some(this.sent.elapsed())));
        }
        let mut response = ready!(polled)?;
        // A request that found its connection closed was sent again on another one.
        if let Some(connection) = response.extensions_mut().remove::<Connection>()
            && this.active.as_ref().is_none_or(|active| !active.connection().is(&connection))
        {
            *this.active = Some(connection.begin(None));
        }
        let active = this.active.take().filter(|_| !response.body().is_end_stream());
        Poll::Ready(Ok(response.map(|inner| CountedBody { inner, active })))
    }
}

/// Returns the connection of a request, once it has one of a connector of ours.
fn captured(captured: &CaptureConnection) -> Option<Connection> {
    let mut extensions = Extensions::new();
    captured.connection_metadata().as_ref()?.get_extras(&mut extensions);
    extensions.remove()
}

impl<F: fmt::Debug> fmt::Debug for CountedRequest<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedRequest").field("inner", &self.inner).finish_non_exhaustive()
    }
}

pin_project! {
    /// The response body of a [`CountedRequests`]: to its end, the request is on its connection.
    pub struct CountedBody<B> {
        #[pin]
        inner: B,
        active: Option<ActiveRequest>,
    }
}

impl<B: Body> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || this.inner.is_end_stream() {
            *this.active = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: fmt::Debug> fmt::Debug for CountedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedBody").field("inner", &self.inner).finish_non_exhaustive()
    }
}
