//! Two observers as one.

use std::thread;

use http::{request, response};

use super::{Contains, Exchange, Observer};
use crate::{contain::contain, end::End};

/// A outside of B: A sees the request first, and the response and the end last.
impl<A: Observer, B: Observer> Observer for (A, B) {
    type State = (Option<A::State>, Option<B::State>);

    fn on_request(
        &self,
        exchange: &mut Exchange,
        head: &mut request::Parts,
    ) -> Option<Self::State> {
        let (outer, inner) = self;
        let state = outer.on_request(exchange, head);
        let mut unwinding = Unwinding { observer: outer, exchange, state };
        let inner = inner.on_request(unwinding.exchange, head);
        let outer = unwinding.state.take();
        (outer.is_some() || inner.is_some()).then_some((outer, inner))
    }

    fn on_response(
        &self,
        exchange: &Exchange,
        state: &mut Self::State,
        head: &mut response::Parts,
    ) {
        if let Some(inner) = &mut state.1 {
            self.1.on_response(exchange, inner, head);
        }
        if let Some(outer) = &mut state.0 {
            self.0.on_response(exchange, outer, head);
        }
    }

    fn on_end(&self, exchange: &Exchange, end: &End<'_>, (outer, inner): Self::State) {
        let _outer = EndOnDrop { observer: &self.0, exchange, end, state: outer };
        if let Some(inner) = inner {
            self.1.on_end(exchange, end, inner);
        }
    }

    fn reads_wall_clock(&self) -> bool {
        self.0.reads_wall_clock() || self.1.reads_wall_clock()
    }
}

impl<A: Contains<O>, B, O> Contains<O> for (A, B) {
    fn observer_mut(&mut self) -> &mut O {
        self.0.observer_mut()
    }
}

/// Calls the outer observer after the inner one, even if that one panics.
struct EndOnDrop<'a, A: Observer> {
    observer: &'a A,
    exchange: &'a Exchange,
    end: &'a End<'a>,
    state: Option<A::State>,
}

impl<A: Observer> Drop for EndOnDrop<'_, A> {
    fn drop(&mut self) {
        let Some(state) = self.state.take() else { return };
        let end = || self.observer.on_end(self.exchange, self.end, state);
        match thread::panicking() {
            true => _ = contain(end),
            false => end(),
        }
    }
}

/// Ends the exchange of the outer observer if the inner one panics in `on_request`.
struct Unwinding<'a, A: Observer> {
    observer: &'a A,
    exchange: &'a mut Exchange,
    state: Option<A::State>,
}

impl<A: Observer> Drop for Unwinding<'_, A> {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            self.exchange.end(&End::Panicked);
            contain(|| self.observer.on_end(self.exchange, &End::Panicked, state));
        }
    }
}
