// The examples of the README need every feature. Without one of them they are not run.
#![cfg_attr(
    any(
        not(doctest),
        all(
            feature = "axum",
            feature = "logs",
            feature = "process",
            feature = "prometheus",
            feature = "reqwest-middleware",
            feature = "rustls",
            feature = "tokio",
            feature = "tonic"
        )
    ),
    doc = include_str!("../README.md")
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempts_layer;
pub mod background;
#[cfg(feature = "setup")]
mod baggage_keys;
mod caller_context_layer;
#[cfg(feature = "setup")]
mod console;
mod contain;
mod convention;
pub mod database;
#[cfg(feature = "setup")]
mod digest;
mod end;
mod error_sources;
mod exemplars;
mod hash_trie;
pub mod integrations;
#[cfg(any(feature = "logs", feature = "viewer"))]
mod local_caller;
#[cfg(feature = "logs")]
pub mod logs;
mod metrics;
pub mod observe;
mod percent;
pub mod propagation;
mod providers;
#[cfg(feature = "prometheus")]
pub mod pull;
mod quoted;
mod request_body_layer;
pub mod resources;
#[cfg(feature = "setup")]
pub mod sampling;
#[cfg(feature = "setup")]
pub mod setup;
mod span;
#[cfg(feature = "setup")]
mod stdout;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod traceparent;
#[cfg(feature = "viewer")]
pub mod viewer;

/// Runs the example of the page.
#[cfg(all(doctest, feature = "prometheus"))]
#[doc = include_str!("../docs/exemplars.md")]
mod exemplars_page {}
/// Runs the examples of the page.
#[cfg(all(doctest, feature = "detectors", feature = "logs"))]
#[doc = include_str!("../docs/daily.md")]
mod daily_page {}

/// The version of OpenTelemetry's API that this crate records with.
///
/// Use it instead of a dependency of your own: another version has other global providers, and what
/// it records is lost without a warning.
pub use opentelemetry;
/// The version of OpenTelemetry's SDK that [`Telemetry`] sets up.
#[cfg(feature = "setup")]
pub use opentelemetry_sdk;

#[doc(inline)]
pub use self::{
    attempts_layer::{AttemptsLayer, CountAttempts},
    caller_context_layer::{CallerContext, CallerContextFuture, CallerContextLayer},
    convention::{
        Client, Convention, ConventionSide, ErrorKinds, Facts, HttpScheme, Labels, Protocol,
        RequestBodySize, Route, Server, Side, TrustedProxies, UrlTemplate, filter,
    },
    end::{End, Failure},
    exemplars::Exemplars,
    metrics::{MetricsLayer, MetricsObserver, MetricsState},
    propagation::{PropagationLayer, PropagationObserver},
    request_body_layer::{CountRequestBody, CountedRequestBody, RequestBodyLayer},
    span::{CallSpanLayer, CallSpanObserver, SpanLayer, SpanObserver, SpanState},
    telemetry::{TelemetryLayer, TelemetryObserver, TelemetryService},
};
#[cfg(feature = "setup")]
#[doc(inline)]
pub use self::{baggage_keys::BaggageKeys, setup::Telemetry};
