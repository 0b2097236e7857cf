//! The layer of metrics, and the options of its observer.

use opentelemetry::{Key, metrics::MeterProvider};

use super::MetricsObserver;
use crate::{
    convention::emit,
    exemplars::Exemplars,
    observe::{Contains, ObserveLayer},
};

/// A layer that records metrics of each exchange.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_telemetry::opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
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
/// On a server. A client records the same under `http.client`.
///
/// | instrument | kind | unit | |
/// |---|---|---|---|
/// | `http.server.request.duration` | histogram | `s` | from the request to the end of the exchange, equal to the span's duration |
/// | `http.server.active_requests` | up-down counter | `{request}` | exchanges that have begun and not ended |
/// | `http.server.request.body.size` | histogram | `By` | opt-in, see [`with_body_sizes`](ObserveLayer::with_body_sizes) |
/// | `http.server.response.body.size` | histogram | `By` | opt-in: bytes that were delivered |
/// | `http.server.request.time_to_first_byte` | histogram | `s` | opt-in, see [`with_time_to_first_byte`](ObserveLayer::with_time_to_first_byte) |
///
/// | label | server | client | active requests |
/// |---|---|---|---|
/// | `http.request.method` | known methods or `_OTHER` | the same | yes |
/// | `url.scheme` | `http` or `https` | – | server |
/// | `server.address`, `server.port` | – | as requested, or those of the origin | client |
/// | `network.protocol.version` | `1.0`, `1.1`, `2`, `3` | as negotiated, if there was a response | – |
/// | `url.template` | – | if given, see [`UrlTemplate`](crate::UrlTemplate) | client |
/// | `http.route` | if known; not with `405` or an unknown method | – | – |
/// | `http.response.status_code` | if there was a response | the same | – |
/// | `status_class` | `1xx` to `5xx`, see [`with_status_class`](crate::Convention::with_status_class) | the same | – |
/// | `error.type` | as the span's, see [`SpanLayer`](crate::SpanLayer) | the same | – |
///
/// A gRPC call (see [`Convention::with_protocol`](crate::Convention::with_protocol)) has one
/// instrument instead, `rpc.server.call.duration` or `rpc.client.call.duration`, a histogram in `s`:
///
/// | label | server | client |
/// |---|---|---|
/// | `rpc.system.name` | `grpc` | `grpc` |
/// | `rpc.method` | `package.Service/Method` or `_OTHER` | as called |
/// | `rpc.status_code` | the name of the code | the same |
/// | `server.address`, `server.port` | – | as requested, or those of the origin |
/// | `error.type` | as the span's | the same |
///
/// Every exchange is counted, cancelled and panicking ones included.
///
/// # Cardinality
///
/// On a server no caller can choose a label freely: paths, hosts and unknown methods are not labels. A
/// gRPC method is a label once it has answered `OK`, or if
/// [`with_known_services`](crate::Convention::with_known_services) lists it. At most 100 methods that
/// have only failed are labels, too, unless with `UNIMPLEMENTED`, `UNAUTHENTICATED`, `PERMISSION_DENIED`
/// or `RESOURCE_EXHAUSTED`, which routers, interceptors and limiters give for any path. All others are
/// `_OTHER`. A known method keeps its name, whatever it answers.
///
/// On a client `server.address` is a label, as the semantic conventions require: the hosts that your
/// program calls.
///
/// The product of the labels is bounded, too, because a caller can combine methods, versions and
/// cancellation with every route. Each route has 9 series per metric that no other route can take, and
/// all routes share 300 more. Series beyond these have the method `_OTHER` and no version, and instead
/// of the status code only `status_class` and `error.type`. So a server with 100 routes stays below the
/// SDK's limit of 2000 series, whatever its callers send.
///
/// On a client each host has 2 series, and all hosts share 300 more. Beyond these, and beyond 500 hosts,
/// `server.address` is `_OTHER`. Once there are 100 hosts, it is also `_OTHER` for a new host that only a
/// redirect or a retry has named (an [`AttemptsLayer`](crate::AttemptsLayer) tells). All these numbers
/// scale with [`with_series_limit`](ObserveLayer::with_series_limit).
pub type MetricsLayer = ObserveLayer<MetricsObserver>;

impl<O: Contains<MetricsObserver> + Clone> ObserveLayer<O> {
    /// Uses this meter provider instead of the global one.
    ///
    /// The global provider is looked up at the first request, and again until one is installed. A meter
    /// provider that replaces another one is not noticed, because instruments don't tell that their
    /// provider was shut down. A global provider without any state (a zero-sized type of your own that
    /// forwards to a `static`) is taken for the API's no-op default. Pass it here instead.
    #[must_use]
    pub fn with_meter_provider<P>(self, provider: &P) -> Self
    where
        P: MeterProvider + ?Sized,
    {
        let meter = provider.meter_with_scope(emit::scope());
        self.map_metrics(|metrics| metrics.options.meter = Some(meter))
    }

    /// Records the sizes of request and response bodies. Default: off.
    ///
    /// The size of a request is the one that its `Content-Length` announces, or zero for an HTTP/1
    /// request that announces no body. Otherwise it is not recorded. Neither is one above 1 TiB, or one
    /// with which the sum of all sizes would exceed 2^64. The size of a response is the number of bytes
    /// that were delivered, even if the delivery was cut short.
    ///
    /// The `Content-Length` of a client is usually written below this layer, so a client also reads
    /// [`RequestBodySize`](crate::RequestBodySize).
    #[must_use]
    pub fn with_body_sizes(self) -> Self {
        self.map_metrics(|metrics| metrics.options.has_body_sizes = true)
    }

