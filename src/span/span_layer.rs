//! The layer of spans, and the options of its observer.

use opentelemetry::trace::{Tracer, TracerProvider};

use super::SpanObserver;
use crate::{
    observe::{Contains, ObserveLayer},
    providers::Tracers,
};

/// A layer that records a span for each exchange.
///
/// The span is a child of the current `opentelemetry::Context`. On a server put a
/// [`PropagationLayer`](crate::PropagationLayer) *outside*, which makes the caller's context current.
/// On a client put it *inside*, where it sends the context of this layer's span.
/// [`TelemetryLayer`](crate::TelemetryLayer) does both in one pass.
///
/// The service, its future and its response body run with the span in the current context. The span
/// ends when the exchange ends: at the end of the response body, when the caller disconnects, at an
/// error, or at a panic.
///
/// # Example
///
/// ```
/// use http::{Request, Response};
/// use tower_telemetry::opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_telemetry::SpanLayer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let exporter = InMemorySpanExporter::default();
/// let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
///
/// let service = service_fn(|_: Request<()>| async {
///     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
/// });
/// let service = SpanLayer::server().with_tracer_provider(&provider).layer(service);
/// service.oneshot(Request::get("/users/7").body(())?).await?;
///
/// assert_eq!(exporter.get_finished_spans()?[0].name, "GET");
/// # Ok(())
/// # }
/// ```
///
/// # What is emitted
///
/// The span's name is `{method} {http.route}` (on a client `{method} {url.template}`), or `{method}`
/// without a route. The method is `HTTP` if it is not a known one. The attributes follow the semantic
/// conventions v1.45. Those marked † are set at creation, where samplers see them.
///
/// | attribute | server | client |
/// |---|---|---|
/// | `http.request.method` † | always; `_OTHER` if it is not known | the same |
/// | `http.request.method_original` † | if it is `_OTHER` | the same |
/// | `url.path` †, `url.query` † | path, and query if there is one | – |
/// | `url.scheme` † | `http` or `https` | – |
/// | `url.full` † | – | always; with the fragment from a reqwest integration |
/// | `url.template` † | – | if given, see [`UrlTemplate`](crate::UrlTemplate) |
/// | `http.request.resend_count` † | – | on repetitions, see [`AttemptsLayer`](crate::AttemptsLayer) |
/// | `http.route` | if known; † if it is known at creation | – |
/// | `server.address` †, `server.port` † | as requested | as requested, or those of the origin |
/// | `client.address` † | the peer, or the caller behind trusted proxies | – |
/// | `network.peer.address`, `network.peer.port` | if known | of the response, from hyper-util's connector (feature `hyper`) |
/// | `user_agent.original` † | if sent | – |
/// | `network.protocol.version` | `1.0`, `1.1`, `2`, `3` | as negotiated, if there was a response |
/// | `http.request.header.*` †, `http.response.header.*` | those chosen | the same |
/// | `http.response.status_code` | if there was a response | the same |
/// | `error.type` | see below | see below |
///
/// The span's status is `Error` if there is an `error.type`, and unset otherwise. It has no
/// description. Labels of hooks and handlers are set at the end and can't replace attributes of the
/// creation.
///
/// | what happened | `error.type` on a server | on a client |
/// |---|---|---|
/// | status below 400 | – | – |
/// | status 4xx | – | the status code |
/// | status 5xx and above | the status code | the status code |
/// | the service or the body failed | the kind of the error | the kind of the error |
/// | the future or the body was dropped | `cancelled` | –, or that of the status |
/// | an event stream was dropped by its reader | that of the status | that of the status |
/// | the service panicked | `panic` | `panic` |
///
/// # What is emitted for gRPC
///
/// A request whose content type is gRPC is recorded as a call (see
/// [`Convention::with_protocol`](crate::Convention::with_protocol)). The span's name is `{rpc.method}`,
/// or `grpc` if the method is not known.
///
/// On a server the content type alone is not enough, because callers choose it. A server serves gRPC if
/// tonic accepted the connection (feature `tonic`), if it has a
/// [list of services](crate::Convention::with_known_services), or once it has given a gRPC answer. Before
/// that, and for an answer without gRPC by an unknown method, the exchange is recorded as HTTP. The span
/// of the first call that shows gRPC has the HTTP attributes of its creation, too.
///
/// | attribute | server | client |
/// |---|---|---|
/// | `rpc.system.name` † | `grpc` | `grpc` |
/// | `rpc.method` | `package.Service/Method`, or `_OTHER` if the method is not known to exist | as called † |
/// | `rpc.method_original` | if that is `_OTHER` | the same † |
/// | `rpc.status_code` | the name of the code, `OK` included | the same |
/// | `server.address` †, `server.port` † | of `:authority`, but not on a unix socket | as requested, or those of the [origin](crate::Convention::with_origin) |
/// | `network.peer.address`, `network.peer.port` | if known | of the response, from hyper-util's connector (feature `hyper`); tonic's `Channel` does not tell |
/// | `rpc.request.header.*` †, `rpc.response.header.*`, `rpc.response.trailer.*` | those chosen | the same |
/// | `error.type` | see below | see below |
///
/// The status comes from the response head (trailers-only) or from the trailers at the end of the
/// stream. Without one, it is the status that the gRPC documents ask a client to assume:
///
/// | what happened | `rpc.status_code` | `error.type` on a server | on a client |
/// |---|---|---|---|
/// | `OK` | as sent | – | – |
/// | `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS` | as sent | the code | the code |
/// | any other code | as sent | – | the code |
/// | an answer without a status, by a known method | from the HTTP status; `UNKNOWN` for 200 | by the code | the code |
/// | the future or the body was dropped | `CANCELLED`, or `DEADLINE_EXCEEDED` once `grpc-timeout` has passed | by the code | the code |
/// | the service or the body failed | that of a `tonic::Status`, else from the kind of error | by the code, or the kind | the code, or the kind |
/// | the service panicked | `UNKNOWN` | `panic` | `panic` |
///
/// The layer sees the transport, so it may differ from what tonic returns to the caller: a deadline of
/// the request itself is `CANCELLED` to the caller and `DEADLINE_EXCEEDED` here, and a message that is
/// too large to decode is `OUT_OF_RANGE` to the caller and `CANCELLED` here. tonic's
/// `Server::timeout`, `load_shed` and `concurrency_limit_per_connection` stand outside of layers that
/// are added with `Server::layer`: a call that they end is `CANCELLED`, and a call that they reject has
/// no span. Put tower's own layers inside of this one to record both.
///
/// If there is an error, the decoded `grpc-message` is the description of the span's status. On a
/// server `rpc.method` is not set at creation, because it could not be removed if the method turns out
/// not to exist. Samplers see the method in the span's name.
///
/// # Kinds of errors
///
/// The chain of sources is searched for the kinds below, and the innermost kind counts. A kind of the
/// last row counts only without another one. Without any, `error.type` is the name of the error's
/// type, or `_OTHER` for a boxed error. The message of an error is never recorded.
///
/// Choose the sets with [`with_error_kinds`](ObserveLayer::with_error_kinds). A hook
/// ([`with_error_type`](crate::Convention::with_error_type)) goes before them, and
/// [`with_error`](crate::Convention::with_error) registers an error type of your own.
///
/// | kinds | of | set |
/// |---|---|---|
/// | `address_in_use`, `address_not_available`, `broken_pipe`, `connection_aborted`, `connection_refused`, `connection_reset`, `host_unreachable`, `network_down`, `network_unreachable`, `not_connected`, `permission_denied`, `timeout`, `unexpected_eof` | `std::io::Error` | always |
/// | `timeout`, `overloaded`, `closed` | tower | [`TOWER`](crate::ErrorKinds) |
/// | `timeout`, `canceled`, `incomplete_message`, `body_write_aborted`, `closed`, `invalid_message`, `user`, `dns`, `invalid_request` | hyper, hyper-util | [`HYPER`](crate::ErrorKinds) |
/// | `http2_cancel`, `http2_refused_stream`, ... (RFC 9113, section 7) | h2 | [`HYPER`](crate::ErrorKinds) |
/// | `timeout`, `dns`, `redirect`, `invalid_request`, `upgrade` | reqwest | [`REQWEST`](crate::ErrorKinds) |
/// | `tls_certificate_invalid`, `tls` | rustls | [`RUSTLS`](crate::ErrorKinds) |
/// | `timeout` | tonic | [`TONIC`](crate::ErrorKinds) |
/// | `connect`, `request`, `body`, `decode` | hyper-util, reqwest, tonic | theirs |
///
/// # Cardinality
///
/// Names have a low cardinality by construction. Values that the other side controls are truncated at
/// [`with_value_limit`](crate::Convention::with_value_limit).
pub type SpanLayer = ObserveLayer<SpanObserver>;

