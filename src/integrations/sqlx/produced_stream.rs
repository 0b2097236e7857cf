//! A stream whose items a future makes.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures_core::{Stream, future::BoxFuture};

/// A stream of the items that a future puts into its [`Slot`].
///
/// The future can hold a connection and borrow from it, which a plain stream can't.
pub(super) struct ProducedStream<'e, T> {
    slot: Slot<T>,
    /// `None` once it has ended, because a future must not be polled again.
    producer: Option<BoxFuture<'e, ()>>,
}

/// The place of one item.
pub(super) struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<'e, T> ProducedStream<'e, T> {
    pub(super) fn new<F>(producer: impl FnOnce(Slot<T>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'e,
    {
        let slot = Arc::new(Mutex::new(None));
        let producer = producer(Slot(Arc::clone(&slot)));
        Self { slot: Slot(slot), producer: Some(Box::pin(producer)) }
    }
}

impl<T> Slot<T> {
    /// Hands an item to the reader of the stream, and returns when the reader asks for the next one.
    pub(super) async fn put(&self, item: T) {
        *self.lock() = Some(item);
        let mut is_put = false;
        // Only the stream polls the producer. It looks into the slot now, and polls again for the
        // next item, so no waker is needed.
        poll_fn(|_| match is_put {
            true => Poll::Ready(()),
            false => {
                is_put = true;
                Poll::Pending
            }
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Stream for ProducedStream<'_, T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        let Some(producer) = &mut this.producer else { return Poll::Ready(None) };
        if producer.as_mut().poll(cx).is_ready() {
            this.producer = None;
            return Poll::Ready(None);
        }
        match this.slot.lock().take() {
            Some(item) => Poll::Ready(Some(item)),
            None => Poll::Pending,
        }
    }
}
