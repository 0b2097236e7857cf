//! Spans: `SERVER` around a service that answers, `CLIENT` around one that asks.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use http::{HeaderMap, HeaderName, HeaderValue, header, request, response};
use opentelemetry::{
    Context, global,
    trace::{Link, Span, SpanBuilder, Status, TraceContextExt, Tracer, TracerProvider},
};
use tower_layer::Layer;

use crate::{
    convention::{Convention, Side},
    observe::{Exchange, Observe, ObserveLayer, Observer, Signal},
    traceparent::TraceParent,
};

/// Records a span for each exchange.
///
/// The span is a child of the current `opentelemetry::Context`: on a server put a
/// [`PropagationLayer`](crate::PropagationLayer) *outside*, which makes the caller's context
/// current; on a client put it *inside*, where it sends on the span of this layer.
/// [`TelemetryLayer`](crate::TelemetryLayer) does both in one pass.
///
/// The service, its future and its response body run with the span in the current context, and
/// the span ends where the exchange ends: at the end of the response body, when the caller goes
/// away, at an error or a panic.
///
/// # Example
///
/// ```
/// use http::{Request, Response};
/// use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
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
/// A span named `{method} {http.route}` (on a client `{method} {url.template}`), or `{method}` where
/// neither is known; the method is `HTTP` where it is not a known one. Attributes by the semantic conventions v1.45; those marked
/// † are given at creation, where samplers see them.
///
/// | attribute | server | client |
/// |---|---|---|
/// | `http.request.method` † | always; `_OTHER` where it is not known | the same |
/// | `http.request.method_original` † | where it is `_OTHER` | the same |
/// | `url.path` †, `url.query` † | path, and query where there is one | – |
/// | `url.scheme` † | `http` or `https` | – |
/// | `url.full` † | – | always |
/// | `url.template` † | – | where given, see [`UrlTemplate`](crate::UrlTemplate) |
/// | `http.request.resend_count` † | – | on repetitions, see [`AttemptsLayer`](crate::AttemptsLayer) |
/// | `http.route` | where known, † if it is by then | – |
/// | `server.address` †, `server.port` † | as requested | as requested, or of the origin |
/// | `client.address` † | peer, or caller by trusted proxies | – |
/// | `network.peer.address`, `network.peer.port` | where known | of the response, where the client tells (feature `hyper`) |
/// | `user_agent.original` † | where sent | – |
/// | `network.protocol.version` | `1.0`, `1.1`, `2`, `3` | as negotiated, once there is a response |
/// | `http.request.header.*` †, `http.response.header.*` | those allowed | the same |
/// | `http.response.status_code` | once there is a response | the same |
/// | `error.type` | see below | see below |
///
/// The span's status is `Error` exactly where there is an `error.type`, and unset otherwise; it
/// has no description. Labels of hooks and handlers are set at the end; they can't replace what the
/// span got at its creation.
///
/// | what happened | `error.type` on a server | on a client |
/// |---|---|---|
/// | status below 400 | – | – |
/// | status 4xx | – | the status code |
/// | status 5xx and above | the status code | the status code |
/// | the service or the body failed | kind of the error | kind of the error |
/// | the future or the body was dropped | `cancelled` | –, or that of the status |
/// | an event stream was dropped by its reader | that of the status | that of the status |
/// | the service panicked | `panic` | `panic` |
///
/// # What is emitted for gRPC
///
/// A request whose content type is gRPC is recorded as a call instead (see
/// [`Convention::with_protocol`]): a span named `{rpc.method}`, or `grpc` where the method is not
/// known.
///
/// | attribute | server | client |
/// |---|---|---|
/// | `rpc.system.name` † | `grpc` | `grpc` |
/// | `rpc.method` | `package.Service/Method`, or `_OTHER` where the server has shown no such method | as called † |
/// | `rpc.method_original` | where that is `_OTHER` | the same † |
/// | `rpc.status_code` | the name of the code, `OK` included | the same |
/// | `server.address` †, `server.port` † | of `:authority` | as requested, or of the [origin](Convention::with_origin) |
/// | `network.peer.address`, `network.peer.port` | where known | – |
/// | `rpc.request.header.*` †, `rpc.response.header.*`, `rpc.response.trailer.*` | those allowed | the same |
/// | `error.type` | see below | see below |
///
/// The status is that of the response head (trailers-only) or of the trailers at the end of the
/// stream. Where there is none, it is the one that the gRPC documents ask a client to assume:
///
/// | what happened | `rpc.status_code` | `error.type` on a server | on a client |
/// |---|---|---|---|
/// | `OK` | as sent | – | – |
/// | `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS` | as sent | the code | the code |
/// | any other code | as sent | – | the code |
/// | an answer without a status | by the HTTP status; `UNKNOWN` for 200 | by the code | the code |
/// | the future or the body was dropped | `CANCELLED`, or `DEADLINE_EXCEEDED` once `grpc-timeout` has passed | by the code | the code |
/// | the service or the body failed | that of a `tonic::Status`, else by the kind of error | by the code, or the kind | the code, or the kind |
/// | the service panicked | `UNKNOWN` | `panic` | `panic` |
///
/// Where an error is recorded, the decoded `grpc-message` is the description of the span's status.
/// On a server `rpc.method` is no attribute at creation, for it could not be taken back; the span's
/// name tells samplers the method.
///
/// # Kinds of errors
///
/// The chain of sources is searched for the kinds below, and the innermost counts; one of the last
/// row counts only where there is no other. Otherwise it is the name of the error's type, or
/// `_OTHER` for a boxed one. [`with_error_type`](Convention::with_error_type) decides before all of
/// this, and [`with_error`](Convention::with_error) makes a type of your own searched. The message of
/// an error is never recorded.
///
/// | kinds | of | feature |
/// |---|---|---|
/// | `address_in_use`, `address_not_available`, `broken_pipe`, `connection_aborted`, `connection_refused`, `connection_reset`, `host_unreachable`, `network_down`, `network_unreachable`, `not_connected`, `permission_denied`, `timeout`, `unexpected_eof` | `std::io::Error` | – |
/// | `timeout`, `overloaded`, `closed` | tower | `tower` |
/// | `timeout`, `canceled`, `incomplete_message`, `body_write_aborted`, `closed`, `invalid_message`, `user`, `dns` | hyper, hyper-util | `hyper` |
/// | `http2_cancel`, `http2_refused_stream`, ... (RFC 9113, section 7) | h2 | `hyper` |
/// | `timeout`, `dns`, `redirect`, `invalid_request`, `upgrade` | reqwest | `reqwest` |
/// | `tls_certificate_invalid`, `tls` | rustls | `rustls` |
/// | `timeout` | tonic | `tonic` |
/// | `connect`, `request`, `body`, `decode` | hyper-util, reqwest, tonic | their own |
///
/// # Cardinality
///
/// Names are of low cardinality by construction. Values that the other side controls are cut at
/// [`with_value_limit`](Convention::with_value_limit).
#[derive(Debug, Clone)]
pub struct SpanLayer {
    layer: ObserveLayer<SpanObserver>,
}

