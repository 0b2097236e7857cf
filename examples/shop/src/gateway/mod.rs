//! The gateway: the shop as its customers see it.

mod orders;
mod products;
mod queue_limit;
mod reports;
mod supplier_client;

use std::{net::SocketAddr, time::Duration};

use axum::{Router, http::Uri};
use tonic::transport::{Channel, Endpoint};
use tower::Layer;
use tower_telemetry::{
    Convention, ErrorKinds, TelemetryLayer, TelemetryService, setup::GracefulShutdown,
};

use self::supplier_client::SupplierClient;
use crate::{Error, http_server, inventory::inventory_client::InventoryClient, telemetry};

#[derive(clap::Args)]
pub(crate) struct Settings {
    /// The address of the HTTP server.
    #[arg(long, env, default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    #[arg(long, env, default_value = "http://127.0.0.1:8001")]
    backend_url: Uri,
    #[arg(long, env, default_value = "http://127.0.0.1:8002")]
    supplier_url: Uri,
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let shutdown = GracefulShutdown::new(telemetry::start("shop-gateway")?);
    let backend = backend(settings.backend_url);
    let supplier = SupplierClient::new(settings.supplier_url)?;
    let routes = Router::new()
        .merge(products::routes(backend.clone()))
        .merge(orders::routes(backend, supplier))
        .merge(reports::routes());
    let app = http_server::with_probes(http_server::observed(routes), &shutdown);
    http_server::serve(settings.listen, app, shutdown).await
}

type Backend = InventoryClient<TelemetryService<Channel>>;

/// Connects at the first call, and again after a failure.
fn backend(url: Uri) -> Backend {
    let channel = Endpoint::from(url.clone()).timeout(Duration::from_secs(3)).connect_lazy();
    // The requests of a channel have no host, so the layer needs the origin.
    let telemetry = TelemetryLayer::new(Convention::client().with_origin(url));
    InventoryClient::new(telemetry.with_error_kinds([ErrorKinds::TONIC]).layer(channel))
}
