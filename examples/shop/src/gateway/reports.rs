//! `GET /reports/{day}`: work in a pool of two workers.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use tower::{
    ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, service_fn, util::BoxCloneSyncService,
};
use tower_telemetry::resources::SaturationLayer;

use super::queue_limit::{QueueLimit, WaitedTooLong};

type Workers = BoxCloneSyncService<u32, String, WaitedTooLong>;

pub(super) fn routes() -> Router {
    let workers = ServiceBuilder::new()
        .layer(SaturationLayer::new("reports"))
        .layer(QueueLimit::layer(Duration::from_secs(1)))
        .layer(ConcurrencyLimitLayer::new(2))
        .service(service_fn(write_report));
    let workers = Workers::new(workers);
    Router::new().route("/reports/{day}", get(report)).with_state(workers)
}

async fn report(
    State(workers): State<Workers>,
    Path(day): Path<u32>,
) -> Result<String, (StatusCode, String)> {
    let report = workers.oneshot(day).await;
    report.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")))
}

async fn write_report(day: u32) -> Result<String, WaitedTooLong> {
    tokio::time::sleep(Duration::from_millis(20)).await; // the work
    tracing::info!(day, "report written");
    Ok(format!("the report of day {day}\n"))
}
