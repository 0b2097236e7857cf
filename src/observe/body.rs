//! From the response head to the end of the response body.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{Observer, guard::Guard};
use crate::{
    contain::contain,
    end::{End, Failure},
};

pin_project! {
    /// The response body of [`Observe`](super::Observe): the inner body, unchanged.
    pub struct ResponseBody<B, O: Observer> {
        #[pin]
        inner: B,
        // `None` once the body has ended.
        guard: Option<Guard<O>>,
        // `Body::is_end_stream`, for `Drop`, where `B` has no bounds.
        is_end_stream: fn(&B) -> bool,
    }

    impl<B, O: Observer> PinnedDrop for ResponseBody<B, O> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let Some(guard) = this.guard else { return };
            // A server does not poll a body that says that nothing follows.
            if contain(|| (this.is_end_stream)(&this.inner)) == Some(true) {
                guard.end(&End::Complete { trailers: None });
            }
        }
    }
}

impl<B, O: Observer> ResponseBody<B, O> {
    pub(super) fn new(inner: B, guard: Option<Guard<O>>) -> Self
    where
        B: Body,
    {
        Self { inner, guard, is_end_stream: B::is_end_stream }
    }
}

/// Creates an empty body without an exchange, for outer layers that answer instead of the service.
impl<B: Default, O: Observer> Default for ResponseBody<B, O> {
    fn default() -> Self {
        Self { inner: B::default(), guard: None, is_end_stream: |_| false }
    }
}

impl<B, O> Body for ResponseBody<B, O>
where
    B: Body,
    B::Error: 'static,
    O: Observer,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(guard) = this.guard else {
            return this.inner.poll_frame(cx);
        };
        let _attached = guard.attach();
        let polled = ready!(guard.watch(|| this.inner.as_mut().poll_frame(cx)));
        let mut is_last = true;
        match &polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    guard.deliver(data.remaining());
                }
                let trailers = frame.trailers_ref();
                // The caller may not poll again once the inner body says that nothing follows.
                is_last = trailers.is_some() || this.inner.is_end_stream();
                if is_last {
                    guard.end(&End::Complete { trailers });
                }
            }
            Some(Err(error)) => guard.end(&End::Failed(Failure::new(error))),
            None => guard.end(&End::Complete { trailers: None }),
        }
        if is_last {
            *this.guard = None;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: fmt::Debug, O: Observer> fmt::Debug for ResponseBody<B, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("inner", &self.inner).finish_non_exhaustive()
    }
}
