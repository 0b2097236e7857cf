//! RED metrics: rate, errors and duration of exchanges, and how many are under way.

mod instruments;
mod kept;
mod series;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use http::{request, response};
use opentelemetry::{
    Key, global,
    metrics::{Meter, MeterProvider},
};
use tower_layer::Layer;

use self::instruments::Instruments;
use crate::{
    convention::Convention,
    observe::{Exchange, Observe, ObserveLayer, Observer, Signal},
};

/// Records metrics of each exchange.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
/// use tower_telemetry::MetricsLayer;
///
/// let exporter = InMemoryMetricExporter::default();
/// let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
///
/// let app: Router = Router::new()
///     .route("/users/{id}", get(|| async { "hello" }))
///     .layer(MetricsLayer::server().with_meter_provider(&provider));
/// ```
///
/// # What is emitted
///
/// On a server (on a client the same, under `http.client`):
///
/// | instrument | kind | unit | |
/// |---|---|---|---|
/// | `http.server.request.duration` | histogram | `s` | from the request to the end of the exchange, the same as the span's |
/// | `http.server.active_requests` | up-down counter | `{request}` | exchanges under way |
/// | `http.server.request.body.size` | histogram | `By` | opt-in, see [`with_body_sizes`](Self::with_body_sizes) |
/// | `http.server.response.body.size` | histogram | `By` | opt-in: bytes delivered |
///
/// | label | server | client | active requests |
/// |---|---|---|---|
/// | `http.request.method` | known methods or `_OTHER` | the same | yes |
/// | `url.scheme` | `http` or `https` | – | server |
/// | `server.address`, `server.port` | – | as requested, or of the origin | client |
/// | `network.protocol.version` | `1.0`, `1.1`, `2`, `3` | as negotiated, once there is a response | – |
/// | `url.template` | – | where given, see [`UrlTemplate`](crate::UrlTemplate) | client |
/// | `http.route` | where known | – | – |
/// | `http.response.status_code` | once there is a response | the same | – |
/// | `status_class` | `1xx` to `5xx`; see [`with_status_class`](Convention::with_status_class) | the same | – |
/// | `error.type` | as the span's, see [`SpanLayer`](crate::SpanLayer) | the same | – |
///
/// A gRPC call (see [`Convention::with_protocol`]) is measured by one instrument instead,
/// `rpc.server.call.duration` or `rpc.client.call.duration`, a histogram in `s`:
///
/// | label | server | client |
/// |---|---|---|
/// | `rpc.system.name` | `grpc` | `grpc` |
/// | `rpc.method` | `package.Service/Method` or `_OTHER` | as called |
/// | `rpc.status_code` | the name of the code | the same |
/// | `server.address`, `server.port` | – | as requested, or of the origin |
/// | `error.type` | as the span's | the same |
///
/// Every exchange is counted, those that are cancelled or panic included.
///
/// # Cardinality
///
/// Nothing that a caller of a server chooses freely is a label: paths, hosts and unknown methods
/// are not. A gRPC method is one once it has answered with a gRPC status other than
/// `UNIMPLEMENTED`, to this call or, where this call was not answered, to an earlier one. An
/// interceptor or a limiter may answer with a failure for a path that nobody has, so methods that
/// have never answered with a message or `OK` are at most 100, and all others `_OTHER`. On a client `server.address` is one, as the conventions require: the hosts that your
/// program calls.
#[derive(Debug, Clone)]
pub struct MetricsLayer {
    layer: ObserveLayer<MetricsObserver>,
}

impl MetricsLayer {
    /// A layer for a service that answers requests.
    pub fn server() -> Self {
        Self::new(Convention::server())
    }

    /// A layer for a service that sends requests.
    pub fn client() -> Self {
        Self::new(Convention::client())
    }

    /// A layer of a configured convention.
    pub fn new(convention: Convention) -> Self {
        Self { layer: ObserveLayer::new(convention, MetricsObserver::default()) }
    }

