//! Context propagation: the caller's context in, the current context out.

mod baggage;
mod carrier;
mod global_w3c;
#[cfg(feature = "setup")]
mod nothing;
mod trace_context;
mod w3c;

use std::{
    any::TypeId,
    convert::Infallible,
    fmt,
    sync::{Arc, OnceLock},
};

use http::{HeaderMap, request, response};
use opentelemetry::{Context, baggage::BaggageExt, global, propagation::TextMapPropagator};
use tower_layer::Layer;

pub(crate) use self::global_w3c::GlobalW3c;
#[cfg(feature = "setup")]
pub(crate) use self::nothing::Nothing;
pub use self::{
    baggage::Baggage,
    carrier::{HeaderExtractor, HeaderInjector},
    trace_context::TraceContext,
    w3c::W3c,
};
use crate::{
    convention::{Convention, Side},
    observe::{Exchange, Observe, ObserveLayer, Observer, Signal},
};

/// Propagates context through the headers of requests.
///
/// On a server it extracts the caller's context and makes it current: put it outside of whatever
/// shall see that context. On a client it injects the current context into the request: put it
/// inside of whatever makes a span for the call.
///
/// It works alone, too, without spans or metrics: the caller's context then is passed on as it came.
///
/// The propagator is the one given with [`with_propagator`](Self::with_propagator); else the global
/// one, if one is installed by the first request; else [`W3c`].
///
/// # Example
///
/// ```
/// use opentelemetry_sdk::propagation::TraceContextPropagator;
/// use tower_telemetry::PropagationLayer;
///
/// // W3C trace context and baggage, unless a global propagator is installed:
/// let layer = PropagationLayer::server();
///
/// // Trace context leaves for our own services alone, and baggage for none:
/// let layer = PropagationLayer::client()
///     .with_destinations(|request| {
///         request.uri.host().is_some_and(|host| host.ends_with(".internal"))
///     })
///     .with_baggage_destinations(|_| false);
/// ```
///
/// # What is emitted
///
/// No telemetry. On a client: the headers that the propagator names as its fields. They, and the
/// W3C's in any case, are the layer's: whatever a request had in them before, say because it was copied from an inbound one,
/// is replaced, or removed where there is nothing to send.
#[derive(Debug, Clone)]
pub struct PropagationLayer {
    layer: ObserveLayer<PropagationObserver>,
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
        Self { layer: ObserveLayer::new(convention, PropagationObserver::default()) }
    }

    /// Uses this propagator instead of the global one.
    #[must_use]
    pub fn with_propagator<P>(self, propagator: P) -> Self
    where
        P: TextMapPropagator + Send + Sync + 'static,
    {
        Self { layer: self.layer.map(|observer| observer.with_propagator(propagator)) }
    }

    /// Sends context only with the requests of a client that `sends` accepts, so that it doesn't
    /// leave for third parties.
    ///
    /// The others leave without any of the propagator's headers.
    #[must_use]
    pub fn with_destinations<F>(self, sends: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        Self { layer: self.layer.map(|observer| observer.with_destinations(sends)) }
    }

    /// Sends baggage only with the requests of a client that `sends` accepts, and that
    /// [`with_destinations`](Self::with_destinations) lets have context at all.
    #[must_use]
    pub fn with_baggage_destinations<F>(self, sends: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        Self { layer: self.layer.map(|observer| observer.with_baggage_destinations(sends)) }
    }
}

impl<S> Layer<S> for PropagationLayer {
    type Service = Observe<S, PropagationObserver>;

    fn layer(&self, inner: S) -> Self::Service {
        self.layer.layer(inner)
    }
}

/// The observer of a [`PropagationLayer`].
#[derive(Clone, Default)]
pub struct PropagationObserver {
    propagator: Option<Propagator>,
    has_foreign_global: Arc<OnceLock<bool>>,
    destinations: Option<Destinations>,
    baggage_destinations: Option<Destinations>,
}

#[derive(Debug, Clone)]
enum Propagator {
    /// Known by its type, for it reads our carrier without a list of its lines.
    W3c,
    Other(Arc<dyn TextMapPropagator + Send + Sync>),
}

