//! axum: the route, for layers outside the router.

use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::convention::Route;

/// A layer that passes the matched route to telemetry layers *outside* the router (feature `axum`).
///
/// A telemetry layer added with `Router::layer` finds the route without it. One that must stand
/// outside the router, around load shedding, CORS or a timeout, is called before the router has matched
/// a route. Add this layer with `Router::route_layer`: the outer layer then knows the route when the
/// exchange ends, so metrics and span have `http.route`, and the span has its name. Samplers don't see
/// it.
///
/// Add another one to a router that is mounted with `nest_service`, because axum knows the whole
/// template only there.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use tower::ServiceBuilder;
/// use tower_telemetry::{TelemetryLayer, integrations::RouteLayer};
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
    /// Creates the layer.
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