    /// Uses this provider instead of the global one, which is looked up at the first request.
    ///
    /// A global one without any state, as a type of your own that passes on to a `static`, is taken
    /// for none: give it here.
    #[must_use]
    pub fn with_meter_provider<P>(self, provider: &P) -> Self
    where
        P: MeterProvider + ?Sized,
    {
        Self { layer: self.layer.map(|observer| observer.with_meter_provider(provider)) }
    }

    /// Also records the sizes of request and response bodies.
    ///
    /// The request's is what its `Content-Length` announces, or zero for an HTTP/1 request to a
    /// server that announces no body; where neither tells, none is recorded. The response's is
    /// what was really delivered, also when that was cut short.
    ///
    /// A client's header is mostly written below this layer, so there the length is taken from a
    /// [`RequestBodySize`](crate::RequestBodySize), too.
    #[must_use]
    pub fn with_body_sizes(self) -> Self {
        Self { layer: self.layer.map(|observer| observer.with_body_sizes()) }
    }

    /// Drops these attributes from all measurements: fewer series, where a dashboard has no use of
    /// what they tell apart, such as a client's `server.address`.
    ///
    /// Spans keep them.
    #[must_use]
    pub fn without_attributes<K: Into<Key>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(Into::into).collect();
        Self { layer: self.layer.map(|observer| observer.without_attributes(keys)) }
    }

    /// Binds the instruments to the labels of each series when it first records: what is recorded
    /// later needn't be looked up. It is faster, and counts the same.
    ///
    /// # Cautions
    ///
    /// This is an experimental feature of the SDK (`experimental_metrics_bound_instruments`), which
    /// the feature `bound-instruments` turns on for the whole program. There the SDK also counts its
    /// own doings, as `otel.sdk.*`. The provider must be of that SDK: the instruments of another one
    /// record nothing once they are bound.
    ///
    /// What is bound stays in the SDK: with delta temporality an idle series is not evicted, and
    /// one that was bound when the metric had as many series as it may have goes on as overflow. So
    /// the first 1000 series of a layer are bound, half of the SDK's default limit, and the others
    /// are not; keep a cardinality limit of your own well above that. Never bound are exchanges with
    /// labels of their own, gRPC calls, and templates of more than 256 bytes.
    #[cfg(feature = "bound-instruments")]
    #[must_use]
    pub fn with_bound_instruments(self) -> Self {
        Self { layer: self.layer.map(MetricsObserver::with_bound_instruments) }
    }

    /// Replaces the bucket boundaries of the duration, in seconds.
    ///
    /// By default those of the semantic conventions: 5, 10, 25, 50, 75, 100, 250, 500, 750 ms,
    /// 1, 2.5, 5, 7.5, 10 s.
    #[must_use]
    pub fn with_duration_boundaries(self, seconds: impl Into<Vec<f64>>) -> Self {
        Self { layer: self.layer.map(|observer| observer.with_duration_boundaries(seconds.into())) }
    }

    /// Replaces the bucket boundaries of body sizes, in bytes.
    ///
    /// By default 0, then powers of four from 256 to 1 GiB.
    #[must_use]
    pub fn with_body_size_boundaries(self, bytes: impl Into<Vec<f64>>) -> Self {
        Self { layer: self.layer.map(|observer| observer.with_body_size_boundaries(bytes.into())) }
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Observe<S, MetricsObserver>;

    fn layer(&self, inner: S) -> Self::Service {
        self.layer.layer(inner)
    }
}

/// The observer of a [`MetricsLayer`].
///
/// Cheap to clone, for services are cloned for each request.
#[derive(Clone, Default)]
pub struct MetricsObserver {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    settings: Settings,
    instruments: OnceLock<Option<Instruments>>,
}

#[derive(Clone)]
struct Settings {
    meter: Option<Meter>,
    has_body_sizes: bool,
    dropped: Vec<Key>,
    binds: bool,
    duration_boundaries: Vec<f64>,
    body_size_boundaries: Vec<f64>,
}

impl MetricsObserver {
    pub(crate) fn with_meter_provider<P>(self, provider: &P) -> Self
    where
        P: MeterProvider + ?Sized,
    {
        let meter = provider.meter_with_scope(Convention::scope());
        self.anew(|settings| settings.meter = Some(meter))
    }

