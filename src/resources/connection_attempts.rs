//! Attempts to connect: how many, how long, and why they fail.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use opentelemetry::{
    KeyValue, StringValue,
    metrics::{Histogram, Meter, MeterProvider},
};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    resource_names::{CLIENT_CONNECTION_CREATE_TIME, ERROR_TYPE},
    saturation::BOUNDARIES,
};
use crate::{
    convention::{ErrorKinds, ErrorRules},
    end::Failure,
    providers::LazyInstruments,
};

/// Measures the attempts of a connector, such as that of reqwest.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "reqwest")] {
/// use tower_telemetry::{ErrorKinds, resources::ConnectionAttemptsLayer};
///
/// let attempts = ConnectionAttemptsLayer::new().with_error_kinds([ErrorKinds::REQWEST]);
/// let client = reqwest::Client::builder().connector_layer(attempts);
/// # }
/// ```
///
/// # What is emitted
///
/// | instrument | kind | unit | |
/// |---|---|---|---|
/// | `http.client.connection.create_time` | histogram | `s` | from the attempt to its connection, TLS included |
///
/// Its count is the number of attempts. An attempt that fails has `error.type`: the kind of its error,
/// as layers record it, or `cancelled` if it was given up. There is no convention for it, so the name
/// is that of this crate.
///
/// Errors are looked into if they are boxed, as those of reqwest's connectors and of hyper-rustls are.
/// The error of hyper-util's `HttpConnector` has a type without a name; box it by
/// `map_err(BoxError::from)`.
///
/// # What reqwest doesn't tell
///
/// reqwest seals the request and the connection of its connectors. So there is no `server.address`, and
/// nobody knows which connections are open, or how long a request waited for one. For these, use
/// hyper-util's client with `ClientConnections` (feature `hyper`). reqwest's `connect_timeout` stands
/// around this layer, so it is `cancelled`.
///
/// # Cardinality
///
/// One series for each kind of error.
#[derive(Clone)]
pub struct ConnectionAttemptsLayer {
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Shared {
    instruments: Arc<LazyInstruments<Histogram<f64>>>,
    errors: ErrorRules,
}

impl ConnectionAttemptsLayer {
    /// Creates a layer that uses the global provider, looked up at the first attempt.
    pub fn new() -> Self {
        let instruments = Arc::new(LazyInstruments::of_global(create_time));
        Self { shared: Arc::new(Shared { instruments, errors: ErrorRules::default() }) }
    }

    /// Uses this provider instead of the global one.
    ///
    /// A global provider without any state, as a type of your own that forwards to a `static`, is
    /// taken for none: give it here.
    #[must_use]
    pub fn with_meter_provider<P>(self, provider: &P) -> Self
    where
        P: MeterProvider + ?Sized,
    {
        let instruments = Arc::new(LazyInstruments::of(provider, create_time));
        self.change(|shared| shared.instruments = instruments)
    }

    /// Recognises the errors of these crates in `error.type`: see
    /// [`Convention::with_error_kinds`](crate::Convention::with_error_kinds).
    #[must_use]
    pub fn with_error_kinds(self, kinds: impl IntoIterator<Item = ErrorKinds>) -> Self {
        self.change(|shared| shared.errors.kinds.extend(kinds))
    }

    fn change(self, change: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = Arc::unwrap_or_clone(self.shared);
        change(&mut shared);
        Self { shared: Arc::new(shared) }
    }
}

impl Default for ConnectionAttemptsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ConnectionAttemptsLayer {
    type Service = ConnectionAttempts<S>;

    fn layer(&self, inner: S) -> ConnectionAttempts<S> {
        ConnectionAttempts { inner, shared: Arc::clone(&self.shared) }
    }
}

impl fmt::Debug for ConnectionAttemptsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionAttemptsLayer")
    }
}

/// The connector of a [`ConnectionAttemptsLayer`].
#[derive(Clone)]
pub struct ConnectionAttempts<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, Request> Service<Request> for ConnectionAttempts<S>
where
    S: Service<Request>,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ConnectionAttempt<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let running = Running { shared: Arc::clone(&self.shared), since: Instant::now() };
        ConnectionAttempt { inner: self.inner.call(request), running: Some(running) }
    }
}

impl<S: fmt::Debug> fmt::Debug for ConnectionAttempts<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionAttempts").field("inner", &self.inner).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of a [`ConnectionAttempts`].
    pub struct ConnectionAttempt<F> {
        #[pin]
        inner: F,
        // `None` once the attempt has ended.
        running: Option<Running>,
    }

    impl<F> PinnedDrop for ConnectionAttempt<F> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(running) = this.project().running.take() {
                running.end(Some("cancelled".into()));
            }
        }
    }
}

impl<F, T, E> Future for ConnectionAttempt<F>
where
    F: Future<Output = Result<T, E>>,
    E: 'static,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        if let Some(running) = this.running.take() {
            let errors = &running.shared.errors;
            let kind = result.as_ref().err().map(|error| errors.error_type(Failure::new(error)));
            running.end(kind);
        }
        Poll::Ready(result)
    }
}

impl<F: fmt::Debug> fmt::Debug for ConnectionAttempt<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionAttempt").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// An attempt that has not ended.
struct Running {
    shared: Arc<Shared>,
    since: Instant,
}

impl Running {
    fn end(&self, kind: Option<StringValue>) {
        let Some(create_time) = self.shared.instruments.get() else { return };
        let error_type = kind.map(|kind| KeyValue::new(ERROR_TYPE, kind));
        create_time.record(self.since.elapsed().as_secs_f64(), error_type.as_slice());
    }
}

fn create_time(meter: &Meter) -> Histogram<f64> {
    meter
        .f64_histogram(CLIENT_CONNECTION_CREATE_TIME)
        .with_unit("s")
        .with_description("Time to create outbound connections.")
        .with_boundaries(BOUNDARIES.to_vec())
        .build()
}
