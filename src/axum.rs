//! For layers that sit outside an axum router (feature `axum`).

use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::convention::Route;

/// Tells the matched route to telemetry layers *outside* the router.
///
/// A layer added with `Router::layer` finds the route by itself. One that must sit outside, behind
/// load shedding, CORS or a timeout, is called before the router has matched anything; this layer,
/// added with `Router::route_layer`, tells it the route in time for the end of the exchange, so
/// that metrics and span have `http.route`, and the span its name. Samplers don't see it.
///
/// A router mounted with `nest_service` needs one of its own, added to that inner router: axum
/// knows the whole template only there.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use tower::ServiceBuilder;
/// use tower_telemetry::{TelemetryLayer, axum::RouteLayer};
///
/// let router: Router = Router::new()
///     .route("/users/{id}", get(|| async { "hello" }))
///     .route_layer(RouteLayer::new());
/// let service = ServiceBuilder::new()
///     .layer(TelemetryLayer::server())
///     .concurrency_limit(100)
///     .service(router);
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct RouteLayer;

impl RouteLayer {
    /// Makes the layer.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for RouteLayer {
    type Service = AnnounceRoute<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AnnounceRoute { inner }
    }
}

/// The service of a [`RouteLayer`].
#[derive(Debug, Clone)]
pub struct AnnounceRoute<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for AnnounceRoute<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(route) = Route::matched(request.extensions()) {
            Route::new(route).announce(request.extensions());
        }
        self.inner.call(request)
    }
}
