//! The one middleware of this crate.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{Observer, ResponseBody, ResponseFuture, guard::Guard};
use crate::convention::Convention;

/// Puts an [`Observer`] around a service.
#[derive(Debug)]
pub struct ObserveLayer<O> {
    shared: Arc<Shared<O>>,
}

/// What all services of a layer and their exchanges share, behind one pointer: services are cloned for
/// each request.
#[derive(Debug, Clone)]
pub(super) struct Shared<O> {
    pub(super) convention: Convention,
    pub(super) observer: O,
}

impl<O> ObserveLayer<O> {
    /// Makes a layer of an observer and the convention that its exchanges follow.
    pub fn new(convention: Convention, observer: O) -> Self {
        Self { shared: Arc::new(Shared { convention, observer }) }
    }

    /// The same layer with another observer.
    pub(crate) fn map(self, change: impl FnOnce(O) -> O) -> Self
    where
        O: Clone,
    {
        let Shared { convention, observer } = Arc::unwrap_or_clone(self.shared);
        Self::new(convention, change(observer))
    }
}

impl<O> Clone for ObserveLayer<O> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S, O> Layer<S> for ObserveLayer<O> {
    type Service = Observe<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe { inner, shared: Arc::clone(&self.shared) }
    }
}

/// Tells an [`Observer`] of each exchange with the service inside.
///
/// It works over any service of HTTP requests whose response body is a [`Body`]; requests may have
/// a body of any type. Responses, errors and bodies pass through untouched.
#[derive(Debug)]
pub struct Observe<S, O> {
    inner: S,
    shared: Arc<Shared<O>>,
}

impl<S, O> Observe<S, O> {
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

impl<S: Clone, O> Clone for Observe<S, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S, O, ReqB, ResB> Service<Request<ReqB>> for Observe<S, O>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: 'static,
    O: Observer,
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
        let mut guard = Guard::begin(Arc::clone(&self.shared), &mut head);
        let _attached = guard.attach();
        let future = guard.watch(|| self.inner.call(Request::from_parts(head, body)));
        ResponseFuture::new(future, Some(guard))
    }
}