impl SpanLayer {
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
        Self { layer: ObserveLayer::new(convention, SpanObserver::default()) }
    }

    /// Uses this provider instead of the global one, which is looked up at the first request.
    #[must_use]
    pub fn with_tracer_provider<P>(self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
    {
        Self { layer: self.layer.map(|observer| observer.with_tracer_provider(provider)) }
    }

    /// Takes a parent's word that its trace is not sampled: no span is begun for the exchange, and
    /// the parent's context is passed on as it is. It halves the cost of such requests.
    ///
    /// It is for a sampler that follows its parent, as the SDK's default does (`parentbased_*`): the
    /// sampler isn't asked, and what it would have been told is not gathered. Logs have the ids of the
    /// parent's span; an exchange without a parent, or with one that is sampled, is as always.
    #[must_use]
    pub fn with_parent_decision(self) -> Self {
        Self { layer: self.layer.map(SpanObserver::with_parent_decision) }
    }
}

impl<S> Layer<S> for SpanLayer {
    type Service = Observe<S, SpanObserver>;

    fn layer(&self, inner: S) -> Self::Service {
        self.layer.layer(inner)
    }
}

/// The observer of a [`SpanLayer`].
#[derive(Clone, Default)]
pub struct SpanObserver {
    shared: Arc<Shared>,
    follows_parent: bool,
}

