//! Metrics for a Prometheus that scrapes: the service for `GET /metrics`.
//!
//! ```
//! use axum::Router;
//! use tower_telemetry::Telemetry;
//!
//! # fn main() -> Result<(), tower_telemetry::setup::SetupError> {
//! # let none = |name: &str| name.ends_with("EXPORTER").then(|| "none".to_owned());
//! let telemetry = Telemetry::builder()
//! #   .with_variables(none)
//!     .with_prometheus()
//!     .build()?;
//! let app: Router = Router::new().route_service("/metrics", telemetry.prometheus());
//! # Ok(())
//! # }
//! ```
//!
//! [`PullReader`] does the same for a meter provider of your own.
//!
//! The endpoint reads the same instruments as the OTLP exporter, and both can run at once. It is
//! not protected: give it a route or a port that only Prometheus reaches. Each scrape collects
//! once, on the thread that serves the request, and scrapes take turns.
//!
//! # Formats
//!
//! The service writes the text format 0.0.4, or OpenMetrics 1.0.0 if `Accept` prefers it, as
//! Prometheus does. It compresses with gzip if `Accept-Encoding` allows that.
//!
//! An exponential histogram becomes a histogram whose boundaries are powers of two, the same for
//! all of its series. Neither format has exponential histograms.
//!
//! # Names
//!
//! Names follow OpenTelemetry's rules for Prometheus. `http.server.request.duration` in seconds is
//! `http_server_request_duration_seconds`, with a label `http_route`.
//!
//! | OpenTelemetry | Prometheus |
//! |---|---|
//! | a character that a name cannot have | `_`, one for several in a row |
//! | a metric name that begins with a digit | `_` in front |
//! | the unit: `s`, `By`, `m/s` | a suffix: `_seconds`, `_bytes`, `_meters_per_second` |
//! | the unit `1` | the suffix `_ratio` on gauges, nothing on other instruments |
//! | the annotation of a unit: `{request}` | nothing |
//! | a counter | the suffix `_total` |
//! | an attribute key that begins with a digit | `key_` in front |
//! | attributes whose keys become one label | the values, joined by `;` |
//! | the attributes `le`, `quantile`, `otel.scope.*` | `exported_` in front |
//! | an attribute with an empty value | no label, which is the same to Prometheus |
//! | the resource | the labels of one series, `target_info` |
//! | the instrumentation scope | `otel_scope_name`, `otel_scope_version` and so on |
//!
//! A name that has a suffix already keeps it: `jobs_total` is not `jobs_total_total`. Prometheus
//! itself renames the labels `job` and `instance` to `exported_job` and `exported_instance`.
//!
//! # What is left out
//!
//! Each of these is warned of once:
//!
//! - If two instruments become the same metric, the second is left out. The warning names both.
//! - If two series of a metric have the same labels, the second is left out.
//! - A series of a counter that is negative or not a number is left out.
//!
//! A histogram with negative values has no `_sum`, and in OpenMetrics no `_count`: the sum may
//! decrease, which Prometheus would take for a restart.

mod buckets;
mod compression;
mod constants;
mod exemplar_line;
mod exposition;
mod exposition_escape;
mod families;
mod label_writer;
mod metadata;
mod metric_name;
mod metrics_service;
mod negotiation;
mod number;
mod reader;
mod registry;
mod unit;

pub use self::{
    metrics_service::MetricsService,
    reader::{PullReader, PullReaderBuilder},
};