impl<O: Contains<SpanObserver> + Clone> ObserveLayer<O> {
    /// Uses this tracer provider instead of the global one.
    ///
    /// The global provider is looked up at the first request, and again as long as it makes only no-op
    /// spans: none is installed yet, or it was shut down.
    #[must_use]
    pub fn with_tracer_provider<P>(self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
    {
        self.map_observer(|observer| observer.observer_mut().tracers = Tracers::of(provider))
    }

    /// Starts no span for an exchange whose parent is not sampled, and passes the parent's context on.
    /// Such a request then costs about half.
    ///
    /// Use it with a sampler that follows the parent, as the SDK's default does (`parentbased_*`). The
    /// sampler is not asked. Log lines have the ids of the parent's span. Exchanges without a parent,
    /// or with a sampled one, do not change.
    #[must_use]
    pub fn with_parent_decision(self) -> Self {
        self.map_observer(|observer| observer.observer_mut().follows_parent = true)
    }

    /// Says that the ids of new traces are random: `traceparent` then has the *random-trace-id* flag of
    /// W3C Trace Context Level 2, for all traces that begin with a span of this layer. Samplers of
    /// other services rely on it.
    ///
    /// The SDK's default generator makes random ids, and the set-up of this crate uses it. A layer can't
    /// find out which generator a provider has, so it does not set the flag unless you say so. Don't say
    /// so of a generator whose right-most 56 bits are not random.
    ///
    /// The flag of a caller is passed on in any case. A root span costs three more allocations.
    #[must_use]
    pub fn with_random_trace_ids(self) -> Self {
        self.map_observer(|observer| observer.observer_mut().has_random_trace_ids = true)
    }
}
