//! From nothing to exported telemetry in one call, and to the end of the process without a loss.
//!
//! [`Telemetry::from_env`] reads the specification's environment variables, starts what they ask
//! for, and installs it for the process; [`Telemetry::builder`] does the same with what the code has
//! to say. What comes back is the guard: shut down, or dropped, it delivers what is still under way,
//! and reports what was not.
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
//! To serve until the process is told to end, see [`GracefulShutdown`].
//!
//! # Where it goes
//!
//! By OTLP to `http://localhost:4318`, unless the environment says otherwise; to a Collector or
//! straight to a backend, which is but another endpoint and its headers. All variables are listed in
//! the [README](crate#environment-variables). A value that can't be meant is a [`SetupError`], for
//! telemetry that silently goes nowhere is found missing when it is needed.
//!
//! # Its threads
//!
//! Exporters connect and send on one thread of their own (`telemetry`), so that it does not matter
//! whether the program has a multi-thread runtime, a current-thread one, or none, nor what blocks
//! it. The SDK adds one for each signal, which batches.
//!
//! # A receiver that is down, or slow
//!
//! Spans and log records wait in queues of a fixed size (`OTEL_BSP_MAX_QUEUE_SIZE`,
//! `OTEL_BLRP_MAX_QUEUE_SIZE`: 2048 each), and what these can't take is dropped; recording never
//! waits. A batch is tried again for a minute (`OTEL_BSP_EXPORT_TIMEOUT`,
//! `OTEL_BLRP_EXPORT_TIMEOUT`), at least every five seconds, so a receiver may restart without a
//! loss. Metrics lose nothing, unless they are sent as deltas: an export holds all that was measured. The operator is told once when
//! a signal does not arrive, and once when it does again.
//!
//! These notices, and those on suspicious settings, are events of `tracing` with the target
//! `tower_telemetry`; without a subscriber they are written to standard error.

mod export;
mod lifecycle;
mod settings;

pub use self::{
    lifecycle::{GracefulShutdown, Readiness, ServeError, Stop, Telemetry, Undelivered},
    settings::{Compression, Exporter, Otlp, OtlpProtocol, SetupError, Signal, TelemetryBuilder},
};
