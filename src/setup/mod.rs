//! Sets up the SDK from environment variables and code, and shuts it down without losing telemetry.
//!
//! [`Telemetry::from_env`] reads the specification's environment variables, starts exporters, and
//! installs the providers for the process. [`Telemetry::builder`] adds settings in code. Both
//! return a handle: [`Telemetry::shutdown`], or dropping it, delivers what is queued and reports
//! what was not delivered.
//!
//! ```
//! use std::time::Duration;
//! use tower_telemetry::Telemetry;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let telemetry = Telemetry::builder()
//! #   .with_variables(|name| name.ends_with("EXPORTER").then(|| "none".to_owned()))
//!     .with_service_name("shop")
//!     .build()?;
//! // ... serve ...
//! telemetry.shutdown(Duration::from_secs(5)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! To serve until the process is told to stop, see [`GracefulShutdown`].
//!
//! # Destination
//!
//! Telemetry is sent by OTLP to `http://localhost:4318`, unless the environment or the code names
//! another endpoint: a Collector, or a backend with its key in a header.
//!
//! # Environment variables
//!
//! All variables are listed in
//! [`docs/environment.md`](https://docs.rs/crate/tower-telemetry/latest/source/docs/environment.md).
//! They override settings in code. An invalid value is warned of and ignored, as the specification
//! demands, and so is a variable that has no effect or is likely misspelled;
//! [`with_strict_environment`](TelemetryBuilder::with_strict_environment) makes each of them a
//! [`SetupError`]. An invalid setting in code is always an error.
//!
//! # Threads
//!
//! Exporters connect and send on a thread of their own (`telemetry`), so they work with a
//! multi-thread runtime, a current-thread runtime and none, and a blocked program does not stop
//! them. The SDK adds a thread for each signal, which collects batches.
//!
//! # A receiver that is down or slow
//!
//! Recording never waits. Spans and log records are queued (`OTEL_BSP_MAX_QUEUE_SIZE`,
//! `OTEL_BLRP_MAX_QUEUE_SIZE`: 2048 each), and dropped when the queue is full. A batch is retried
//! for a minute (`OTEL_BSP_EXPORT_TIMEOUT`, `OTEL_BLRP_EXPORT_TIMEOUT`), at least every five
//! seconds, so nothing is lost while a receiver restarts. Metrics are not lost unless they are sent
//! as deltas, because each export contains all measurements.
//!
//! The operator is told once when a signal does not arrive, and once when it does again. These
//! notices, and the warnings of settings, are `tracing` events with the target `tower_telemetry`;
//! without a subscriber they are written to standard error.

mod export;
mod lifecycle;
mod settings;

pub use self::{
    lifecycle::{GracefulShutdown, Readiness, ServeError, Served, Stop, Telemetry, Undelivered},
    settings::{Compression, Exporter, Otlp, OtlpProtocol, SetupError, Signal, TelemetryBuilder},
};
