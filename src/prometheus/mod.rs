//! Metrics for whoever comes to fetch them: `GET /metrics`.
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
//! What is asked for by `Accept` is answered: the text format 0.0.4, or OpenMetrics 1.0.0 where it is
//! preferred, as Prometheus does. Names follow OpenTelemetry's rules for Prometheus: dots become
//! underscores, the unit and `_total` are appended. So `http.server.request.duration` is
//! `http_server_request_duration_seconds`, with a label `http_route`; each series has the labels
//! `otel_scope_name` and `otel_scope_schema_url` of the instrument's scope. The attributes of the
//! resource are the labels of one series, `target_info`.
//!
//! The endpoint is of the same instruments as what is pushed by OTLP, and both can be had at once.
//! It is not protected: give it a route or a port that only Prometheus reaches.

mod accept;
mod open_metrics;
mod service;

use ::prometheus::Registry;
use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::error::OTelSdkError;

pub use self::service::MetricsService;

/// The reader of a meter provider, and the service of what it reads.
pub(crate) fn pull() -> Result<(PrometheusExporter, MetricsService), OTelSdkError> {
    let registry = Registry::new();
    let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build()?;
    Ok((reader, MetricsService::of(registry)))
}
