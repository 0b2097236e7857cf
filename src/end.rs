//! The end of an exchange.

use std::{any::Any, fmt};

use http::HeaderMap;

/// The end of an exchange of one request and its response.
///
/// An exchange lasts from the request to the end of the *response body*. Each ends in exactly one of
/// these ways, and [`Observer::on_end`](crate::observe::Observer::on_end) is called with it once.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum End<'a> {
    /// The whole response was delivered, or no body was due (`HEAD`, `204`, an upgrade).
    Complete {
        /// The trailers, if the body ended with trailers.
        trailers: Option<&'a HeaderMap>,
    },
    /// The service returned an error instead of a response, or the body yielded one.
    Failed(Failure<'a>),
    /// The future or the body was dropped before its end: the peer disconnected, an outer timeout
    /// fired, or the caller stopped reading.
    Dropped,
    /// The service panicked.
    Panicked,
}

/// The error that ended an exchange, of any type.
#[derive(Clone, Copy)]
pub struct Failure<'a> {
    error: &'a (dyn Any + 'static),
    type_name: &'static str,
}

impl<'a> Failure<'a> {
    /// Wraps the error of a service or of a body.
    pub fn new<E: 'static>(error: &'a E) -> Self {
        Self { error, type_name: std::any::type_name::<E>() }
    }

    /// Returns the error, to be downcast.
    pub fn error(&self) -> &'a (dyn Any + 'static) {
        self.error
    }

    /// Returns the name of the error's type, as the compiler writes it.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }
}

impl fmt::Debug for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failure").field(&self.type_name).finish()
    }
}
