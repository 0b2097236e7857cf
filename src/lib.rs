#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
pub mod axum;
mod convention;
mod end;
pub mod metrics;
pub mod observe;
mod percent;
pub mod propagation;
pub mod span;
pub mod telemetry;
mod traceparent;

#[doc(inline)]
pub use self::{
    convention::{Convention, Facts, Labels, Protocol, Route, Side, TrustedProxies, filter},
    end::{End, Failure},
    metrics::MetricsLayer,
    propagation::PropagationLayer,
    span::SpanLayer,
    telemetry::TelemetryLayer,
};
