//! Propagation, spans and metrics in one pass.

use http::{request, response};
use opentelemetry::{
    Key,
    metrics::MeterProvider,
    propagation::TextMapPropagator,
    trace::{Tracer, TracerProvider},
};
use tower_layer::Layer;

use crate::{
    convention::{Convention, Side},
    metrics::{Active, MetricsObserver},
    observe::{Exchange, Observe, ObserveLayer, Observer},
    propagation::PropagationObserver,
    span::{SpanObserver, Started},
};

/// Propagation, spans and metrics in one pass: what most services want.
///
/// It emits the same as [`PropagationLayer`](crate::PropagationLayer),
/// [`SpanLayer`](crate::SpanLayer) and [`MetricsLayer`](crate::MetricsLayer) nested in the right
/// order, with one future, one body and one clock. See there for what that is.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_telemetry::TelemetryLayer;
///
/// let app: Router = Router::new()
///     .route("/users/{id}", get(|| async { "hello" }))
///     .layer(TelemetryLayer::server());
/// ```
#[derive(Debug, Clone)]
pub struct TelemetryLayer {
    layer: ObserveLayer<TelemetryObserver>,
}

impl TelemetryLayer {
    /// A layer for a service that answers requests.
    pub fn server() -> Self {
        Self::new(Convention::server())
    }

    /// A layer for a service that sends requests.
    pub fn client() -> Self {
        Self::new(Convention::client())
    }

    /// A layer of a configured convention.
    pub fn new(convention: Convention) -> Self {
        Self { layer: ObserveLayer::new(convention, TelemetryObserver::default()) }
    }

    /// As [`SpanLayer::with_tracer_provider`](crate::SpanLayer::with_tracer_provider).
    #[must_use]
    pub fn with_tracer_provider<P>(self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
    {
        Self {
            layer: self.layer.map(|observer| TelemetryObserver {
                span: observer.span.with_tracer_provider(provider),
                ..observer
            }),
        }
    }

    /// As [`SpanLayer::with_parent_decision`](crate::SpanLayer::with_parent_decision).
    #[must_use]
    pub fn with_parent_decision(self) -> Self {
        Self {
            layer: self.layer.map(|observer| TelemetryObserver {
                span: observer.span.with_parent_decision(),
                ..observer
            }),
        }
    }

    /// As [`MetricsLayer::with_meter_provider`](crate::MetricsLayer::with_meter_provider).
    #[must_use]
    pub fn with_meter_provider<P>(self, provider: &P) -> Self
    where
        P: MeterProvider + ?Sized,
    {
        self.map_metrics(|metrics| metrics.with_meter_provider(provider))
    }

    /// As [`PropagationLayer::with_propagator`](crate::PropagationLayer::with_propagator).
    #[must_use]
    pub fn with_propagator<P>(self, propagator: P) -> Self
    where
        P: TextMapPropagator + Send + Sync + 'static,
    {
        self.map_propagation(|propagation| propagation.with_propagator(propagator))
    }

    /// As [`PropagationLayer::with_destinations`](crate::PropagationLayer::with_destinations).
    #[must_use]
    pub fn with_destinations<F>(self, sends: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.map_propagation(|propagation| propagation.with_destinations(sends))
    }

    /// As
    /// [`PropagationLayer::with_baggage_destinations`](crate::PropagationLayer::with_baggage_destinations).
    #[must_use]
    pub fn with_baggage_destinations<F>(self, sends: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.map_propagation(|propagation| propagation.with_baggage_destinations(sends))
    }

    /// As [`MetricsLayer::with_body_sizes`](crate::MetricsLayer::with_body_sizes).
    #[must_use]
    pub fn with_body_sizes(self) -> Self {
        self.map_metrics(|metrics| metrics.with_body_sizes())
    }

    /// As [`MetricsLayer::without_attributes`](crate::MetricsLayer::without_attributes).
    #[must_use]
    pub fn without_attributes<K: Into<Key>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(Into::into).collect();
        self.map_metrics(|metrics| metrics.without_attributes(keys))
    }

