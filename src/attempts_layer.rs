//! Counts the attempts of one call over retries and redirects.

use std::task::{Context, Poll};

use http::Request;
use opentelemetry::context::{FutureExt, WithContext};
use tower_layer::Layer;
use tower_service::Service;

use crate::observe::AttemptCount;

/// A layer that counts the attempts of one call: `http.request.resend_count`.
///
/// Put it *outside* of the retry or redirect layer, and the client's telemetry layer *inside*. Each
/// attempt then has a span and a `traceparent` of its own, and all but the first record how often the
/// request was sent before.
///
/// It counts through the current `opentelemetry::Context`. Calls that layers in between make with a
/// client of their own are counted, too. A `tower::buffer::Buffer` in between needs a
/// [`CallerContextLayer`](crate::CallerContextLayer) inside of it.
///
/// Without a current span each attempt is a trace of its own. [`CallSpanLayer`](crate::CallSpanLayer)
/// counts too, and records one span around all attempts.
///
/// # Example
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_telemetry::{AttemptsLayer, TelemetryLayer};
/// # #[derive(Clone)]
/// # struct MyPolicy;
///
/// let layers = ServiceBuilder::new()
///     .layer(AttemptsLayer::new())
///     .layer(tower::retry::RetryLayer::new(MyPolicy))
///     .layer(TelemetryLayer::client());
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct AttemptsLayer;

impl AttemptsLayer {
    /// Creates the layer.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for AttemptsLayer {
    type Service = CountAttempts<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CountAttempts { inner }
    }
}

/// The service of an [`AttemptsLayer`].
#[derive(Debug, Clone)]
pub struct CountAttempts<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for CountAttempts<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = WithContext<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let context = opentelemetry::Context::map_current(|cx| AttemptCount::begin().within(cx));
        let _attached = context.clone().attach();
        self.inner.call(request).with_context(context)
    }
}
