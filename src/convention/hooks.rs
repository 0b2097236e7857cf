//! `Convention`: the user's hooks.

use std::{borrow::Cow, error::Error, sync::Arc};

use ::http::{request, response};
use opentelemetry::KeyValue;

use super::{both_sides::Convention, error::chain, side::ConventionSide};

impl<S: ConventionSide> Convention<S> {
    /// Ends the exchanges that `ends` accepts at the response head, instead of at the end of the
    /// response body.
    ///
    /// Use it for endless streams, whose duration says nothing. A gRPC call ends at the head only if
    /// the head has the status, because nothing else tells how the call ends.
    #[must_use]
    pub fn with_end_at_head<F>(self, ends: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.set(|options| options.end_at_head = Some(Arc::new(ends)))
    }

    /// Replaces the name of the span if `name` returns one.
    ///
    /// # Cardinality
    ///
    /// Return names from a closed set.
    #[must_use]
    pub fn with_span_name<F>(self, name: F) -> Self
    where
        F: Fn(&request::Parts) -> Option<Cow<'static, str>> + Send + Sync + 'static,
    {
        self.set(|options| options.span_name = Some(Arc::new(name)))
    }

    /// Adds attributes of the request to the span at its creation, where samplers see them.
    ///
    /// An attribute replaces one of the same key, so that `url.path` can be scrubbed.
    #[must_use]
    pub fn with_request_attributes<F>(self, attributes: F) -> Self
    where
        F: Fn(&request::Parts) -> Vec<KeyValue> + Send + Sync + 'static,
    {
        self.set(|options| options.request_attributes = Some(Arc::new(attributes)))
    }

    /// Adds attributes of the response to the span.
    #[must_use]
    pub fn with_response_attributes<F>(self, attributes: F) -> Self
    where
        F: Fn(&response::Parts) -> Vec<KeyValue> + Send + Sync + 'static,
    {
        self.set(|options| options.response_attributes = Some(Arc::new(attributes)))
    }

    /// Adds labels of the request to the duration, the body sizes and the span.
    ///
    /// # Cardinality
    ///
    /// Each value of a label creates a series. Return values from a closed set.
    #[must_use]
    pub fn with_request_labels<F>(self, labels: F) -> Self
    where
        F: Fn(&request::Parts) -> Vec<KeyValue> + Send + Sync + 'static,
    {
        self.set(|options| options.request_labels = Some(Arc::new(labels)))
    }

    /// Adds labels of the response to the duration, the body sizes and the span.
    ///
    /// # Cardinality
    ///
    /// Each value of a label creates a series. Return values from a closed set.
    #[must_use]
    pub fn with_response_labels<F>(self, labels: F) -> Self
    where
        F: Fn(&response::Parts) -> Vec<KeyValue> + Send + Sync + 'static,
    {
        self.set(|options| options.response_labels = Some(Arc::new(labels)))
    }

    /// Lets handlers read the [`Labels`](crate::Labels) of their exchange and add to them, through the
    /// current `opentelemetry::Context`.
    ///
    /// Default: off, because it costs five allocations per request, and one more for a gRPC call.
    #[must_use]
    pub fn with_handler_labels(self) -> Self {
        self.set(|options| options.handler_labels = true)
    }

    /// Chooses `error.type` of an error if `kind` returns one. It goes before all
    /// [`ErrorKinds`](crate::ErrorKinds).
    ///
    /// The argument is the error of the service or the body. Its causes are behind `source()`. An error
    /// of your own type has to be registered with [`with_error`](Self::with_error).
    ///
    /// # Panics
    ///
    /// A panic of this hook is caught, and counts as `None`.
    ///
    /// # Cardinality
    ///
    /// `error.type` is a metric label. Return kinds from a closed set, never messages.
    #[must_use]
    pub fn with_error_type<F>(self, kind: F) -> Self
    where
        F: Fn(&(dyn Error + 'static)) -> Option<Cow<'static, str>> + Send + Sync + 'static,
    {
        self.set(|options| options.errors.hook = Some(Arc::new(kind)))
    }

    /// Registers a type of error, so that its chain of sources is searched for `error.type`.
    ///
    /// A service's error may have any type, even one that does not implement [`Error`]. Boxed errors,
    /// `io::Error` and the types of the chosen [`ErrorKinds`](crate::ErrorKinds) are registered
    /// already.
    #[must_use]
    pub fn with_error<E: Error + 'static>(self) -> Self {
        self.set(|options| options.errors.types.push(chain::downcast::<E>))
    }
}