    /// As [`MetricsLayer::with_bound_instruments`](crate::MetricsLayer::with_bound_instruments).
    #[cfg(feature = "bound-instruments")]
    #[must_use]
    pub fn with_bound_instruments(self) -> Self {
        self.map_metrics(MetricsObserver::with_bound_instruments)
    }

    /// As [`MetricsLayer::with_duration_boundaries`](crate::MetricsLayer::with_duration_boundaries).
    #[must_use]
    pub fn with_duration_boundaries(self, seconds: impl Into<Vec<f64>>) -> Self {
        self.map_metrics(|metrics| metrics.with_duration_boundaries(seconds.into()))
    }

    /// As [`MetricsLayer::with_body_size_boundaries`](crate::MetricsLayer::with_body_size_boundaries).
    #[must_use]
    pub fn with_body_size_boundaries(self, bytes: impl Into<Vec<f64>>) -> Self {
        self.map_metrics(|metrics| metrics.with_body_size_boundaries(bytes.into()))
    }

    fn map_propagation(
        self,
        change: impl FnOnce(PropagationObserver) -> PropagationObserver,
    ) -> Self {
        Self {
            layer: self.layer.map(|observer| TelemetryObserver {
                propagation: change(observer.propagation),
                ..observer
            }),
        }
    }

    fn map_metrics(self, change: impl FnOnce(MetricsObserver) -> MetricsObserver) -> Self {
        Self {
            layer: self.layer.map(|observer| TelemetryObserver {
                metrics: change(observer.metrics),
                ..observer
            }),
        }
    }
}

impl<S> Layer<S> for TelemetryLayer {
    type Service = Observe<S, TelemetryObserver>;

    fn layer(&self, inner: S) -> Self::Service {
        self.layer.layer(inner)
    }
}

/// The observer of a [`TelemetryLayer`]: the three others, called in turn.
#[derive(Debug, Clone, Default)]
pub struct TelemetryObserver {
    propagation: PropagationObserver,
    span: SpanObserver,
    metrics: MetricsObserver,
}

impl Observer for TelemetryObserver {
    type State = (Option<Started>, Option<Active>);

    fn on_request(
        &self,
        exchange: &mut Exchange,
        head: &mut request::Parts,
    ) -> Option<Self::State> {
        // Extraction finds the span its parent; injection needs the span.
        let side = exchange.convention().side();
        if side == Side::Server {
            self.propagation.on_request(exchange, head);
        }
        let span = self.span.on_request(exchange, head);
        if side == Side::Client {
            self.propagation.on_request(exchange, head);
        }
        // Last, for no hook of the user's runs behind it: what is counted is sure to be ended.
        let metrics = self.metrics.on_request(exchange, head);
        (span.is_some() || metrics.is_some()).then_some((span, metrics))
    }

    fn on_response(
        &self,
        exchange: &Exchange,
        state: &mut Self::State,
        head: &mut response::Parts,
    ) {
        let (span, metrics) = state;
        if let Some(active) = metrics {
            self.metrics.on_response(exchange, active, head);
        }
        if let Some(started) = span {
            self.span.on_response(exchange, started, head);
        }
    }

    fn on_end(&self, exchange: &Exchange, (span, metrics): Self::State) {
        // While the span is still open: an exemplar then points at it.
        if let Some(active) = metrics {
            self.metrics.on_end(exchange, active);
        }
        if let Some(started) = span {
            self.span.on_end(exchange, started);
        }
    }

    fn asks_for_time(&self) -> bool {
        self.span.asks_for_time()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::ResponseBody;

    /// It is moved several times for each request, with all that is known of it: what few exchanges
    /// have is behind a pointer.
    #[test]
    fn what_travels_is_small() {
        assert!(size_of::<ResponseBody<Box<dyn Send>, TelemetryObserver>>() <= 256);
    }
}
