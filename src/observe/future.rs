//! From the request to the response head.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::{Observer, ResponseBody, guard::Guard};
use crate::end::{End, Failure};

pin_project! {
    /// The response future of [`Observe`](super::Observe).
    pub struct ResponseFuture<F, O: Observer> {
        #[pin]
        inner: F,
        guard: Option<Guard<O>>,
    }
}

impl<F, O: Observer> ResponseFuture<F, O> {
    pub(super) fn new(inner: F, guard: Option<Guard<O>>) -> Self {
        Self { inner, guard }
    }
}

impl<F, O, B, E> Future for ResponseFuture<F, O>
where
    F: Future<Output = Result<Response<B>, E>>,
    O: Observer,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<ResponseBody<B, O>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(guard) = this.guard else {
            let response = ready!(this.inner.poll(cx));
            return Poll::Ready(response.map(|r| r.map(|body| ResponseBody::new(body, None))));
        };
        let _attached = guard.attach();
        let result = ready!(guard.watch(|| this.inner.poll(cx)));
        Poll::Ready(match result {
            Ok(response) => {
                let (mut head, body) = response.into_parts();
                guard.respond(&mut head, body.size_hint().exact());
                if body.is_end_stream() {
                    guard.end(&End::Complete { trailers: None });
                }
                // The guard moves on even if the exchange ended at the head, because the body still
                // runs under the exchange's context.
                Ok(Response::from_parts(head, ResponseBody::new(body, this.guard.take())))
            }
            Err(error) => {
                guard.end(&End::Failed(Failure::new(&error)));
                Err(error)
            }
        })
    }
}

impl<F: fmt::Debug, O: Observer> fmt::Debug for ResponseFuture<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("inner", &self.inner).finish_non_exhaustive()
    }
}
