//! Propagation, spans and metrics in one pass.

use http::{request, response};

use crate::{
    convention::Side,
    end::End,
    metrics::{MetricsObserver, MetricsState},
    observe::{Contains, Exchange, Observe, ObserveLayer, Observer},
    propagation::PropagationObserver,
    span::{SpanObserver, SpanState},
};

/// A layer for propagation, spans and metrics in one pass. Most services want this one.
///
/// It emits the same as [`PropagationLayer`](crate::PropagationLayer),
/// [`SpanLayer`](crate::SpanLayer) and [`MetricsLayer`](crate::MetricsLayer) nested in the right order,
/// with one future, one body and one clock. See there for what is emitted.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_telemetry::{TelemetryLayer, filter};
///
/// let app: Router = Router::new()
///     .route("/users/{id}", get(|| async { "hello" }))
///     .layer(TelemetryLayer::server().with_filter(filter::except_paths(["/healthz"])));
/// ```
///
/// # Other layers around a client's layer
///
/// | layer | place | otherwise |
/// |---|---|---|
/// | a timeout | inside | the layer sees only that it is dropped, which is not an error on a client |
/// | retries, redirects | outside, with an [`AttemptsLayer`](crate::AttemptsLayer) or a [`CallSpanLayer`](crate::CallSpanLayer) around them | one span stands for all attempts |
/// | a `Buffer` | inside, or outside with a [`CallerContextLayer`](crate::CallerContextLayer) between | each span is a trace of its own |
///
/// A timeout inside of the layer has the `error.type` `timeout`, if the layer knows the
/// [`ErrorKinds`](crate::ErrorKinds) of its crate. The timeouts of reqwest and of tonic's `Endpoint`
/// are always inside:
///
/// ```
/// # #[cfg(feature = "tower")] {
/// use std::time::Duration;
/// use tower::{ServiceBuilder, timeout::TimeoutLayer};
/// use tower_telemetry::{ErrorKinds, TelemetryLayer};
///
/// let layers = ServiceBuilder::new()
///     .layer(TelemetryLayer::client().with_error_kinds([ErrorKinds::TOWER]))
///     .layer(TimeoutLayer::new(Duration::from_secs(2)));
/// # }
/// ```
pub type TelemetryLayer = ObserveLayer<TelemetryObserver>;

/// The service of a [`TelemetryLayer`], for the fields of your structs.
///
/// # Example
///
/// ```
/// use tower_telemetry::TelemetryService;
///
/// struct Shop<C> {
///     client: TelemetryService<C>,
/// }
/// ```
pub type TelemetryService<S> = Observe<S, TelemetryObserver>;

/// The observer of a [`TelemetryLayer`]: the observers of the three signals.
///
/// Its options are methods of [`ObserveLayer`].
#[derive(Debug, Clone, Default)]
pub struct TelemetryObserver {
    propagation: PropagationObserver,
    signals: (SpanObserver, MetricsObserver),
}

impl Contains<PropagationObserver> for TelemetryObserver {
    fn observer_mut(&mut self) -> &mut PropagationObserver {
        &mut self.propagation
    }
}

impl Contains<SpanObserver> for TelemetryObserver {
    fn observer_mut(&mut self) -> &mut SpanObserver {
        &mut self.signals.0
    }
}

impl Contains<MetricsObserver> for TelemetryObserver {
    fn observer_mut(&mut self) -> &mut MetricsObserver {
        &mut self.signals.1
    }
}

impl Observer for TelemetryObserver {
    type State = (Option<SpanState>, Option<MetricsState>);

    fn on_request(
        &self,
        exchange: &mut Exchange,
        head: &mut request::Parts,
    ) -> Option<Self::State> {
        let (span, metrics) = &self.signals;
        // Extraction finds the parent of the span. Injection needs the span.
        let side = exchange.side();
        if side == Side::Server {
            self.propagation.on_request(exchange, head);
        }
        let span = span.on_request(exchange, head);
        if side == Side::Client {
            self.propagation.on_request(exchange, head);
        }
        // Last, because no hook of the user runs after it: an exchange that is counted also ends.
        let metrics = metrics.on_request(exchange, head);
        (span.is_some() || metrics.is_some()).then_some((span, metrics))
    }

    fn on_response(
        &self,
        exchange: &Exchange,
        state: &mut Self::State,
        head: &mut response::Parts,
    ) {
        self.signals.on_response(exchange, state, head);
    }

    fn on_end(&self, exchange: &Exchange, end: &End<'_>, state: Self::State) {
        // The metrics first, while the span is open: an exemplar can then point to it.
        self.signals.on_end(exchange, end, state);
    }

    fn reads_wall_clock(&self) -> bool {
        self.signals.reads_wall_clock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::ResponseBody;

    /// The body is moved several times per request, so rare facts are behind a pointer.
    #[test]
    fn the_response_body_stays_small() {
        assert!(size_of::<ResponseBody<Box<dyn Send>, TelemetryObserver>>() <= 264);
    }
}
