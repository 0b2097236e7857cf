//! Connections of a server: how many are open, and how long they live.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter, MeterProvider, UpDownCounter},
};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::resource_names::{SERVER_CONNECTION_DURATION, SERVER_OPEN_CONNECTIONS, SERVER_PORT};
use crate::providers::LazyInstruments;

/// Counts the connections of a server, and measures how long they live.
///
/// It is a layer for a *make-service*: the service that returns a service for each connection, as
/// `axum::serve` takes one. `ConnectInfo` goes on working.
///
/// # Example
///
/// ```no_run
/// use std::net::SocketAddr;
///
/// use axum::{Router, routing::get};
/// use tower::Layer;
/// use tower_telemetry::resources::ServerConnectionsLayer;
///
/// # async fn serve() -> std::io::Result<()> {
/// let app = Router::new().route("/", get(|| async { "hello" }));
/// let make_service = app.into_make_service_with_connect_info::<SocketAddr>();
/// let make_service = ServerConnectionsLayer::new().layer(make_service);
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// axum::serve(listener, make_service).await
/// # }
/// ```
///
/// With a loop of your own around hyper, hold the guard of [`open`](Self::open) while a connection
/// is served.
///
/// # What is emitted
///
/// | instrument | kind | unit | |
/// |---|---|---|---|
/// | `http.server.open_connections` | up-down counter | `{connection}` | connections that are open |
/// | `http.server.connection.duration` | histogram | `s` | from accepted to closed |
///
/// There are no conventions for connections of a server: names and boundaries follow those of
/// `http.client.open_connections` and `http.client.connection.duration`. A connection ends when the
/// server drops the service that it made for it; a connection that was upgraded ends there, too.
///
/// # Cardinality
///
/// One series per instrument, and with [`with_port`](Self::with_port) one per port.
#[derive(Clone)]
pub struct ServerConnectionsLayer {
    instruments: Arc<LazyInstruments<Instruments>>,
    port: Option<KeyValue>,
}

impl ServerConnectionsLayer {
    /// Creates a layer that uses the global provider, looked up at the first connection.
    pub fn new() -> Self {
        Self { instruments: Arc::new(LazyInstruments::of_global(Instruments::new)), port: None }
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
        let instruments = Arc::new(LazyInstruments::of(provider, Instruments::new));
        Self { instruments, ..self }
    }

    /// Adds `server.port`, which tells the listeners of a process apart.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port: Some(KeyValue::new(SERVER_PORT, i64::from(port))), ..self }
    }

    /// Counts a connection as open until the guard is dropped.
    pub fn open(&self) -> OpenConnection {
        OpenConnection {
            // A connection that isn't counted at its start isn't counted at its end.
            counted: self.instruments.get().map(|instruments| {
                instruments.open.add(1, self.port.as_slice());
                Counted { layer: self.clone(), since: Instant::now() }
            }),
        }
    }
}

impl Default for ServerConnectionsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> Layer<M> for ServerConnectionsLayer {
    type Service = ServerConnections<M>;

    fn layer(&self, inner: M) -> ServerConnections<M> {
        ServerConnections { inner, layer: self.clone() }
    }
}

impl fmt::Debug for ServerConnectionsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConnectionsLayer").field("port", &self.port).finish_non_exhaustive()
    }
}

/// An open connection. Dropping it closes it.
#[must_use = "the connection counts as closed when the guard is dropped"]
pub struct OpenConnection {
    /// `None`: no provider was installed when it began.
    counted: Option<Counted>,
}

struct Counted {
    layer: ServerConnectionsLayer,
    since: Instant,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let Some(Counted { layer, since }) = self.counted.take() else { return };
        let Some(instruments) = layer.instruments.get() else { return };
        let attributes = layer.port.as_slice();
        instruments.duration.record(since.elapsed().as_secs_f64(), attributes);
        instruments.open.add(-1, attributes);
    }
}

impl fmt::Debug for OpenConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenConnection")
    }
}

/// The make-service of a [`ServerConnectionsLayer`].
#[derive(Debug, Clone)]
pub struct ServerConnections<M> {
    inner: M,
    layer: ServerConnectionsLayer,
}

impl<M, Target> Service<Target> for ServerConnections<M>
where
    M: Service<Target>,
{
    type Response = ServerConnection<M::Response>;
    type Error = M::Error;
    type Future = ServerConnectionFuture<M::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        ServerConnectionFuture { open: Some(self.layer.open()), inner: self.inner.call(target) }
    }
}

pin_project! {
    /// The future of a [`ServerConnections`].
    // A type of its own and not a boxed future: `axum::serve` asks for one that is `Send` for every
    // lifetime of its argument.
    #[derive(Debug)]
    pub struct ServerConnectionFuture<F> {
        #[pin]
        inner: F,
        open: Option<OpenConnection>,
    }
}

impl<F, S, E> Future for ServerConnectionFuture<F>
where
    F: Future<Output = Result<S, E>>,
{
    type Output = Result<ServerConnection<S>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = ready!(this.inner.poll(cx))?;
        Poll::Ready(Ok(ServerConnection { inner, _open: this.open.take().map(Arc::new) }))
    }
}

/// The service of one connection. Its clones keep the connection open.
#[derive(Debug, Clone)]
pub struct ServerConnection<S> {
    inner: S,
    // Dropped with the last clone.
    _open: Option<Arc<OpenConnection>>,
}

impl<S> ServerConnection<S> {
    /// Returns the service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the service inside, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }
}

impl<S, Request> Service<Request> for ServerConnection<S>
where
    S: Service<Request>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.inner.call(request)
    }
}

struct Instruments {
    open: UpDownCounter<i64>,
    duration: Histogram<f64>,
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        Self {
            open: meter
                .i64_up_down_counter(SERVER_OPEN_CONNECTIONS)
                .with_unit("{connection}")
                .with_description("Inbound connections that are open.")
                .build(),
            duration: meter
                .f64_histogram(SERVER_CONNECTION_DURATION)
                .with_unit("s")
                .with_description("Duration of inbound connections.")
                .with_boundaries(BOUNDARIES.to_vec())
                .build(),
        }
    }
}

/// Seconds (semantic conventions, `http.client.connection.duration`).
pub(super) const BOUNDARIES: [f64; 14] =
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