#[derive(Default)]
struct Shared {
    tracer: OnceLock<Box<dyn StartSpan>>,
    /// How many times in a row the tracer has made no span, as without a provider, or after its end.
    none_made: AtomicU32,
    skipped: AtomicU32,
}

impl SpanObserver {
    pub(crate) fn with_tracer_provider<P>(self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
    {
        let tracer: Box<dyn StartSpan> = Box::new(provider.tracer_with_scope(Convention::scope()));
        let shared = Shared { tracer: OnceLock::from(tracer), ..Shared::default() };
        Self { shared: Arc::new(shared), ..self }
    }

    pub(crate) fn with_parent_decision(self) -> Self {
        Self { follows_parent: true, ..self }
    }

    /// Whether the tracer makes spans, as far as is known.
    fn makes_spans(&self) -> bool {
        self.shared.none_made.load(Ordering::Relaxed) < MAKES_NONE
    }

    /// Whether to ask the tracer for no span. One that makes none is asked again now and then: it may
    /// be one of its own kind, that begins to.
    fn skips(&self) -> bool {
        if self.makes_spans() {
            return false;
        }
        // Not `fetch_add`, which costs more: a lost count only delays the next question.
        let skipped = self.shared.skipped.load(Ordering::Relaxed);
        self.shared.skipped.store(skipped.wrapping_add(1), Ordering::Relaxed);
        skipped % ASK_AGAIN_AFTER != ASK_AGAIN_AFTER - 1
    }

    /// Takes note of a span that was made, or was none.
    fn count(&self, is_noop: bool) {
        let none_made = &self.shared.none_made;
        // Read before it is written: all threads share it.
        match (is_noop, none_made.load(Ordering::Relaxed)) {
            (false, 0) | (true, MAKES_NONE..) => {}
            (false, _) => none_made.store(0, Ordering::Relaxed),
            (true, _) => _ = none_made.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn tracer(&self) -> &dyn StartSpan {
        let global = || Box::new(global::tracer_with_scope(Convention::scope())) as _;
        &**self.shared.tracer.get_or_init(global)
    }
}

impl fmt::Debug for SpanObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpanObserver")
    }
}

/// Whether the current span is of a trace that is not sampled.
fn is_in_unsampled_trace(context: &Context) -> bool {
    let span = context.span();
    let span = span.span_context();
    span.is_valid() && !span.is_sampled()
}

/// What is remembered of a span's beginning.
#[derive(Debug)]
pub struct Started {
    is_recording: bool,
    had_route: bool,
    has_own_name: bool,
}

impl Observer for SpanObserver {
    type State = Started;

    fn on_request(&self, exchange: &mut Exchange, head: &mut request::Parts) -> Option<Started> {
        let is_public = exchange.convention().is_public_endpoint();
        if exchange.is_recorded() && !is_public && self.skips() {
            // Where nobody records, nothing is claimed.
            return None;
        }
        if !exchange.claim(Signal::Span) || !exchange.is_recorded() {
            return None;
        }
        // A public endpoint's span is a root, whatever its caller says.
        if self.follows_parent && !is_public && exchange.with_context(is_in_unsampled_trace) {
            return None;
        }
        exchange.read_request(head);
        let started_at = exchange.read_clock();
        exchange.count_attempt();
        let (convention, facts) = (exchange.convention(), exchange.facts()?);
        let own_name = convention.overridden_name(head);
        let (had_route, has_own_name) = (facts.route().is_some(), own_name.is_some());
        let mut builder =
            SpanBuilder::from_name(own_name.unwrap_or_else(|| Convention::span_name(facts)))
                .with_kind(convention.span_kind())
                .with_start_time(started_at);
        builder.attributes = Some(convention.request_attributes(facts, head));
        // Without a provider, or with one that was shut down, a span is none or its parent; the
        // caller's context still goes on.
        let ((started, is_recording), is_noop) = exchange.with_context(|context| {
            let started = if is_public {
                let caller = context.span().span_context().clone();
                let builder = builder.with_links(vec![Link::with_context(caller)]);
                // A root has no parent at all: samplers take an invalid one for an unsampled one.
                self.tracer().start(builder, &Context::new(), context)
            } else {
                self.tracer().start(builder, context, context)
            };
            let (caller, span) = (context.span(), started.0.span());
            let (caller, span) = (caller.span_context(), span.span_context());
            let is_noop = !span.is_valid() || span.span_id() == caller.span_id();
            (started, is_noop)
        });
        self.count(is_noop);
        if is_noop {
            exchange.release(Signal::Span);
        }
        if is_noop && !is_public {
            return None;
        }
        exchange.set_context(started);
        Some(Started { is_recording, had_route, has_own_name })
    }

