//! Context propagation: the caller's context in, the current context out.

use std::{fmt, sync::Arc};

use http::{request, response};
use opentelemetry::{
    Context,
    baggage::BaggageExt,
    global,
    propagation::{Extractor, Injector, TextMapPropagator},
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use tower_layer::Layer;

use crate::{
    convention::{Convention, Side},
    observe::{Exchange, Observe, Observer, Signal},
};

/// Propagates context through the headers of requests.
///
/// On a server it extracts the caller's context and makes it current: put it outside of whatever
/// shall see that context. On a client it injects the current context into the request: put it
/// inside of whatever makes a span for the call.
///
/// Works alone, too, without spans or metrics: the caller's context then is passed on as it came.
///
/// # Example
///
/// ```
/// use opentelemetry_sdk::propagation::TraceContextPropagator;
/// use tower_telemetry::PropagationLayer;
///
/// let layer = PropagationLayer::server().with_propagator(TraceContextPropagator::new());
/// ```
///
/// # What is emitted
///
/// No telemetry. On a client: the headers of the propagator.
#[derive(Debug, Clone)]
pub struct PropagationLayer {
    convention: Convention,
    observer: PropagationObserver,
}

impl PropagationLayer {
    /// A layer for a service that answers requests: extracts.
    pub fn server() -> Self {
        Self::new(Convention::server())
    }

    /// A layer for a service that sends requests: injects.
    pub fn client() -> Self {
        Self::new(Convention::client())
    }

    /// A layer of a configured convention.
    pub fn new(convention: Convention) -> Self {
        Self { convention, observer: PropagationObserver::default() }
    }

    /// Uses this propagator instead of the global one.
    #[must_use]
    pub fn with_propagator<P>(mut self, propagator: P) -> Self
    where
        P: TextMapPropagator + Send + Sync + 'static,
    {
        self.observer = PropagationObserver::new(propagator);
        self
    }
}

impl<S> Layer<S> for PropagationLayer {
    type Service = Observe<S, PropagationObserver>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe::new(inner, self.convention.clone(), self.observer.clone())
    }
}

/// The observer of a [`PropagationLayer`].
#[derive(Clone, Default)]
pub struct PropagationObserver {
    propagator: Option<Arc<dyn TextMapPropagator + Send + Sync>>,
}

impl PropagationObserver {
    pub(crate) fn new<P>(propagator: P) -> Self
    where
        P: TextMapPropagator + Send + Sync + 'static,
    {
        Self { propagator: Some(Arc::new(propagator)) }
    }

    fn extract(&self, context: &Context, carrier: &dyn Extractor) -> Context {
        match &self.propagator {
            Some(propagator) => propagator.extract_with_context(context, carrier),
            None => global::get_text_map_propagator(|propagator| {
                propagator.extract_with_context(context, carrier)
            }),
        }
    }

    fn inject(&self, context: &Context, carrier: &mut dyn Injector) {
        match &self.propagator {
            Some(propagator) => propagator.inject_context(context, carrier),
            None => global::get_text_map_propagator(|propagator| {
                propagator.inject_context(context, carrier);
            }),
        }
    }
}

impl fmt::Debug for PropagationObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PropagationObserver")
    }
}

impl Observer for PropagationObserver {
    type State = ();

    fn on_request(&self, exchange: &mut Exchange, head: &mut request::Parts) {
        if !exchange.claim(Signal::Propagation) {
            return;
        }
        match exchange.convention().side() {
            Side::Server => {
                let mut context =
                    self.extract(&exchange.context(), &HeaderExtractor(&head.headers));
                if exchange.convention().is_public_endpoint() {
                    context = context.with_cleared_baggage();
                }
                exchange.set_context(context);
            }
            Side::Client => {
                self.inject(&exchange.context(), &mut HeaderInjector(&mut head.headers));
            }
        }
    }

    fn on_response(&self, _: &Exchange, (): &mut (), _: &mut response::Parts) {}

    fn on_end(&self, _: &Exchange, (): ()) {}
}
