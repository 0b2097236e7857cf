// Its examples need every feature, so without one of them they are read and not run.
#![cfg_attr(
    any(
        not(doctest),
        all(
            feature = "axum",
            feature = "logs",
            feature = "prometheus",
            feature = "reqwest-middleware",
            feature = "rustls",
            feature = "tonic"
        )
    ),
    doc = include_str!("../README.md")
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempts;
#[cfg(feature = "axum")]
pub mod axum;
mod convention;
pub mod database;
mod end;
mod hash_trie;
#[cfg(feature = "logs")]
pub mod logs;
pub mod metrics;
pub mod observe;
mod percent;
#[cfg(feature = "prometheus")]
pub mod prometheus;
pub mod propagation;
#[cfg(feature = "reqwest")]
pub mod reqwest;
#[cfg(feature = "reqwest-middleware")]
pub mod reqwest_middleware;
pub mod resources;
#[cfg(feature = "setup")]
pub mod setup;
pub mod span;
pub mod telemetry;
mod traceparent;

#[cfg(feature = "setup")]
#[doc(inline)]
pub use self::setup::Telemetry;
#[doc(inline)]
pub use self::{
    attempts::{AttemptsLayer, CountAttempts},
    convention::{
        Convention, Facts, Labels, Protocol, RequestBodySize, Route, Side, TrustedProxies,
        UrlTemplate, filter,
    },
    end::{End, Failure},
    metrics::MetricsLayer,
    propagation::PropagationLayer,
    span::SpanLayer,
    telemetry::TelemetryLayer,
};