    fn on_response(&self, exchange: &Exchange, started: &mut Started, head: &mut response::Parts) {
        let convention = exchange.convention();
        if let Some(name) = convention.server_timing().filter(|_| convention.side() == Side::Server)
        {
            tell_trace(name, &exchange.context(), &mut head.headers);
        }
        if started.is_recording {
            let Some(facts) = exchange.facts() else { return };
            let attributes = exchange.convention().response_attributes(facts, head);
            if !attributes.is_empty() {
                exchange.with_span(|span| span.set_attributes(attributes));
            }
        }
    }

    fn on_end(&self, exchange: &Exchange, started: Started) {
        let Some(facts) = exchange.facts().filter(|_| started.is_recording) else { return };
        exchange.with_span(|span| {
            let new_name = Convention::renamed(facts, started.had_route);
            if let Some(name) = new_name.filter(|_| !started.has_own_name) {
                span.update_name(name);
            }
            span.set_attributes(exchange.convention().end_attributes(facts, started.had_route));
            if facts.error_type().is_some() {
                let message = facts.error_message().unwrap_or_default().to_owned();
                span.set_status(Status::Error { description: Cow::Owned(message) });
            }
            // The same duration as the metric, also if the system clock was set meanwhile.
            span.end_with_timestamp(exchange.started_at() + exchange.elapsed());
        });
    }

    fn asks_for_time(&self) -> bool {
        // Where parents decide, most exchanges may have no span.
        self.makes_spans() && !self.follows_parent
    }
}

/// Adds the header by which a caller learns of the trace.
fn tell_trace(name: &str, context: &Context, headers: &mut HeaderMap) {
    // Without a provider the span is still the caller's, who knows it.
    let Some(parent) =
        TraceParent::of(context).filter(|_| !context.span().span_context().is_remote())
    else {
        return;
    };
    let value = format!("{name};desc=\"{}\"", parent.to_text());
    let Ok(value) = HeaderValue::try_from(value) else { return };
    // Appending panics where the map is full.
    let _ = headers.try_append(SERVER_TIMING, value);
    let _ = headers.try_append(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Server-Timing"),
    );
}

/// So many spans in a row that were none show that there are none to be had.
const MAKES_NONE: u32 = 256;

/// A tracer that makes none may be one of its own kind, that begins to.
const ASK_AGAIN_AFTER: u32 = 128;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A tracer without its type: what it starts goes straight into a context.
trait StartSpan: Send + Sync {
    /// Starts a child of `parent`, in a copy of `context`, and tells whether it is recorded.
    fn start(&self, builder: SpanBuilder, parent: &Context, context: &Context) -> (Context, bool);
}

impl<T> StartSpan for T
where
    T: Tracer + Send + Sync,
    T::Span: Span + Send + Sync + 'static,
{
    fn start(&self, builder: SpanBuilder, parent: &Context, context: &Context) -> (Context, bool) {
        let span = self.build_with_context(builder, parent);
        match span.is_recording() {
            true => (context.with_span(span), true),
            // Of a span that isn't recorded its ids are all there is: it needs no box and no lock.
            false => (context.with_remote_span_context(span.span_context().clone()), false),
        }
    }
}
