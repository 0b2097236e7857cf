//! Connections of a client of hyper-util: how many are open, how long they live, and how long
//! requests wait for one.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::Uri;
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter, MeterProvider, UpDownCounter},
};
use tower_layer::Layer;

use super::{
    CountedConnector, CountedRequests,
    resource_names::client::{
        CONNECTION_DURATION, CONNECTION_REUSED, CONNECTION_STATE, CONNECTION_WAIT_TIME,
        OPEN_CONNECTIONS, SERVER_ADDRESS, SERVER_PORT,
    },
    server_connections::BOUNDARIES,
};
use crate::providers::LazyInstruments;

/// Measures the connections of a `hyper_util::client::legacy::Client`.
///
/// It has two parts: [`connector`](Self::connector) wraps the connector, and knows the connections.
/// As a layer it wraps the client, and knows the requests on them.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Empty;
/// use hyper_util::{
///     client::legacy::{Client, connect::HttpConnector},
///     rt::TokioExecutor,
/// };
/// use tower::ServiceBuilder;
/// use tower_telemetry::{TelemetryLayer, resources::ClientConnections};
///
/// let connections = ClientConnections::new();
/// let connector = connections.connector(HttpConnector::new());
/// let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
/// let client = ServiceBuilder::new()
///     .layer(TelemetryLayer::client())
///     .layer(connections)
///     .service(client);
/// ```
///
/// # What is emitted
///
/// | instrument | kind | unit | |
/// |---|---|---|---|
/// | `http.client.open_connections` | up-down counter | `{connection}` | by `http.connection.state`: `active` while a request is on it, else `idle` |
/// | `http.client.connection.duration` | histogram | `s` | from connected to closed |
/// | `http.client.connection.wait_time` | histogram | `s` | from the request to its connection, by `http.client.connection.reused` |
///
/// The first two are those of the conventions (opt-in there), the third is of this crate. All have
/// `server.address` and `server.port`. The current span, which is that of a telemetry layer around,
/// gets the attributes `http.client.connection.wait_time` and `http.client.connection.reused`.
///
/// A request is on its connection until the end of its response body. Without the layer,
/// connections are always `idle`.
///
/// # Cardinality
///
/// A few series for each server that the program connects to, and for each proxy in between.
#[derive(Clone)]
pub struct ClientConnections {
    instruments: Arc<LazyInstruments<Instruments>>,
}

impl ClientConnections {
    /// Creates both parts for the global provider, looked up at the first connection.
    pub fn new() -> Self {
        Self { instruments: Arc::new(LazyInstruments::of_global(Instruments::new)) }
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
        Self { instruments: Arc::new(LazyInstruments::of(provider, Instruments::new)) }
    }

    /// Wraps a connector, such as hyper-util's `HttpConnector` or hyper-rustls's `HttpsConnector`.
    pub fn connector<C>(&self, inner: C) -> CountedConnector<C> {
        CountedConnector::new(inner, self.clone())
    }

    /// Counts a connection to this server as open.
    pub(super) fn open(&self, server: &Uri) -> Connection {
        let port = server.port_u16().unwrap_or_else(|| match server.scheme_str() {
            Some("https") => 443,
            _ => 80,
        });
        let address: Arc<str> = server.host().unwrap_or_default().into();
        let attributes =
            [KeyValue::new(SERVER_ADDRESS, address), KeyValue::new(SERVER_PORT, i64::from(port))];
        let connection = Connection {
            shared: Arc::new(Shared {
                // A connection that isn't counted at its start isn't counted at its end.
                instruments: self.instruments.get().map(|_| Arc::clone(&self.instruments)),
                attributes,
                opened: Instant::now(),
                state: Mutex::new(State { active: 0, requests: 0, is_open: true }),
            }),
        };
        connection.shared.count(IDLE, 1);
        connection
    }
}

impl Default for ClientConnections {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ClientConnections {
    type Service = CountedRequests<S>;

    fn layer(&self, inner: S) -> CountedRequests<S> {
        CountedRequests::new(inner)
    }
}

impl fmt::Debug for ClientConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientConnections")
    }
}

