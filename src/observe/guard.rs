//! Ends an exchange exactly once.

use std::sync::Arc;

use http::{request, response};
use opentelemetry::ContextGuard;

use super::{Exchange, Observer, service::Shared};
use crate::{contain::contain, end::End};

/// Owns an exchange and the observer's state. It moves from the call to the response future, and on to
/// the response body. Its `Drop` ends an exchange that has not ended yet.
#[derive(Debug)]
pub(super) struct Guard<O: Observer> {
    shared: Arc<Shared<O>>,
    exchange: Exchange,
    /// `None` once the exchange has ended, or if the observer ignores it.
    state: Option<O::State>,
}

impl<O: Observer> Guard<O> {
    /// Begins an exchange.
    pub(super) fn begin(shared: Arc<Shared<O>>, head: &mut request::Parts) -> Self {
        let reads_clock = shared.observer.reads_wall_clock();
        let exchange = Exchange::begin(&shared.rules, head, reads_clock);
        let mut guard = Self { shared, exchange, state: None };
        guard.state = guard.shared.observer.on_request(&mut guard.exchange, head);
        guard.exchange.leave_claims(&mut head.extensions);
        guard
    }

    /// Makes the exchange's context current.
    pub(super) fn attach(&self) -> Option<ContextGuard> {
        self.exchange.attach()
    }

    /// Runs a part of the inner service, and ends the exchange if that part panics.
    ///
    /// `Drop` could not tell, because an outer layer may have caught the panic by the time the future
    /// is dropped.
    pub(super) fn watch<T>(&mut self, part: impl FnOnce() -> T) -> T {
        let unwinding = Unwinding(self);
        let value = part();
        std::mem::forget(unwinding);
        value
    }

    /// Reads the response head. `exact` is the length of the body, if it is known.
    pub(super) fn respond(&mut self, head: &mut response::Parts, exact: Option<u64>) {
        // The user's hooks run here. If one panics, the exchange ends with that panic.
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
        let Some(state) = self.state.take() else { return };
        self.exchange.end(end);
        contain(|| self.shared.observer.on_end(&self.exchange, end, state));
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