    /// Collects [`Exemplars`], which lead from the buckets of the histograms to traces.
    ///
    /// Layers that record with the meter provider of [`Telemetry`](crate::Telemetry), given or global,
    /// need no handle. Default otherwise: none are collected.
    #[must_use]
    pub fn with_exemplars(self, exemplars: &Exemplars) -> Self {
        let exemplars = exemplars.clone();
        self.map_metrics(|metrics| metrics.options.exemplars = Some(exemplars))
    }

    /// Does the same as [`with_body_sizes`](Self::with_body_sizes), but counts the bytes of request
    /// bodies that a [`RequestBodyLayer`](crate::RequestBodyLayer) inside has seen, instead of
    /// believing what is announced. Default: off.
    ///
    /// The bytes count until the end of the exchange, even if the body is not read to its end. If the
    /// request does not reach a `RequestBodyLayer`, the size is the announced one.
    ///
    /// A gRPC call then has two histograms in `By`: `rpc.server.request.body.size`, if a
    /// `RequestBodyLayer` has seen it, and `rpc.server.response.body.size`, the bytes that were
    /// delivered. The names are those of this crate. They include the five bytes before each message.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::{Router, routing::post};
    /// use tower_telemetry::{RequestBodyLayer, TelemetryLayer};
    ///
    /// let app: Router = Router::new()
    ///     .route("/photos", post(|body: String| async move { body.len().to_string() }))
    ///     .layer(RequestBodyLayer::new())
    ///     .layer(TelemetryLayer::server().with_counted_body_sizes());
    /// ```
    #[must_use]
    pub fn with_counted_body_sizes(self) -> Self {
        self.map_metrics(|metrics| {
            metrics.options.has_body_sizes = true;
            metrics.options.counts_request_bodies = true;
        })
    }

    /// Records the time to the first byte of the response body: a histogram in `s`, with the labels
    /// and boundaries of the duration. Default: off.
    ///
    /// | | instrument |
    /// |---|---|
    /// | HTTP | `http.server.request.time_to_first_byte`, `http.client.request.time_to_first_byte` |
    /// | gRPC | `rpc.server.call.time_to_first_byte`, `rpc.client.call.time_to_first_byte` |
    ///
    /// There are no conventions for it, so the names are those of this crate.
    ///
    /// It counts to the first frame with data. A streaming service sends the head of its response
    /// before it has anything to say, so the head tells little; without streaming, both come together.
    /// A response that is complete with an empty body counts to its head, and so does one that is
    /// recorded at its head only. Exchanges that end before their first byte have a duration, but no
    /// time to a first byte. The time is recorded at the end of the exchange, because its labels are
    /// known then.
    #[must_use]
    pub fn with_time_to_first_byte(self) -> Self {
        self.map_metrics(|metrics| metrics.options.times_first_byte = true)
    }

    /// Drops these attributes from all measurements, to have fewer series. Spans keep them.
    #[must_use]
    pub fn without_attributes<K: Into<Key>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(Into::into);
        self.map_metrics(|metrics| metrics.options.dropped.extend(keys))
    }

    /// Binds the instruments to the attributes of each series when it first records, so that later
    /// measurements skip the SDK's look-up. It counts the same.
    ///
    /// # Cautions
    ///
    /// Binding is an experimental feature of the SDK (`experimental_metrics_bound_instruments`). The
    /// feature `bound-instruments` turns it on for the whole program. The SDK then also records
    /// metrics about itself, as `otel.sdk.*`. The provider must come from that SDK: bound instruments
    /// of another provider record nothing.
    ///
    /// The SDK never evicts a bound series, and a series that was bound at the cardinality limit stays
    /// in the overflow. Therefore only the first 1000 series of a layer are bound, half of the SDK's
    /// default limit. Keep a limit of your own well above that. Exchanges with labels of their own,
    /// gRPC calls and templates of more than 256 bytes are never bound.
    #[cfg(feature = "bound-instruments")]
    #[must_use]
    pub fn with_bound_instruments(self) -> Self {
        self.map_metrics(|metrics| metrics.options.binds = true)
    }

    /// Sets the number of series that a metric may have. Default: 2000, the SDK's default.
    ///
    /// Set it to the cardinality limit of your provider if you have changed that. [`MetricsLayer`]
    /// describes how the series are shared.
    #[must_use]
    pub fn with_series_limit(self, limit: usize) -> Self {
        self.map_metrics(|metrics| metrics.options.series_limit = limit.max(20))
    }

    /// Replaces the bucket boundaries of the duration, in seconds.
    ///
    /// Default, from the semantic conventions: 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75,
    /// 1, 2.5, 5, 7.5, 10.
    #[must_use]
    pub fn with_duration_boundaries(self, seconds: impl Into<Vec<f64>>) -> Self {
        self.map_metrics(|metrics| metrics.options.duration_boundaries = seconds.into())
    }

    /// Replaces the bucket boundaries of body sizes, in bytes.
    ///
    /// Default: 0, then powers of four from 256 to 1 GiB.
    #[must_use]
    pub fn with_body_size_boundaries(self, bytes: impl Into<Vec<f64>>) -> Self {
        self.map_metrics(|metrics| metrics.options.body_size_boundaries = bytes.into())
    }

    fn map_metrics(self, change: impl FnOnce(&mut MetricsObserver)) -> Self {
        self.map_observer(|observer| {
            let metrics = observer.observer_mut();
            change(metrics);
            // Instruments that were made with the earlier options are not used.
            *metrics = metrics.clone();
        })
    }
}