/// A connection, as the extensions of its responses carry it.
#[derive(Clone)]
pub(super) struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    instruments: Option<Arc<LazyInstruments<Instruments>>>,
    attributes: [KeyValue; 2],
    opened: Instant,
    state: Mutex<State>,
}

struct State {
    /// Requests that are on it.
    active: usize,
    /// Requests that have ever been on it.
    requests: u64,
    is_open: bool,
}

impl Connection {
    /// Puts a request on the connection, that has waited for it.
    pub(super) fn begin(self, waited: Option<Duration>) -> ActiveRequest {
        let (is_first, becomes_active) = {
            let mut state = self.shared.lock();
            state.active += 1;
            state.requests += 1;
            (state.requests == 1, state.active == 1 && state.is_open)
        };
        if becomes_active {
            self.shared.count(IDLE, -1);
            self.shared.count(ACTIVE, 1);
        }
        if let Some(waited) = waited {
            self.shared.record_wait(waited, !is_first);
        }
        ActiveRequest { connection: self }
    }

    /// Counts the connection as closed.
    pub(super) fn close(&self) {
        let was_active = {
            let mut state = self.shared.lock();
            state.is_open = false;
            state.active > 0
        };
        if let Some(instruments) = self.shared.instruments() {
            let seconds = self.shared.opened.elapsed().as_secs_f64();
            instruments.duration.record(seconds, &self.shared.attributes);
        }
        self.shared.count(if was_active { ACTIVE } else { IDLE }, -1);
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instruments(&self) -> Option<&Instruments> {
        self.instruments.as_ref()?.get()
    }

    fn count(&self, state: &'static str, n: i64) {
        if let Some(instruments) = self.instruments() {
            let [address, port] = self.attributes.clone();
            instruments.open.add(n, &[address, port, KeyValue::new(CONNECTION_STATE, state)]);
        }
    }

    fn record_wait(&self, waited: Duration, is_reused: bool) {
        use opentelemetry::{Context, trace::TraceContextExt};

        let seconds = waited.as_secs_f64();
        let reused = KeyValue::new(CONNECTION_REUSED, is_reused);
        Context::map_current(|context| {
            let span = context.span();
            span.set_attribute(KeyValue::new(CONNECTION_WAIT_TIME, seconds));
            span.set_attribute(reused.clone());
        });
        if let Some(instruments) = self.instruments() {
            let [address, port] = self.attributes.clone();
            instruments.wait.record(seconds, &[address, port, reused]);
        }
    }
}

/// A request that is on a connection, until it is dropped.
pub(super) struct ActiveRequest {
    connection: Connection,
}

impl ActiveRequest {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let shared = &self.connection.shared;
        let becomes_idle = {
            let mut state = shared.lock();
            state.active -= 1;
            state.active == 0 && state.is_open
        };
        if becomes_idle {
            shared.count(ACTIVE, -1);
            shared.count(IDLE, 1);
        }
    }
}

struct Instruments {
    open: UpDownCounter<i64>,
    duration: Histogram<f64>,
    wait: Histogram<f64>,
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let histogram = |name, description, boundaries: &[f64]| {
            let builder = meter.f64_histogram(name).with_unit("s").with_description(description);
            builder.with_boundaries(boundaries.to_vec()).build()
        };
        Self {
            open: meter
                .i64_up_down_counter(OPEN_CONNECTIONS)
                .with_unit("{connection}")
                .with_description("Outbound connections that are active or idle.")
                .build(),
            duration: histogram(
                CONNECTION_DURATION,
                "Duration of outbound connections.",
                &BOUNDARIES,
            ),
            wait: histogram(
                CONNECTION_WAIT_TIME,
                "Time that requests waited for a connection.",
                &WAIT_BOUNDARIES,
            ),
        }
    }
}

const IDLE: &str = "idle";
const ACTIVE: &str = "active";

/// Seconds. A connection that is reused is there at once.
const WAIT_BOUNDARIES: [f64; 12] =
    [0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
