//! The supplier: reserves goods.

use std::{net::SocketAddr, time::Duration};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde::{Deserialize, Serialize};
use tower_telemetry::setup::GracefulShutdown;

use crate::{Error, faults::Faults, http_server, telemetry};

#[derive(clap::Args)]
pub(crate) struct Settings {
    /// The address of the HTTP server.
    #[arg(long, env, default_value = "127.0.0.1:8002")]
    listen: SocketAddr,
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let shutdown = GracefulShutdown::new(telemetry::start("shop-supplier")?);
    let faults = Faults::default().with_dead();
    let routes = Router::new().route("/reservations", post(reserve)).with_state(faults.clone());
    let app = http_server::observed(routes).route("/fault", faults.route());
    let app = http_server::with_probes(app, &shutdown);
    http_server::serve(settings.listen, app, shutdown).await
}

/// A request to reserve goods. The caller chooses the number, so that a retry reserves them once.
#[derive(Serialize, Deserialize)]
pub(crate) struct Reservation {
    pub(crate) number: i64,
    pub(crate) product: i64,
    pub(crate) quantity: i64,
}

async fn reserve(
    State(faults): State<Faults>,
    Json(reservation): Json<Reservation>,
) -> (StatusCode, &'static str) {
    if let Err(error) = faults.strike().await {
        tracing::warn!(%error, reservation.number, "not reserved");
        return (StatusCode::SERVICE_UNAVAILABLE, "not reserved\n");
    }
    tokio::time::sleep(Duration::from_millis(3)).await; // the work
    tracing::info!(reservation.number, reservation.product, reservation.quantity, "reserved");
    (StatusCode::CREATED, "reserved\n")
}
