//! `http.route`.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use http::Extensions;
use opentelemetry::StringValue;

/// The route template that a request matched, such as `/users/{id}`: `http.route`.
///
/// The first of these sources that has a route wins:
///
/// 1. [`Convention::with_route`](crate::Convention::with_route), a function of the request.
/// 2. axum's `MatchedPath` (feature `axum`). A layer added with `Router::layer` finds it.
/// 3. For a layer outside the router: a `Route` in the *response's* extensions, or a route passed to
///    [`Route::announce`], which also works if the handler panics or is cancelled.
///    [`RouteLayer`](crate::integrations::RouteLayer) calls it for axum.
///
/// # Cardinality
///
/// The route becomes a part of the span's name and a metric label. Use templates from a closed set,
/// never the path itself.
///
/// # Example
///
/// ```
/// use http::{Request, Response};
/// use tower_telemetry::Route;
///
/// // A handler under a router without an integration:
/// async fn user(request: Request<String>) -> Response<String> {
///     Route::new("/users/{id}").announce(request.extensions());
///     Response::new(String::new())
/// }
///
/// // The same with the response's extensions:
/// async fn item(_: Request<String>) -> Response<String> {
///     let mut response = Response::new(String::new());
///     response.extensions_mut().insert(Route::new("/items/{id}"));
///     response
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Route(Arc<str>);

impl Route {
    /// Creates a route from its template.
    pub fn new(template: impl Into<Arc<str>>) -> Self {
        Self(template.into())
    }

    /// Returns the template.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the template as an attribute value.
    pub(super) fn value(&self) -> StringValue {
        Arc::clone(&self.0).into()
    }

    /// Passes the route of a request to the telemetry layers around it.
    ///
    /// `extensions` are those of the request. The first announced route wins. Without a layer that
    /// still needs a route, this does nothing.
    pub fn announce(self, extensions: &Extensions) {
        if let Some(slot) = extensions.get::<RouteSlot>() {
            // The first route is that of the outermost router, which has the whole template.
            let _ = slot.0.set(self);
        }
    }

    /// Returns the template that axum's router has put into the request.
    #[cfg(feature = "axum")]
    pub(crate) fn matched(extensions: &Extensions) -> Option<&str> {
        extensions.get::<axum::extract::MatchedPath>().map(|matched| matched.as_str())
    }

    #[cfg(not(feature = "axum"))]
    pub(crate) fn matched(_: &Extensions) -> Option<&str> {
        None
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&self.0).finish()
    }
}

/// The slot in which a layer outside the router receives the route.
#[derive(Debug, Clone, Default)]
pub(crate) struct RouteSlot(Arc<OnceLock<Route>>);

impl RouteSlot {
    /// Returns the slot of an exchange, which its layers share. A forwarded request may still hold the
    /// slot of the previous exchange, so the outermost layer replaces it.
    pub(crate) fn of(extensions: &mut Extensions, is_nested: bool) -> Self {
        if !is_nested {
            extensions.insert(Self::default());
        }
        extensions.get_or_insert_with(Self::default).clone()
    }

    pub(crate) fn get(&self) -> Option<&Route> {
        self.0.get()
    }
}
