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
//! The endpoint reads the same instruments as the OTLP exporter, and both can run at once. It is not
//! protected: give it a route or a port that only Prometheus reaches. Each scrape collects once, on
//! the thread that serves the request, and scrapes take turns.
//!
//! # Formats
//!
//! The service writes the text format 0.0.4, or OpenMetrics 1.0.0 if `Accept` prefers it, as
//! Prometheus does. It compresses with gzip if `Accept-Encoding` allows that.
//!
//! # Names
//!
//! Names follow OpenTelemetry's rules for Prometheus. `http.server.request.duration` in seconds is
//! `http_server_request_duration_seconds`, with a label `http_route`.
//!
//! | OpenTelemetry | Prometheus |
//! |---|---|
//! | a character other than a letter, a digit, `_` and (in metric names) `:` | `_`; several in a row become one |
//! | a metric name that begins with a digit | `_` in front |
//! | an attribute key that begins with a digit | `key_` in front |
//! | the unit, such as `s`, `By`, `m/s` | a suffix, unless the name has it: `_seconds`, `_bytes`, `_meters_per_second` |
//! | the unit `1` | `_ratio` on gauges, nothing on other instruments |
//! | the annotation in a unit, such as `{request}` | nothing |
//! | a counter | the suffix `_total`, unless the name has it |
//! | attributes whose keys become the same label | one label, with the values joined by `;` |
//! | the attributes `le` and `quantile`, and `otel_scope_*` | `exported_` in front, because Prometheus or the scope uses the label |
//! | an empty attribute value | no label, which is the same to Prometheus |
//! | a histogram with negative values | no `_sum` (in OpenMetrics no `_count` either), because it may decrease |
//! | an exponential histogram | a histogram whose boundaries are powers of two |
//! | the resource | the labels of one series, `target_info` |
//! | the instrumentation scope | the labels `otel_scope_name`, `otel_scope_version`, `otel_scope_schema_url`, `otel_scope_*` |
//!
//! Prometheus renames the labels `job` and `instance` to `exported_job` and `exported_instance`.
//!
//! If two instruments become the same metric, the service exports the first and drops the other,
//! and a warning names both. The same holds for two series of one metric whose labels are equal. A
//! counter that is negative or not a number is dropped with a warning.

mod buckets;
mod compression;
mod constants;
mod escape;
mod exposition;
mod families;
mod label_writer;
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
