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
//! To serve until the process is told to stop, see [`GracefulShutdown`]. A serverless function or a job
//! calls [`Telemetry::flush`] between its tasks.
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
//! Exporters queue, connect and send on a thread of their own (`telemetry`), so they work with a
//! multi-thread runtime, a current-thread runtime and none, and a blocked program does not stop
//! them. The SDK adds a thread that collects metrics.
//!
//! # A receiver that is down or slow
//!
//! Recording never waits. Spans and log records are queued (`OTEL_BSP_MAX_QUEUE_SIZE`,
//! `OTEL_BLRP_MAX_QUEUE_SIZE`: 8192 each), and dropped when the queue is full. Up to four batches of a
//! signal are under way at a time.
//!
//! | the receiver | what becomes of a batch |
//! |---|---|
//! | can't be reached, does not answer, or breaks the connection | it is kept and sent again until it arrives, at least every five seconds; `OTEL_BSP_EXPORT_TIMEOUT` and `OTEL_BLRP_EXPORT_TIMEOUT` set a limit |
//! | answers 429, 502, 503, 504, or gRPC's CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS, or RESOURCE_EXHAUSTED with a `RetryInfo` | the same, after the pause that it asks for (`Retry-After`, `RetryInfo`; at most five minutes) |
//! | answers with another error | it is dropped at once, as OTLP demands |
//! | accepts it in part | the rejected items are lost |
//!
//! A request larger than 4 MiB (gRPC) or 20 MiB (HTTP) before compression is sent in parts. Metrics are not
//! lost unless they are sent as deltas, because each export contains all measurements; deltas are kept like
//! spans.
//!
//! The operator is told of the cause, of the URL (without credentials, query, and what may be a key in its
//! path), and of whether telemetry is kept or lost: at once if it is refused, rejected or does not fit into
//! the queue, after five seconds if it is retried, again each minute while more is lost, and once when it
//! arrives again. These notices, and the warnings of settings, are `tracing` events with the target
//! `tower_telemetry`; without a subscriber they are written to standard error.
//!
//! # Metrics of the exporters
//!
//! Each signal that is exported by OTLP is measured by the conventions for SDKs, so that the pull endpoint
//! shows that pushing fails. A signal has no series before its first item. `{signal}` is `span`,
//! `metric_data_point` or `log`.
//!
//! | metric | instrument, unit | attributes |
//! |---|---|---|
//! | `otel.sdk.exporter.{signal}.exported` | counter of items | `error.type` (if they were lost), `otel.component.type`, `otel.component.name`, `server.address`, `server.port` |
//! | `otel.sdk.exporter.{signal}.inflight` | up-down counter of items | the same without `error.type` |
//! | `otel.sdk.exporter.operation.duration` | histogram of attempts, s | the same, `http.response.status_code`, `rpc.status_code` |
//! | `otel.sdk.processor.{signal}.processed` | counter of items | `error.type` (`queue_full`), `otel.component.type`, `otel.component.name` |
//! | `otel.sdk.processor.{signal}.queue.size`, `….queue.capacity` | up-down counters of items | the same without `error.type` |
//!
//! `error.type` is the status of HTTP, the name of the gRPC code, or one of `connection_refused`,
//! `no_such_host`, `tls`, `timeout`, `connection_closed`, `not_http`, `connection_failed`, `rejected`,
//! `long_answer`, `too_large`, `shutdown`, `panic`.

mod export;
mod lifecycle;
mod settings;

pub use self::{
    export::{OtlpLogExporter, OtlpMetricExporter, OtlpSpanExporter},
    lifecycle::{GracefulShutdown, Readiness, ServeError, Served, Stop, Telemetry, Undelivered},
    settings::{Compression, Exporter, Otlp, OtlpProtocol, SetupError, Signal, TelemetryBuilder},
};
