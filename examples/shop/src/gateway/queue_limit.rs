//! Limits how long a caller waits until a service is ready.

use std::{
    error, fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};
use tower::{Layer, Service, layer::layer_fn};

pub(super) struct QueueLimit<S> {
    inner: S,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> QueueLimit<S> {
    pub(super) fn layer(limit: Duration) -> impl Layer<S, Service = Self> + Clone {
        layer_fn(move |inner| Self { inner, limit, waiting: None })
    }
}

impl<S, Request> Service<Request> for QueueLimit<S>
where
    S: Service<Request, Error = WaitedTooLong>,
{
    type Response = S::Response;
    type Error = WaitedTooLong;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WaitedTooLong>> {
        if let Poll::Ready(result) = self.inner.poll_ready(cx) {
            self.waiting = None;
            return Poll::Ready(result);
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        waiting.as_mut().poll(cx).map(|()| Err(WaitedTooLong))
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.inner.call(request)
    }
}

/// A clone has not waited yet.
impl<S: Clone> Clone for QueueLimit<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), limit: self.limit, waiting: None }
    }
}

/// The error of a caller that waited for longer than the limit.
#[derive(Debug)]
pub(super) struct WaitedTooLong;

impl fmt::Display for WaitedTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all workers are busy")
    }
}

impl error::Error for WaitedTooLong {}
