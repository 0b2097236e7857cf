//! Integrations with other crates, each behind the feature of its crate.

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "reqwest")]
mod reqwest_client;
#[cfg(feature = "reqwest-middleware")]
mod reqwest_middleware;
#[cfg(feature = "reqwest")]
mod reqwest_redirects;
#[cfg(feature = "sqlx")]
pub mod sqlx;

#[cfg(feature = "axum")]
pub use self::axum::{AnnounceRoute, RouteLayer};
#[cfg(feature = "reqwest-middleware")]
pub use self::reqwest_middleware::TelemetryMiddleware;
#[cfg(feature = "reqwest")]
pub use self::{
    reqwest::{ReqwestFuture, ReqwestService},
    reqwest_client::{ReqwestClient, ReqwestRequestBuilder},
    reqwest_redirects::redirects_to,
};
