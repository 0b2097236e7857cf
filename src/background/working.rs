//! Work under way.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{self, Poll},
    thread,
};

use opentelemetry::{
    Context, KeyValue,
    trace::{Status, TraceContextExt},
};
use pin_project_lite::pin_project;

pin_project! {
    /// The future of [`Work::run`](super::Work::run) and [`Work::try_run`](super::Work::try_run).
    ///
    /// Dropping it before its end ends the span as cancelled.
    pub struct Working<F>
    where
        F: Future,
    {
        // The first field is dropped first: the work was cancelled when its future was dropped, however long
        // the clean-up takes.
        span: Option<OpenSpan>,
        error_type: fn(&F::Output) -> Option<&'static str>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Working<F> {
    pub(super) fn new(
        context: Context,
        future: F,
        error_type: fn(&F::Output) -> Option<&'static str>,
    ) -> Self {
        Self { span: Some(OpenSpan { context, has_ended: false }), error_type, future }
    }
}

impl<F: Future> fmt::Debug for Working<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Working").finish_non_exhaustive()
    }
}

impl<F: Future> Future for Working<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // On the stack, so that a panic ends the span while it unwinds.
        let Some(mut span) = this.span.take() else { return this.future.poll(cx) };
        let polled = {
            let _attached = span.context.clone().attach();
            this.future.poll(cx)
        };
        match polled {
            Poll::Ready(output) => {
                span.end((this.error_type)(&output));
                Poll::Ready(output)
            }
            Poll::Pending => {
                *this.span = Some(span);
                Poll::Pending
            }
        }
    }
}

/// A context whose span ends once.
struct OpenSpan {
    context: Context,
    has_ended: bool,
}

impl OpenSpan {
    fn end(&mut self, error_type: Option<&'static str>) {
        self.has_ended = true;
        let span = self.context.span();
        if let Some(error_type) = error_type {
            span.set_attribute(KeyValue::new("error.type", error_type));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if !self.has_ended {
            self.end(Some(if thread::panicking() { "panic" } else { "cancelled" }));
        }
    }
}
