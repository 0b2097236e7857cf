//! The one middleware of this crate.

use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{Exchange, Observer, ResponseBody, ResponseFuture, guard::Guard};
use crate::convention::Convention;

/// Puts an [`Observer`] around a service.
#[derive(Debug, Clone)]
pub struct ObserveLayer<O> {
    convention: Convention,
    observer: O,
}

impl<O> ObserveLayer<O> {
    /// Makes a layer of an observer and the convention that its exchanges follow.
    pub fn new(convention: Convention, observer: O) -> Self {
        Self { convention, observer }
    }
}

impl<S, O: Clone> Layer<S> for ObserveLayer<O> {
    type Service = Observe<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe::new(inner, self.convention.clone(), self.observer.clone())
    }
}

/// Tells an [`Observer`] of each exchange with the service inside.
///
/// It works over any service of HTTP requests whose response body is a [`Body`]; requests may have
/// a body of any type. Responses, errors and bodies pass through untouched.
#[derive(Debug, Clone)]
pub struct Observe<S, O> {
    inner: S,
    convention: Convention,
    observer: O,
}

impl<S, O> Observe<S, O> {
    pub(crate) fn new(inner: S, convention: Convention, observer: O) -> Self {
        Self { inner, convention, observer }
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the service out.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, O, ReqB, ResB> Service<Request<ReqB>> for Observe<S, O>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: 'static,
    O: Observer + Clone,
    ResB: Body,
    ResB::Error: 'static,
{
    type Response = Response<ResponseBody<ResB, O>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        // An exporter's own calls: to record them would make more of them, without end.
        if opentelemetry::Context::is_current_telemetry_suppressed() {
            return ResponseFuture::new(self.inner.call(request), None);
        }
        let (mut head, body) = request.into_parts();
        let mut exchange = Exchange::begin(&self.convention, &head);
        let state = self.observer.on_request(&mut exchange, &mut head);
        exchange.mark(&mut head.extensions);
        let mut guard = Guard::new(self.observer.clone(), exchange, state);
        let _attached = guard.attach();
        let future = guard.watch(|| self.inner.call(Request::from_parts(head, body)));
        ResponseFuture::new(future, Some(guard))
    }
}
