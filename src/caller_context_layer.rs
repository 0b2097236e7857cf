//! Calls a service in the context of its caller, behind a buffer.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// A layer that calls the inner service when its response future is first polled.
///
/// tower's `Buffer` calls the inner service in a task of its own, where the caller's
/// `opentelemetry::Context` is not current: a client's span inside of the buffer then starts a trace
/// of its own, and [`AttemptsLayer`](crate::AttemptsLayer) outside of it does not count. The buffer's
/// caller polls the response future, so this layer, *inside* of the buffer and *outside* of the
/// client's telemetry layer, brings the call back to the caller's context. It needs nothing outside of
/// the buffer and nothing in the request.
///
/// It is also for a client that wraps your service in a buffer itself, as those of kube
/// (`kube::Client::new`) and octocrab (`OctocrabBuilder::with_service`) do.
///
/// # Example
///
/// ```
/// use http::Request;
/// use tower::{ServiceBuilder, buffer::BufferLayer, retry::RetryLayer};
/// use tower_telemetry::{AttemptsLayer, CallerContextLayer, TelemetryLayer};
/// # #[derive(Clone)]
/// # struct MyPolicy;
///
/// let layers = ServiceBuilder::new()
///     .layer(AttemptsLayer::new())
///     .layer(RetryLayer::new(MyPolicy))
///     .layer(BufferLayer::<Request<String>>::new(1024))
///     .layer(CallerContextLayer::new())
///     .layer(TelemetryLayer::client());
/// ```
///
/// A client that wraps the service in a buffer itself takes this one:
///
/// ```
/// # use http_body_util::Empty;
/// # use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// # use tower::ServiceBuilder;
/// # use tower_telemetry::{CallerContextLayer, TelemetryLayer};
/// # let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
/// let service = ServiceBuilder::new()
///     .layer(CallerContextLayer::new())
///     .layer(TelemetryLayer::client())
///     .service(client);
/// // kube::Client::new(service, "default")
/// ```
///
/// # What changes
///
/// The request is sent when the future is polled, not when the service is called: a future that is
/// dropped before has sent nothing and has no telemetry. Readiness of the inner service, such as a
/// permit of a concurrency limit, is held from the call on.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct CallerContextLayer;

impl CallerContextLayer {
    /// Creates the layer.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for CallerContextLayer {
    type Service = CallerContext<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CallerContext { inner }
    }
}

/// The service of a [`CallerContextLayer`].
#[derive(Debug, Clone)]
pub struct CallerContext<S> {
    inner: S,
}

impl<S, R> Service<R> for CallerContext<S>
where
    S: Service<R> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = CallerContextFuture<S, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // The clone is not ready. The service that is ready moves into the future.
        let clone = self.inner.clone();
        let service = mem::replace(&mut self.inner, clone);
        CallerContextFuture { call: Some((service, request)), response: None }
    }
}

pin_project! {
    /// The response future of [`CallerContext`].
    pub struct CallerContextFuture<S, R>
    where
        S: Service<R>,
    {
        call: Option<(S, R)>,
        #[pin]
        response: Option<S::Future>,
    }
}

impl<S: Service<R>, R> Future for CallerContextFuture<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some((mut service, request)) = this.call.take() {
            this.response.set(Some(service.call(request)));
        }
        match this.response.as_pin_mut() {
            Some(response) => response.poll(cx),
            // The call panicked, and somebody polls again.
            None => Poll::Pending,
        }
    }
}

impl<S: Service<R>, R> fmt::Debug for CallerContextFuture<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerContextFuture").finish_non_exhaustive()
    }
}
