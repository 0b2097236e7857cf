//! The one middleware of this crate.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{Observer, ResponseBody, ResponseFuture, guard::Guard};
use crate::convention::rules::Rules;

/// The state that a layer, its services and their exchanges share. It is behind one pointer because
/// services are cloned for each request.
#[derive(Debug, Clone)]
pub(super) struct Shared<O> {
    pub(super) rules: Arc<Rules>,
    pub(super) observer: O,
}

/// The service of an [`ObserveLayer`](super::ObserveLayer): calls an [`Observer`] for each exchange
/// with the inner service.
///
/// It works around any service of HTTP requests whose response body is a [`Body`]. Requests may have a
/// body of any type. Responses, errors and bodies pass through unchanged.
#[derive(Debug)]
pub struct Observe<S, O> {
    inner: S,
    shared: Arc<Shared<O>>,
}

impl<S, O> Observe<S, O> {
    pub(super) fn new(inner: S, shared: Arc<Shared<O>>) -> Self {
        Self { inner, shared }
    }

    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the inner service out.
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
        // An exporter's own calls: recording them would cause more of them, endlessly.
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
