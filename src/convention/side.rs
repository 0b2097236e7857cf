//! The two sides of an exchange, as a value and as types.

use std::fmt;

/// The side of an exchange that a layer stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Side {
    /// Around a service that answers requests: `SERVER` spans, `http.server.*` metrics.
    Server,
    /// Around a service that sends requests: `CLIENT` spans, `http.client.*` metrics.
    Client,
}

/// Marks a [`Convention`](crate::Convention) of a service that answers requests.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Server {}

/// Marks a [`Convention`](crate::Convention) of a service that sends requests.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Client {}

/// A side as a type: [`Server`] or [`Client`].
///
/// This trait is sealed: no other type can implement it.
pub trait ConventionSide: fmt::Debug + sealed::Sealed {
    /// The side as a value.
    const SIDE: Side;
}

impl ConventionSide for Server {
    const SIDE: Side = Side::Server;
}

impl ConventionSide for Client {
    const SIDE: Side = Side::Client;
}

mod sealed {
    #[expect(unnameable_types, reason = "nobody else may implement it")]
    pub trait Sealed {}
    impl Sealed for super::Server {}
    impl Sealed for super::Client {}
}
