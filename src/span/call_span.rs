//! One span around all attempts of a call.

use http::request;
use opentelemetry::trace::SpanKind;

use super::{SpanObserver, SpanState};
use crate::{
    convention::Side,
    end::End,
    observe::{AttemptCount, Contains, Exchange, ObserveLayer, Observer},
};

/// A layer that records one span around all attempts of a client's call, and counts the attempts.
///
/// Put it *outside* of the retry or redirect layer, and the client's telemetry layer *inside*. Without
/// it, and without another current span, each attempt and each hop is a trace of its own. It does all
/// that [`AttemptsLayer`](crate::AttemptsLayer) does.
///
/// # Example
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_telemetry::{CallSpanLayer, TelemetryLayer};
/// # #[derive(Clone)]
/// # struct MyPolicy;
///
/// let layers = ServiceBuilder::new()
///     .layer(CallSpanLayer::client())
///     .layer(tower::retry::RetryLayer::new(MyPolicy))
///     .layer(TelemetryLayer::client());
/// ```
///
/// # What is emitted
///
/// A span of the kind `INTERNAL`. Name and attributes are those of the `CLIENT` spans inside, see
/// [`SpanLayer`](crate::SpanLayer), as the caller sees the call: the URL that was asked for, and the
/// status or the error that the last attempt ended with. It ends with the body of the last response,
/// and it has no `http.request.resend_count`. There are no metrics.
///
/// Give it the [`Convention`](crate::Convention) of the telemetry layer inside, and the same filter and
/// tracer provider. On a server it does nothing.
pub type CallSpanLayer = ObserveLayer<CallSpanObserver>;

/// The observer of a [`CallSpanLayer`].
///
/// Its options are methods of [`ObserveLayer`].
#[derive(Debug, Clone, Default)]
pub struct CallSpanObserver {
    span: SpanObserver,
}

impl Contains<SpanObserver> for CallSpanObserver {
    fn observer_mut(&mut self) -> &mut SpanObserver {
        &mut self.span
    }
}

impl Observer for CallSpanObserver {
    type State = SpanState;

    fn on_request(&self, exchange: &mut Exchange, head: &mut request::Parts) -> Option<SpanState> {
        if exchange.side() == Side::Server {
            return None;
        }
        if exchange.is_recorded() {
            // The call itself is not an attempt of anything around it.
            let uncounted = exchange.with_context(|context| AttemptCount::none().within(context));
            exchange.set_context(uncounted);
            exchange.read_request(head);
        }
        let counted = exchange.with_context(|context| AttemptCount::begin().within(context));
        exchange.set_context(counted);
        if !exchange.is_recorded() || self.span.tracers.skips() || self.span.ignores(exchange) {
            return None;
        }
        let (started, state) = self.span.begin(exchange, head, SpanKind::Internal)?;
        if started.is_noop {
            return None;
        }
        exchange.set_context(started.context);
        Some(state)
    }

    fn on_response(
        &self,
        exchange: &Exchange,
        state: &mut SpanState,
        head: &mut http::response::Parts,
    ) {
        self.span.on_response(exchange, state, head);
    }

    fn on_end(&self, exchange: &Exchange, end: &End<'_>, state: SpanState) {
        self.span.on_end(exchange, end, state);
    }

    fn reads_wall_clock(&self) -> bool {
        self.span.reads_wall_clock()
    }
}