    pub(crate) fn with_body_sizes(self) -> Self {
        self.anew(|settings| settings.has_body_sizes = true)
    }

    pub(crate) fn without_attributes(self, keys: Vec<Key>) -> Self {
        self.anew(|settings| settings.dropped.extend(keys))
    }

    #[cfg(feature = "bound-instruments")]
    pub(crate) fn with_bound_instruments(self) -> Self {
        self.anew(|settings| settings.binds = true)
    }

    pub(crate) fn with_duration_boundaries(self, seconds: Vec<f64>) -> Self {
        self.anew(|settings| settings.duration_boundaries = seconds)
    }

    pub(crate) fn with_body_size_boundaries(self, bytes: Vec<f64>) -> Self {
        self.anew(|settings| settings.body_size_boundaries = bytes)
    }

    /// A changed observer does not share the instruments that a clone of it may have made.
    fn anew(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        change(&mut settings);
        Self { shared: Arc::new(Shared { settings, instruments: OnceLock::new() }) }
    }

    /// The instruments, where there is somebody to record for.
    fn instruments(&self, convention: &Convention) -> Option<&Instruments> {
        let Shared { settings, instruments } = &*self.shared;
        let instruments = instruments.get_or_init(|| match &settings.meter {
            Some(meter) => Some(Instruments::new(settings, convention, meter)),
            None => {
                let provider = global::meter_provider();
                // The API's own default has no state, and nowhere to keep a measurement.
                let is_noop = size_of_val(&*provider) == 0;
                let meter = || provider.meter_with_scope(Convention::scope());
                (!is_noop).then(|| Instruments::new(settings, convention, &meter()))
            }
        });
        instruments.as_ref()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            meter: None,
            has_body_sizes: false,
            dropped: Vec::new(),
            binds: false,
            duration_boundaries: DURATION_BOUNDARIES.to_vec(),
            body_size_boundaries: BODY_SIZE_BOUNDARIES.to_vec(),
        }
    }
}

impl fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsObserver")
            .field("has_body_sizes", &self.shared.settings.has_body_sizes)
            .finish_non_exhaustive()
    }
}

/// An exchange that is measured, and counted as active.
#[derive(Debug)]
pub struct Active(
    // Nobody else can make one.
    (),
);

impl Observer for MetricsObserver {
    type State = Active;

    fn on_request(&self, exchange: &mut Exchange, head: &mut request::Parts) -> Option<Active> {
        if exchange.is_recorded() {
            // Where nobody records, nothing is claimed.
            self.instruments(exchange.convention())?;
        }
        if !exchange.claim(Signal::Metrics) || !exchange.is_recorded() {
            return None;
        }
        if self.shared.settings.has_body_sizes {
            exchange.read_body_size(head);
        }
        exchange.read_request(head);
        let (convention, facts) = (exchange.convention(), exchange.facts()?);
        self.instruments(convention)?.count_active(convention, facts, 1);
        Some(Active(()))
    }

    fn on_response(&self, _: &Exchange, _: &mut Active, _: &mut response::Parts) {}

    fn on_end(&self, exchange: &Exchange, _: Active) {
        let Some(facts) = exchange.facts() else { return };
        let convention = exchange.convention();
        let Some(instruments) = self.instruments(convention) else { return };
        let seconds = exchange.elapsed().as_secs_f64();
        instruments.count_active(convention, facts, -1);
        let sizes = (facts.request_body_size(), exchange.response_body_size());
        instruments.record(convention, facts, seconds, sizes);
    }
}

/// Seconds (semantic conventions, `http.server.request.duration`).
const DURATION_BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Bytes: empty, then powers of four up to a gibibyte. The conventions advise none, and the SDK's
/// own (up to 10 000) suit milliseconds.
const BODY_SIZE_BOUNDARIES: [f64; 13] = [
    0.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262144.0,
    1048576.0,
    4194304.0,
    16777216.0,
    67108864.0,
    268435456.0,
    1073741824.0,
];
