//! The parts that all HTTP servers of the shop share.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use tokio::net::TcpListener;
use tower::Layer;
use tower_telemetry::{
    Convention, TelemetryLayer, resources::ServerConnectionsLayer, setup::GracefulShutdown,
};

use crate::Error;

/// Observes these routes, with a log line for each request.
pub(crate) fn observed(routes: Router) -> Router {
    let telemetry = TelemetryLayer::new(Convention::server().with_handler_labels());
    routes.layer(middleware::from_fn(log)).layer(telemetry)
}

/// Adds the routes of an orchestrator and of Prometheus, which are not observed.
///
/// `Router::merge` would replace the fallback, and unknown paths would not be observed any more.
pub(crate) fn with_probes(app: Router, shutdown: &GracefulShutdown) -> Router {
    app.route("/healthz", get(|| async { "ok\n" }))
        .route_service("/readyz", shutdown.readiness())
        .route_service("/metrics", shutdown.telemetry().prometheus())
}

/// Serves until the process is told to stop.
pub(crate) async fn serve(
    address: SocketAddr,
    app: Router,
    shutdown: GracefulShutdown,
) -> Result<(), Error> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let app = ServerConnectionsLayer::new().layer(app);
    shutdown.serve(|stop| axum::serve(listener, app).with_graceful_shutdown(stop)).await?;
    Ok(())
}

/// The line has the ids of the request's span, because that span is current here.
async fn log(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let (route, status) = (route.as_ref().map(MatchedPath::as_str), response.status().as_u16());
    tracing::info!(%method, path, route, status, "answered");
    response
}
