//! The one layer type of this crate.

use std::sync::Arc;

use http::request;
use tower_layer::Layer;

use super::{MapBodyLayer, Observe, Observer, service::Shared};
use crate::convention::{Convention, ConventionSide, ErrorKinds, options::Options, rules::Rules};

/// Puts an [`Observer`] around a service.
///
/// All layers of this crate are of this type; [`TelemetryLayer`](crate::TelemetryLayer) and the others
/// are aliases. Each has the options of the observers that it contains.
///
/// A layer is cheap to clone, and clones share their caches.
#[derive(Debug)]
pub struct ObserveLayer<O> {
    shared: Arc<Shared<O>>,
}

impl<O: Observer + Default> ObserveLayer<O> {
    /// Creates a layer for a service that answers requests.
    pub fn server() -> Self {
        Self::new(Convention::server())
    }

    /// Creates a layer for a service that sends requests.
    pub fn client() -> Self {
        Self::new(Convention::client())
    }

    /// Creates a layer with the options of a convention.
    pub fn new<S: ConventionSide>(convention: Convention<S>) -> Self {
        Self::from_observer(convention, O::default())
    }
}

impl<O> ObserveLayer<O> {
    /// Creates a layer from an observer and the convention that its exchanges follow.
    pub fn from_observer<S: ConventionSide>(convention: Convention<S>, observer: O) -> Self {
        let rules = Arc::new(Rules::new(convention.into_options()));
        Self { shared: Arc::new(Shared { rules, observer }) }
    }

    /// Adds an observer inside of the others: it sees the request last, and the end first.
    ///
    /// See [`observe`](crate::observe) for an example.
    #[must_use]
    pub fn with_observer<P: Observer>(self, observer: P) -> ObserveLayer<(O, P)>
    where
        O: Clone,
    {
        let Shared { rules, observer: outer } = Arc::unwrap_or_clone(self.shared);
        ObserveLayer { shared: Arc::new(Shared { rules, observer: (outer, observer) }) }
    }

    /// Records only the exchanges that `records` accepts: see
    /// [`Convention::with_filter`](crate::Convention::with_filter).
    #[must_use]
    pub fn with_filter<F>(self, records: F) -> Self
    where
        O: Clone,
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.map_options(|options| options.set_filter(records))
    }

    /// Recognises the errors of these crates in `error.type`: see
    /// [`Convention::with_error_kinds`](crate::Convention::with_error_kinds).
    #[must_use]
    pub fn with_error_kinds(self, kinds: impl IntoIterator<Item = ErrorKinds>) -> Self
    where
        O: Clone,
    {
        self.map_options(|options| options.add_error_kinds(kinds))
    }

    /// Converts the response body with `convert`, such as `axum::body::Body::new`.
    ///
    /// The layer changes the type of the response body, and some places take only one: a service for
    /// `axum::serve`, both sides of `tower::util::option_layer`, a `BoxCloneService`, or a field of a
    /// struct. `convert` boxes the body, or does whatever else gives it the type that is wanted.
    ///
    /// # Examples
    ///
    /// A layer outside of axum's router, where it also sees requests that middleware answers. Two
    /// lines are needed for it to know the route: see
    /// [`RouteLayer`](crate::integrations::RouteLayer).
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::{Router, ServiceExt, body::Body, extract::Request, routing::get};
    /// use tower::Layer;
    /// use tower_telemetry::{TelemetryLayer, integrations::RouteLayer};
    ///
    /// # async fn serve() -> std::io::Result<()> {
    /// let router: Router = Router::new()
    ///     .route("/users/{id}", get(|| async { "hello" }))
    ///     .route_layer(RouteLayer::new());
    /// let service = TelemetryLayer::server().map_body(Body::new).layer(router);
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    /// axum::serve(listener, ServiceExt::<Request>::into_make_service(service)).await
    /// # }
    /// # }
    /// ```
    ///
    /// A layer that is switched on and off:
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::{Router, body::Body};
    /// use tower::util::option_layer;
    /// use tower_telemetry::TelemetryLayer;
    ///
    /// # let is_on = true;
    /// let layer = is_on.then(|| TelemetryLayer::server().map_body(Body::new));
    /// let router: Router = Router::new().layer(option_layer(layer));
    /// # }
    /// ```
    #[must_use]
    pub fn map_body<F>(self, convert: F) -> MapBodyLayer<Self, F> {
        MapBodyLayer::new(self, convert)
    }

    /// Returns the layer with a changed observer.
    pub(crate) fn map_observer(self, change: impl FnOnce(&mut O)) -> Self
    where
        O: Clone,
    {
        let mut shared = Arc::unwrap_or_clone(self.shared);
        change(&mut shared.observer);
        Self { shared: Arc::new(shared) }
    }

    fn map_options(self, change: impl FnOnce(&mut Options)) -> Self
    where
        O: Clone,
    {
        let Shared { rules, observer } = Arc::unwrap_or_clone(self.shared);
        let mut options = rules.options.clone();
        change(&mut options);
        Self { shared: Arc::new(Shared { rules: Arc::new(Rules::new(options)), observer }) }
    }
}

impl<O> Clone for ObserveLayer<O> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S, O> Layer<S> for ObserveLayer<O> {
    type Service = Observe<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe::new(inner, Arc::clone(&self.shared))
    }
}
