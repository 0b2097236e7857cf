//! Counts the bytes of request bodies.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::convention::RequestBodySlot;

/// A layer that counts the bytes of request bodies as they are read.
///
/// It stands inside of a telemetry layer with
/// [`with_counted_body_sizes`](crate::MetricsLayer::with_counted_body_sizes), which records the sum.
/// Without such a layer around it, it does nothing.
///
/// The bytes are those that pass this layer: compressed, if the layer that decompresses stands inside
/// of it. On a client they are the bytes that the connection has taken.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::post};
/// use tower_telemetry::{RequestBodyLayer, TelemetryLayer};
///
/// let app: Router = Router::new()
///     .route("/photos", post(|body: String| async move { body.len().to_string() }))
///     .layer(RequestBodyLayer::new())
///     .layer(TelemetryLayer::server().with_counted_body_sizes());
/// ```
///
/// # The type of the body
///
/// The service inside takes a [`CountedRequestBody`]. axum's router, tonic's server and hyper-util's
/// client take bodies of any type. A service that takes one type only, such as an axum `from_fn` in the
/// same `ServiceBuilder`, needs tower-http's `MapRequestBodyLayer` between:
///
/// ```
/// use axum::{body::Body, extract::Request, middleware::{Next, from_fn}};
/// use tower::ServiceBuilder;
/// use tower_telemetry::{RequestBodyLayer, TelemetryLayer};
///
/// let layers = ServiceBuilder::new()
///     .layer(TelemetryLayer::server().with_counted_body_sizes())
///     .layer(RequestBodyLayer::new())
///     .map_request(|request: Request<_>| request.map(Body::new))
///     .layer(from_fn(|request: Request, next: Next| next.run(request)));
/// let app: axum::Router = axum::Router::new().layer(layers);
/// ```
///
/// # Retries
///
/// If the request is sent again below the telemetry layer, the first attempt is counted.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct RequestBodyLayer;

impl RequestBodyLayer {
    /// Creates the layer.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for RequestBodyLayer {
    type Service = CountRequestBody<S>;

    fn layer(&self, inner: S) -> CountRequestBody<S> {
        CountRequestBody { inner }
    }
}

/// The service of a [`RequestBodyLayer`].
#[derive(Debug, Clone)]
pub struct CountRequestBody<S> {
    inner: S,
}

impl<S> CountRequestBody<S> {
    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }
}

impl<S, B> Service<Request<B>> for CountRequestBody<S>
where
    S: Service<Request<CountedRequestBody<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let slot = RequestBodySlot::take(request.extensions_mut());
        self.inner.call(request.map(|inner| CountedRequestBody { inner, slot }))
    }
}

pin_project! {
    /// The request body of a [`RequestBodyLayer`]: the inner body, unchanged.
    #[derive(Default)]
    pub struct CountedRequestBody<B> {
        #[pin]
        inner: B,
        slot: Option<RequestBodySlot>,
    }
}

impl<B: Body> Body for CountedRequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let (Some(slot), Some(Ok(frame))) = (this.slot, &frame)
            && let Some(data) = frame.data_ref()
        {
            slot.add(data.remaining());
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

/// A clone is the body of another attempt, which does not count.
impl<B: Clone> Clone for CountedRequestBody<B> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), slot: None }
    }
}

impl<B: fmt::Debug> fmt::Debug for CountedRequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedRequestBody").field("inner", &self.inner).finish_non_exhaustive()
    }
}
