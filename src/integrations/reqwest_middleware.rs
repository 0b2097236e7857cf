//! reqwest-middleware: the client's telemetry as a middleware.

use std::{
    future::Future,
    pin::Pin,
    task::{self, Poll},
};

use async_trait::async_trait;
use http::{Extensions, Request, Response};
use opentelemetry::Context;
use reqwest::Body;
use reqwest_middleware::{Error, Middleware, Next, Result};
use tower_layer::Layer;
use tower_service::Service;

use super::reqwest::{default_layer, from_http, from_request, into_http, into_request};
use crate::{
    convention::{ErrorKinds, UrlTemplate},
    observe::{AttemptCount, ObserveLayer, Observer},
    telemetry::TelemetryObserver,
};

/// A middleware for `ClientWithMiddleware` that records the same as
/// [`TelemetryLayer`](crate::TelemetryLayer) (feature `reqwest-middleware`, for 0.5).
///
/// Add it after a retry middleware, so that it stands inside of it. Each attempt then has a span of its
/// own, and all but the first have `http.request.resend_count`. A [`UrlTemplate`] is read from the
/// request's extensions.
///
/// Without a current span each attempt is a trace of its own. A second middleware with a
/// [`CallSpanLayer`](crate::CallSpanLayer), added *before* the retry middleware, records one span
/// around all attempts:
///
/// ```
/// # use reqwest_middleware::ClientBuilder;
/// # use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
/// # use tower_telemetry::{CallSpanLayer, integrations::TelemetryMiddleware};
/// # let _ = rustls::crypto::ring::default_provider().install_default();
/// # let policy = ExponentialBackoff::builder().build_with_max_retries(3);
/// let client = ClientBuilder::new(reqwest::Client::new())
///     .with(TelemetryMiddleware::with_layer(CallSpanLayer::client()))
///     .with(RetryTransientMiddleware::new_with_policy(policy))
///     .with(TelemetryMiddleware::new())
///     .build();
/// ```
///
/// The client inside follows redirects without this middleware, and sends every hop with the same
/// `traceparent` and `baggage`. [`redirects_to`](super::redirects_to) limits the hosts.
///
/// # Example
///
/// ```
/// use reqwest_middleware::ClientBuilder;
/// use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
/// use tower_telemetry::{UrlTemplate, integrations::TelemetryMiddleware};
/// # let _ = rustls::crypto::ring::default_provider().install_default();
///
/// let policy = ExponentialBackoff::builder().build_with_max_retries(3);
/// let client = ClientBuilder::new(reqwest::Client::new())
///     .with(RetryTransientMiddleware::new_with_policy(policy))
///     .with(TelemetryMiddleware::new())
///     .build();
///
/// let request = client
///     .get("https://api.example.com/users/7")
///     .with_extension(UrlTemplate::new("/users/{id}"));
/// ```
#[derive(Debug)]
pub struct TelemetryMiddleware<O = TelemetryObserver> {
    layer: ObserveLayer<O>,
}

impl TelemetryMiddleware {
    /// Creates a middleware with all defaults, and the error kinds of reqwest and hyper.
    pub fn new() -> Self {
        Self::with_layer(default_layer().with_error_kinds([ErrorKinds::REQWEST_MIDDLEWARE]))
    }
}

impl<O> TelemetryMiddleware<O> {
    /// Creates a middleware that records what this layer would.
    pub fn with_layer(layer: ObserveLayer<O>) -> Self {
        Self { layer }
    }
}

impl<O> Clone for TelemetryMiddleware<O> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone() }
    }
}

impl Default for TelemetryMiddleware {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl<O> Middleware for TelemetryMiddleware<O>
where
    O: Observer + Send + Sync + 'static,
    O::State: Send + Sync,
{
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<reqwest::Response> {
        let mut request = into_request(request)?;
        if let Some(template) = extensions.get::<UrlTemplate>() {
            request.extensions_mut().insert(template.clone());
        }
        // The attempts of a call share these extensions.
        let attempts = extensions.get_or_insert_with(AttemptCount::begin).clone();
        let mut service = self.layer.layer(Once(Some((next, extensions))));
        let call = {
            let _attached = Context::map_current(|cx| attempts.within(cx)).attach();
            service.call(request)
        };
        call.await.map(from_http)
    }
}

/// The rest of the middleware as a service, for the one call that it is there for.
struct Once<'a>(Option<(Next<'a>, &'a mut Extensions)>);

impl<'a> Service<Request<Body>> for Once<'a> {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>>> + Send + 'a>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let rest = self.0.take();
        Box::pin(async move {
            let (next, extensions) = rest.expect("a middleware calls the next once");
            let (request, check) = from_request(request)?;
            let response = next.run(request, extensions).await?;
            check.warn_of(&response);
            Ok(into_http(response))
        })
    }
}
