//! The backend: products and orders in a database, behind gRPC.

mod inventory_service;
mod restock;
mod store;

use std::{io, net::SocketAddr};

use axum::Router;
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tonic::transport::{Server, server::TcpIncoming};
use tower_telemetry::{
    ErrorKinds, TelemetryLayer, resources::ServerConnectionsLayer, setup::GracefulShutdown,
};

use self::{inventory_service::InventoryService, store::Store};
use crate::{
    Error, faults::Faults, http_server, inventory::inventory_server::InventoryServer, telemetry,
};

#[derive(clap::Args)]
pub(crate) struct Settings {
    /// The address of the gRPC server.
    #[arg(long, env, default_value = "127.0.0.1:8001")]
    listen: SocketAddr,
    /// The address of the HTTP server for probes, metrics and faults.
    #[arg(long, env, default_value = "127.0.0.1:8101")]
    ops_listen: SocketAddr,
    /// The database: `sqlite://…` or `postgres://…`. By default SQLite in memory.
    #[arg(long, env, default_value = "sqlite:file:shop?mode=memory", hide_env_values = true)]
    database_url: String,
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let shutdown = GracefulShutdown::new(telemetry::start("shop-backend")?);
    let store = Store::connect(&settings.database_url).await?;
    let faults = Faults::default();
    let ops = Router::new().route("/fault", faults.route());
    let ops = http_server::with_probes(ops, &shutdown);
    let inventory = InventoryServer::new(InventoryService::new(store.clone(), faults));
    let server = Server::builder()
        .layer(TelemetryLayer::server().with_error_kinds([ErrorKinds::TONIC]))
        .add_service(inventory);

    let listener = TcpListener::bind(settings.listen).await?;
    let ops_listener = TcpListener::bind(settings.ops_listen).await?;
    let (address, ops_address) = (listener.local_addr()?, ops_listener.local_addr()?);
    tracing::info!(%address, %ops_address, "listening");
    let connections = ServerConnectionsLayer::new();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let incoming = incoming.map(move |io| io.map(|io| connections.wrap_io(io)));
    // Probes and the job go on until the last call is answered.
    let serve = |stop| async move {
        tokio::select! {
            served = server.serve_with_incoming_shutdown(incoming, stop) => served.map_err(io::Error::other),
            failed = async { axum::serve(ops_listener, ops).await } => failed,
            never = restock::run(&store) => match never {},
        }
    };
    shutdown.serve(|stop| Box::pin(serve(stop))).await?;
    Ok(())
}
