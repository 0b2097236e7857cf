//! A small shop of three processes that shows all that tower-telemetry does:
//!
//! ```text
//! gateway (HTTP) ──► backend (gRPC) ──► SQLite or PostgreSQL
//!               └──► supplier (HTTP)
//! ```
//!
//! The README has the commands, the routes and the faults on demand.

mod backend;
mod faults;
mod gateway;
mod http_server;
mod supplier;
mod telemetry;

use clap::Parser;

/// The gRPC service of the backend and its client, which `build.rs` generates.
mod inventory {
    tonic::include_proto!("shop");
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A small shop of three processes, with telemetry.
#[derive(Parser)]
enum Role {
    /// Answers customers over HTTP.
    Gateway(gateway::Settings),
    /// Keeps products and orders in a database, and serves gRPC.
    Backend(backend::Settings),
    /// Reserves goods over HTTP.
    Supplier(supplier::Settings),
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    match Role::parse() {
        Role::Gateway(settings) => gateway::run(settings).await,
        Role::Backend(settings) => backend::run(settings).await,
        Role::Supplier(settings) => supplier::run(settings).await,
    }
}