type Destinations = Arc<dyn Fn(&request::Parts) -> bool + Send + Sync>;

impl PropagationObserver {
    pub(crate) fn with_propagator<P>(mut self, propagator: P) -> Self
    where
        P: TextMapPropagator + Send + Sync + 'static,
    {
        self.propagator = Some(match TypeId::of::<P>() == TypeId::of::<W3c>() {
            true => Propagator::W3c,
            false => Propagator::Other(Arc::new(propagator)),
        });
        self
    }

    pub(crate) fn with_destinations<F>(mut self, sends: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.destinations = Some(Arc::new(sends));
        self
    }

    pub(crate) fn with_baggage_destinations<F>(mut self, sends: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.baggage_destinations = Some(Arc::new(sends));
        self
    }

    fn is_w3c(&self) -> bool {
        // The API's own default does nothing, and names no fields. Ours does what is done without
        // it, where no lock of the global one is taken.
        let has_foreign_global = || {
            global::get_text_map_propagator(|global| {
                global.fields().next().is_some_and(|field| !GlobalW3c::is_own(field))
            })
        };
        match &self.propagator {
            Some(propagator) => matches!(propagator, Propagator::W3c),
            None => !self.has_foreign_global.get_or_init(has_foreign_global),
        }
    }

    fn with<T>(&self, mut f: impl FnMut(&dyn TextMapPropagator) -> T) -> T {
        match &self.propagator {
            _ if self.is_w3c() => f(&W3c::new()),
            Some(Propagator::Other(propagator)) => f(&**propagator),
            _ => global::get_text_map_propagator(f),
        }
    }

    fn extract(&self, context: &Context, headers: &HeaderMap) -> Context {
        if self.is_w3c() {
            return W3c::read(context, headers).unwrap_or_else(|| context.clone());
        }
        self.with(|p| p.extract_with_context(context, &HeaderExtractor::new(headers)))
    }

    fn inject(&self, context: &Context, head: &mut request::Parts) {
        let may_send = |rule: &Option<Destinations>| rule.as_ref().is_none_or(|sends| sends(head));
        let sends = may_send(&self.destinations);
        let sends_baggage = may_send(&self.baggage_destinations);
        self.with(|propagator| {
            // A request that was copied from an inbound one may have them, whatever is sent.
            for name in &carrier::W3C {
                head.headers.remove(name);
            }
            // Those of W3c are gone by now.
            let others = propagator.fields().filter(|_| !self.is_w3c());
            for field in others {
                head.headers.remove(field);
            }
            let mut injector = HeaderInjector::new(&mut head.headers);
            if sends && sends_baggage {
                propagator.inject_context(context, &mut injector);
            } else if sends {
                propagator.inject_context(&context.with_cleared_baggage(), &mut injector);
            }
        });
    }
}

impl fmt::Debug for PropagationObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PropagationObserver")
            .field("propagator", &self.propagator)
            .finish_non_exhaustive()
    }
}

impl Observer for PropagationObserver {
    type State = Infallible;

    fn on_request(
        &self,
        exchange: &mut Exchange,
        head: &mut request::Parts,
    ) -> Option<Self::State> {
        if !exchange.claim(Signal::Propagation) {
            return None;
        }
        match exchange.convention().side() {
            // Callers of a public endpoint are linked to, by a span; where there will be none,
            // nothing of them is taken over.
            Side::Server
                if exchange.convention().is_public_endpoint() && !exchange.is_recorded() => {}
            Side::Server => {
                let mut context =
                    exchange.with_context(|context| self.extract(context, &head.headers));
                if exchange.convention().is_public_endpoint() {
                    context = context.with_cleared_baggage();
                }
                exchange.set_context(context);
            }
            Side::Client => self.inject(&exchange.context(), head),
        }
        None
    }

    fn on_response(&self, _: &Exchange, state: &mut Infallible, _: &mut response::Parts) {
        match *state {}
    }

    fn on_end(&self, _: &Exchange, state: Infallible) {
        match state {}
    }
}
