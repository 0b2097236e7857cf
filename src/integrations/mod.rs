//! Integrations with other crates, each behind the feature of its crate.

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "reqwest")]
mod reqwest_client;
#[cfg(feature = "reqwest-middleware")]
mod reqwest_middleware;

#[cfg(feature = "axum")]
pub use self::axum::{AnnounceRoute, RouteLayer};
#[cfg(feature = "reqwest-middleware")]
pub use self::reqwest_middleware::TelemetryMiddleware;
#[cfg(feature = "reqwest")]
pub use self::{
    reqwest::{ReqwestFuture, ReqwestService, redirects_to},
    reqwest_client::{ReqwestClient, ReqwestRequestBuilder},
};
