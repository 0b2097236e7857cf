//! Telemetry in memory, for tests of your own (feature `testing`).
//!
//! [`TestTelemetry`] has providers for the three signals that record into memory. It installs nothing globally, so
//! tests in one process can run at the same time. The assertions panic at the line of the test that calls them, and
//! say what was recorded instead.
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use http_body_util::BodyExt;
//! use tower::ServiceExt;
//! use tower_telemetry::{TelemetryLayer, testing::TestTelemetry};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let telemetry = TestTelemetry::new();
//! let layer = TelemetryLayer::server()
//!     .with_tracer_provider(telemetry.tracer_provider())
//!     .with_meter_provider(telemetry.meter_provider());
//! let app = Router::new().route("/users/{id}", get(async || "Ada")).layer(layer);
//!
//! let response = app.oneshot(Request::get("/users/7").body(Body::empty())?).await?;
//! // The request ends with its body.
//! response.into_body().collect().await?;
//!
//! telemetry
//!     .span("GET /users/{id}")
//!     .assert_root()
//!     .assert_attribute("http.response.status_code", 200);
//! let durations = telemetry.metric("http.server.request.duration");
//! assert_eq!(durations.with("http.route", "/users/{id}").count(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Log records
//!
//! Records of `tracing` arrive through a bridge (feature `logs`), which is the subscriber of one thread here:
//!
//! ```
//! use tower_telemetry::{logs, opentelemetry::trace::{Tracer, TracerProvider}, testing::TestTelemetry};
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! let telemetry = TestTelemetry::new();
//! let bridge = logs::bridge(telemetry.logger_provider());
//! let subscriber = tracing_subscriber::registry().with(bridge);
//! let tracer = telemetry.tracer_provider().tracer("shop");
//! tracing::subscriber::with_default(subscriber, || {
//!     tracer.in_span("place order", |_| tracing::info!(amount = 3, "paid"));
//! });
//! let span = telemetry.span("place order");
//! telemetry.log("paid").assert_attribute("amount", 3).assert_within(&span);
//! ```

mod in_memory;
mod recorded_log;
mod recorded_metric;
mod recorded_span;
mod test_telemetry;

pub use self::{
    recorded_log::RecordedLog, recorded_metric::RecordedMetric, recorded_span::RecordedSpan,
    test_telemetry::TestTelemetry,
};
