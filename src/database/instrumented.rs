//! A future that is an operation.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{Outcome, Running};

pin_project! {
    /// Ends an operation when its future does.
    pub(super) struct Instrumented<F, O> {
        // The first field is dropped first: the operation was cancelled when its caller dropped it,
        // however long its clean-up takes.
        running: Option<Running>,
        outcome: Option<O>,
        #[pin]
        inner: F,
    }
}

impl<F, O> Instrumented<F, O> {
    pub(super) fn new(running: Running, inner: F, outcome: O) -> Self {
        Self { running: Some(running), outcome: Some(outcome), inner }
    }
}

impl<F, O> Future for Instrumented<F, O>
where
    F: Future,
    O: FnOnce(&Running, &F::Output) -> Outcome,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // On the stack, so that a panic ends the operation while it unwinds.
        let Some(running) = this.running.take() else { return this.inner.poll(cx) };
        let polled = {
            let _attached = running.attach();
            this.inner.poll(cx)
        };
        match (polled, this.outcome.take()) {
            (Poll::Ready(output), Some(outcome)) => {
                let outcome = outcome(&running, &output);
                running.finish(outcome);
                Poll::Ready(output)
            }
            (polled, outcome) => {
                *this.running = Some(running);
                *this.outcome = outcome;
                polled
            }
        }
    }
}
