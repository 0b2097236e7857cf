//! `http.route`: the template that a request matched.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use http::Extensions;

/// The route template that a request matched, such as `/users/{id}`: `http.route`.
///
/// It becomes part of the span's name and a label of the metrics, so it must be a template from a
/// closed set, never the path itself.
///
/// Three ways lead to it; the first that answers wins:
///
/// 1. [`Convention::with_route`](crate::Convention::with_route): a function of the request.
/// 2. The feature `axum`: `MatchedPath`, which is there when the layer stands inside
///    `Router::layer`.
/// 3. Later, for a layer outside the router: a `Route` in the *response's* extensions, or one told
///    with [`Route::announce`], which also survives a handler that panics or is cancelled.
///    [`RouteLayer`](crate::axum::RouteLayer) does this for axum.
///
/// # Example
///
/// ```
/// use http::{Request, Response};
/// use tower_telemetry::Route;
///
/// // A handler under a router that this crate knows nothing of:
/// async fn user(request: Request<String>) -> Response<String> {
///     Route::new("/users/{id}").announce(request.extensions());
///     Response::new(String::new())
/// }
///
/// // The same through the response:
/// async fn item(_: Request<String>) -> Response<String> {
///     let mut response = Response::new(String::new());
///     response.extensions_mut().insert(Route::new("/items/{id}"));
///     response
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Route(Arc<str>);

impl Route {
    /// Makes a route of its template.
    pub fn new(template: impl Into<Arc<str>>) -> Self {
        Self(template.into())
    }

    /// The template.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells the telemetry layers around this request its route.
    ///
    /// `extensions` are those of the request. The first route told wins; without a layer around
    /// that still looks for one, nothing happens.
    pub fn announce(self, extensions: &Extensions) {
        if let Some(slot) = extensions.get::<RouteSlot>() {
            // Already told: the first is the outermost router, whose template is the whole one.
            let _ = slot.0.set(self);
        }
    }

    /// The template that the router has already put into the request.
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

/// The template of a URL that a client asks for, such as `/users/{id}`: `url.template`.
///
/// Put it into the request's extensions. It becomes part of the span's name, and an attribute of
/// span and metrics. It is never guessed from the path.
///
/// # Example
///
/// ```
/// use http::Request;
/// use tower_telemetry::UrlTemplate;
///
/// let request = Request::get("https://api.example.com/users/7")
///     .extension(UrlTemplate::new("/users/{id}"))
///     .body(String::new());
/// ```
///
/// # Cardinality
///
/// It is a metric label: use templates from a closed set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate(Arc<str>);

impl UrlTemplate {
    /// Makes a template.
    pub fn new(template: impl Into<Arc<str>>) -> Self {
        Self(template.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a layer outside the router waits to be told the route.
#[derive(Debug, Clone, Default)]
pub(crate) struct RouteSlot(Arc<OnceLock<Route>>);

impl RouteSlot {
    /// The slot of an exchange, shared by all its layers that wait; a request that is passed on
    /// may still hold the slot of the exchange before.
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
