//! The response body of a layer, converted to another type.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// The layer of [`ObserveLayer::map_body`](super::ObserveLayer::map_body).
#[derive(Clone)]
pub struct MapBodyLayer<L, F> {
    layer: L,
    convert: F,
}

impl<L, F> MapBodyLayer<L, F> {
    pub(super) fn new(layer: L, convert: F) -> Self {
        Self { layer, convert }
    }
}

impl<L: fmt::Debug, F> fmt::Debug for MapBodyLayer<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapBodyLayer").field("layer", &self.layer).finish_non_exhaustive()
    }
}

impl<S, L: Layer<S>, F: Clone> Layer<S> for MapBodyLayer<L, F> {
    type Service = MapBody<L::Service, F>;

    fn layer(&self, inner: S) -> Self::Service {
        MapBody { inner: self.layer.layer(inner), convert: self.convert.clone() }
    }
}

/// The service of a [`MapBodyLayer`].
#[derive(Clone)]
pub struct MapBody<S, F> {
    inner: S,
    convert: F,
}

impl<S: fmt::Debug, F> fmt::Debug for MapBody<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapBody").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, F, ReqB, ResB, T> Service<Request<ReqB>> for MapBody<S, F>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    F: Fn(ResB) -> T + Clone,
{
    type Response = Response<T>;
    type Error = S::Error;
    type Future = MapBodyFuture<S::Future, F>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        MapBodyFuture { inner: self.inner.call(request), convert: self.convert.clone() }
    }
}

pin_project! {
    /// The response future of [`MapBody`].
    pub struct MapBodyFuture<Fut, F> {
        #[pin]
        inner: Fut,
        convert: F,
    }
}

impl<Fut, F, ResB, E, T> Future for MapBodyFuture<Fut, F>
where
    Fut: Future<Output = Result<Response<ResB>, E>>,
    F: Fn(ResB) -> T,
{
    type Output = Result<Response<T>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx));
        Poll::Ready(response.map(|response| response.map(&*this.convert)))
    }
}

impl<Fut, F> fmt::Debug for MapBodyFuture<Fut, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MapBodyFuture")
    }
}
