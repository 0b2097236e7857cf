//! The observer that extracts and injects context.

use std::{
    any::TypeId,
    convert::Infallible,
    fmt,
    sync::{Arc, OnceLock},
};

use http::{HeaderMap, request};
use opentelemetry::{Context, baggage::BaggageExt, global, propagation::TextMapPropagator};

use super::{GlobalW3c, HeaderExtractor, HeaderInjector, W3c, carrier};
use crate::{
    convention::Side,
    end::End,
    observe::{Claim, Contains, Exchange, Observer},
};

/// The observer of a [`PropagationLayer`](super::PropagationLayer).
///
/// Its options are methods of [`ObserveLayer`](crate::observe::ObserveLayer).
#[derive(Clone, Default)]
pub struct PropagationObserver {
    propagator: Option<Propagator>,
    has_foreign_global: OnceLock<bool>,
    destinations: Option<Destinations>,
    baggage_destinations: Option<Destinations>,
}

#[derive(Debug, Clone)]
enum Propagator {
    /// Known by its type, because it reads a header map directly.
    W3c,
    Other(Arc<dyn TextMapPropagator + Send + Sync>),
}

type Destinations = Arc<dyn Fn(&request::Parts) -> bool + Send + Sync>;

/// In the extensions of a request that was sent with context: the rules for its destinations, for a
/// client inside that may follow redirects to others.
#[cfg(feature = "reqwest")]
#[derive(Clone)]
pub(crate) struct DestinationLimit([Option<Destinations>; 2]);

#[cfg(feature = "reqwest")]
impl DestinationLimit {
    pub(crate) fn accepts(&self, head: &request::Parts) -> bool {
        self.0.iter().flatten().all(|sends| sends(head))
    }
}

impl PropagationObserver {
    pub(super) fn set_propagator<P>(&mut self, propagator: P)
    where
        P: TextMapPropagator + Send + Sync + 'static,
    {
        self.propagator = Some(match TypeId::of::<P>() == TypeId::of::<W3c>() {
            true => Propagator::W3c,
            false => Propagator::Other(Arc::new(propagator)),
        });
    }

    pub(super) fn set_destinations<F>(&mut self, sends: F)
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.destinations = Some(Arc::new(sends));
    }

    pub(super) fn set_baggage_destinations<F>(&mut self, sends: F)
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.baggage_destinations = Some(Arc::new(sends));
    }

    fn is_w3c(&self) -> bool {
        // The API's default does nothing and has no fields. The set-up's own propagator does the same
        // as `W3c`, which needs no lock.
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
        let accepts = |rule: &Option<Destinations>| rule.as_ref().is_none_or(|sends| sends(head));
        let sends = accepts(&self.destinations);
        let sends_baggage = accepts(&self.baggage_destinations);
        self.with(|propagator| {
            // A request that was copied from an inbound one may have these headers.
            for name in &carrier::W3C {
                head.headers.remove(name);
            }
            if !self.is_w3c() {
                for field in propagator.fields() {
                    head.headers.remove(field);
                }
            }
            let mut injector = HeaderInjector::new(&mut head.headers);
            if sends && sends_baggage {
                propagator.inject_context(context, &mut injector);
            } else if sends {
                propagator.inject_context(&context.with_cleared_baggage(), &mut injector);
            }
        });
        #[cfg(feature = "reqwest")]
        if sends {
            let baggage = self.baggage_destinations.clone().filter(|_| sends_baggage);
            let rules = [self.destinations.clone(), baggage];
            if rules.iter().any(Option::is_some) {
                head.extensions.insert(DestinationLimit(rules));
            }
        }
    }
}

impl fmt::Debug for PropagationObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PropagationObserver")
            .field("propagator", &self.propagator)
            .finish_non_exhaustive()
    }
}

impl Contains<Self> for PropagationObserver {
    fn observer_mut(&mut self) -> &mut Self {
        self
    }
}

impl Observer for PropagationObserver {
    /// The observer is done when the request enters.
    type State = Infallible;

    fn on_request(
        &self,
        exchange: &mut Exchange,
        head: &mut request::Parts,
    ) -> Option<Self::State> {
        if !exchange.claim(Claim::Propagation) {
            return None;
        }
        let is_public = exchange.rules().options.is_public_endpoint();
        match exchange.side() {
            // The span of a public endpoint links to its caller. Without a span, nothing of the caller
            // is taken over.
            Side::Server if is_public && !exchange.is_recorded() => {}
            Side::Server => {
                let mut context =
                    exchange.with_context(|context| self.extract(context, &head.headers));
                if is_public {
                    context = context.with_cleared_baggage();
                }
                exchange.set_context(context);
            }
            Side::Client => self.inject(&exchange.context(), head),
        }
        None
    }

    fn on_end(&self, _: &Exchange, _: &End<'_>, state: Infallible) {
        match state {}
    }
}
