//! The layer of context propagation, and the options of its observer.

use http::request;
use opentelemetry::propagation::TextMapPropagator;

use super::PropagationObserver;
use crate::observe::{Contains, ObserveLayer};

/// A layer that propagates context through the headers of requests.
///
/// On a server it extracts the caller's context and makes it current. Put it outside of all that needs
/// that context. On a client it injects the current context into the request. Put it inside of all
/// that creates a span for the call.
///
/// It works without spans or metrics, too: it then forwards the caller's context.
///
/// The propagator is that of [`with_propagator`](ObserveLayer::with_propagator). Without it, it is the
/// global propagator if one is installed by the first request, else [`W3c`](super::W3c).
///
/// # Example
///
/// ```
/// use tower_telemetry::PropagationLayer;
///
/// // W3C trace context and baggage, unless a global propagator is installed:
/// let layer = PropagationLayer::server();
///
/// // Sends trace context to internal services only, and never sends baggage:
/// let layer = PropagationLayer::client()
///     .with_destinations(|request| {
///         request.uri.host().is_some_and(|host| host.ends_with(".internal"))
///     })
///     .with_baggage_destinations(|_| false);
/// ```
///
/// # What is emitted
///
/// No telemetry. On a client: the headers that the propagator names as its fields. The layer owns
/// these headers and W3C's: it replaces those of a request that was copied from an inbound one, or
/// removes them if there is nothing to send.
pub type PropagationLayer = ObserveLayer<PropagationObserver>;

impl<O: Contains<PropagationObserver> + Clone> ObserveLayer<O> {
    /// Uses this propagator instead of the global one.
    #[must_use]
    pub fn with_propagator<P>(self, propagator: P) -> Self
    where
        P: TextMapPropagator + Send + Sync + 'static,
    {
        self.map_observer(|observer| observer.observer_mut().set_propagator(propagator))
    }

    /// Sends context only with the client requests that `sends` accepts, so that it does not reach
    /// third parties. The others are sent without the propagator's headers.
    ///
    /// # Redirects
    ///
    /// `sends` is asked once per exchange. A client that follows redirects *inside* of this layer, as
    /// reqwest does by default, sends the same headers to the host that a redirect names: this layer
    /// can neither see nor stop that. The reqwest integrations log a warning, once in a process, when
    /// a redirect has led to a destination that `sends` does not accept. There are two ways to check
    /// each hop:
    ///
    /// - Switch the client's redirects off, and put a redirect layer outside of this one. Each hop is
    ///   then an exchange of its own, with a span of its own.
    /// - Give reqwest [`redirects_to`](crate::integrations::redirects_to) with the same rule. reqwest
    ///   then returns the redirect to other destinations instead of following it.
    ///
    /// The first way with tower-http:
    ///
    /// ```
    /// # #[cfg(feature = "reqwest")] {
    /// use tower::ServiceBuilder;
    /// use tower_http::follow_redirect::FollowRedirectLayer;
    /// use tower_telemetry::{TelemetryLayer, integrations::ReqwestClient};
    /// # let _ = rustls::crypto::ring::default_provider().install_default();
    ///
    /// let inner = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    /// let telemetry = TelemetryLayer::client().with_destinations(|request| {
    ///     request.uri.host().is_some_and(|host| host.ends_with(".internal"))
    /// });
    /// let layers = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(telemetry);
    /// let client = ReqwestClient::with_layer(inner, layers);
    /// # }
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_destinations<F>(self, sends: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.map_observer(|observer| observer.observer_mut().set_destinations(sends))
    }

    /// Sends baggage only with the client requests that `sends` accepts, among those that
    /// [`with_destinations`](Self::with_destinations) accepts. What is said there of redirects holds
    /// here, too.
    #[must_use]
    pub fn with_baggage_destinations<F>(self, sends: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.map_observer(|observer| observer.observer_mut().set_baggage_destinations(sends))
    }
}
