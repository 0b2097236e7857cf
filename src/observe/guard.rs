//! Ends an exchange exactly once.

use std::sync::Arc;

use http::{request, response};
use opentelemetry::ContextGuard;

use super::{Exchange, Observer, service::Shared};
use crate::end::End;

/// Owns an exchange and the observer's state of it, and travels with them: from the call to the
/// response future, and on to the response body. Its `Drop` ends what nobody else has ended.
#[derive(Debug)]
pub(super) struct Guard<O: Observer> {
    shared: Arc<Shared<O>>,
    exchange: Exchange,
    /// Until the end, of an exchange that the observer follows.
    state: Option<O::State>,
}

impl<O: Observer> Guard<O> {
    /// Begins an exchange; none is ended that the observer doesn't follow.
    pub(super) fn begin(shared: Arc<Shared<O>>, head: &mut request::Parts) -> Self {
        let exchange = Exchange::begin(&shared.convention, head, shared.observer.asks_for_time());
        let mut guard = Self { shared, exchange, state: None };
        guard.state = guard.shared.observer.on_request(&mut guard.exchange, head);
        guard.exchange.mark(&mut head.extensions);
        guard
    }

    /// Makes the exchange's context current.
    pub(super) fn attach(&self) -> Option<ContextGuard> {
        self.exchange.attach()
    }

    /// Runs a part of the inner service, and ends the exchange if that part panics.
    ///
    /// It can't wait for `Drop` to find the thread panicking: a layer around this one may catch
    /// the panic and drop the future in peace.
    pub(super) fn watch<T>(&mut self, part: impl FnOnce() -> T) -> T {
        let unwinding = Unwinding(self);
        let value = part();
        std::mem::forget(unwinding);
        value
    }

    /// Takes note of the response head, and of the length of the body where that is known.
    pub(super) fn respond(&mut self, head: &mut response::Parts, exact: Option<u64>) {
        // The user's hooks run here: if one panics, that is how the exchange ended.
        let unwinding = Unwinding(self);
        let Self { shared, exchange, state } = &mut *unwinding.0;
        if let Some(state) = state {
            exchange.respond(head, exact);
            shared.observer.on_response(exchange, state, head);
        }
        std::mem::forget(unwinding);
        if self.exchange.ends_with(head.status) {
            self.end(&End::Complete { trailers: None });
        }
    }

    pub(super) fn deliver(&mut self, bytes: usize) {
        self.exchange.deliver(bytes);
    }

    pub(super) fn end(&mut self, end: &End<'_>) {
        if self.state.is_none() {
            return;
        }
        // A hook that names the error may panic: `Drop` then still finds the state.
        self.exchange.end(end);
        // Taken first: whatever the observer does, it hears of one end.
        if let Some(state) = self.state.take() {
            self.shared.observer.on_end(&self.exchange, state);
        }
    }
}

impl<O: Observer> Drop for Guard<O> {
    fn drop(&mut self) {
        self.end(&self.exchange.dropped());
    }
}

struct Unwinding<'a, O: Observer>(&'a mut Guard<O>);

impl<O: Observer> Drop for Unwinding<'_, O> {
    fn drop(&mut self) {
        self.0.end(&End::Panicked);
    }
}
