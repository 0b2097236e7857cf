//! The rules: heads and ends in, names and attributes out. They need no clock, no context and no
//! provider.
//!
//! `options` is plain data. Rules are functions of the options, their caches and the facts of an
//! exchange: `read` makes facts, `emit` turns facts into telemetry.

pub(crate) mod attribute_set;
mod both_sides;
mod cache;
mod client;
pub(crate) mod emit;
mod error;
pub(crate) mod facts;
pub mod filter;
mod first_request;
pub(crate) mod grpc;
mod hooks;
mod http;
pub(crate) mod instruments;
pub(crate) mod labels;
pub(crate) mod names;
pub(crate) mod options;
pub(crate) mod parties;
mod protocol;
pub(crate) mod read;
mod request_body;
mod route;
pub(crate) mod rules;
pub(crate) mod series_key;
mod server;
mod side;
mod url_parts;
pub(crate) mod values;

#[cfg(feature = "sqlx")]
pub(crate) use self::error::io_kind;
#[cfg(feature = "setup")]
pub(crate) use self::grpc::code::Code as GrpcCode;
#[cfg(feature = "reqwest")]
pub(crate) use self::url_parts::UrlFragment;
pub use self::{
    both_sides::Convention,
    error::kinds::ErrorKinds,
    facts::Facts,
    labels::Labels,
    parties::{forwarded::TrustedProxies, scheme::HttpScheme},
    protocol::Protocol,
    request_body::RequestBodySize,
    route::Route,
    side::{Client, ConventionSide, Server, Side},
    url_parts::UrlTemplate,
};
pub(crate) use self::{error::classify::ErrorRules, request_body::RequestBodySlot};
