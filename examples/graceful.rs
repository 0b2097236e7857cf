//! A server that shuts down gracefully: it finishes the active requests, and exports the telemetry
//! of all requests.
//!
//! ```text
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 cargo run --all-features --example graceful
//! curl http://127.0.0.1:8000/slow &
//! kill -TERM $(pgrep graceful)
//! ```
//!
//! `RUNTIME=current-thread` runs it on one thread, without a difference for the telemetry.
//!
//! A Collector that is down does not make it fail: what was not delivered is printed at the end.

use std::{env, error::Error, time::Duration};

use axum::{Router, routing::get};
use tokio::{net::TcpListener, runtime::Builder};
use tower_telemetry::{Telemetry, TelemetryLayer, logs::LogFormat, setup::GracefulShutdown};

fn main() -> Result<(), Box<dyn Error>> {
    let mut runtime = match env::var("RUNTIME").as_deref() {
        Ok("current-thread") => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let telemetry = Telemetry::builder()
        .with_service_name("graceful")
        .with_log_lines(LogFormat::Json)
        .build()?;
    // Both together must be shorter than the orchestrator's grace period.
    let shutdown = GracefulShutdown::new(telemetry)
        .with_drain(Duration::from_secs(10))
        .with_flush(Duration::from_secs(5));

    let app = Router::new()
        .route("/fast", get(fast))
        .route("/slow", get(slow))
        .layer(TelemetryLayer::server())
        .route_service("/readyz", shutdown.readiness());

    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("Listening on http://{}", listener.local_addr()?);
    shutdown.serve(|stop| axum::serve(listener, app).with_graceful_shutdown(stop)).await?;
    Ok(())
}

/// Logs with `log`, as many libraries do.
async fn fast() -> &'static str {
    log::info!("fast");
    "fast\n"
}

/// Logs with `tracing`.
async fn slow() -> &'static str {
    tracing::info!(seconds = 2, "slow begins");
    tokio::time::sleep(Duration::from_secs(2)).await;
    tracing::info!("slow ends");
    "slow\n"
}
