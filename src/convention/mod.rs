//! What is emitted: heads and ends in, names and attributes out. No clock, no context, no provider.

mod address;
mod capture;
mod code;
mod error;
mod facts;
pub mod filter;
mod forwarded;
mod hosts;
mod http;
mod instruments;
mod intern;
mod labels;
mod names;
mod parties;
mod protocol;
mod redact;
mod route;
mod rpc;
mod series;
mod template;

use std::{borrow::Cow, error::Error, fmt, net::SocketAddr, sync::Arc};

use ::http::{HeaderName, Uri, request, response};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue};

pub(crate) use self::{
    facts::announced_length, instruments::Instrument, labels::LabelSet, series::Identity,
};
pub use self::{
    facts::{Facts, RequestBodySize},
    forwarded::TrustedProxies,
    labels::Labels,
    protocol::Protocol,
    route::{Route, UrlTemplate},
};
use self::{hosts::Hosts, intern::Interner};

/// The side of an exchange that a layer stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Side {
    /// Around a service that answers requests: `SERVER` spans, `http.server.*` metrics.
    Server,
    /// Around a service that sends requests: `CLIENT` spans, `http.client.*` metrics.
    Client,
}

/// Everything that the layers of this crate share: which side they stand on, what they record, and
/// how it is named.
///
/// A convention is cheap to clone. Give the same one to each layer of a stack:
///
/// ```
/// use tower_telemetry::{Convention, MetricsLayer, PropagationLayer, SpanLayer};
///
/// let convention = Convention::server()
///     .with_filter(|request| request.uri.path() != "/healthz")
///     .with_request_headers(["content-type"]);
///
/// let propagation = PropagationLayer::new(convention.clone());
/// let span = SpanLayer::new(convention.clone());
/// let metrics = MetricsLayer::new(convention);
/// ```
///
/// # Hooks
///
/// The functions given to the `with_*` methods are called at the beginning of an exchange, or when
/// its response head or its error is there; never while something is dropped. One that panics
/// panics in the caller's call or poll.
///
/// # Environment
///
/// [`server`](Self::server) and [`client`](Self::client) read
/// `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` once; see
/// [`with_known_methods`](Self::with_known_methods).
#[derive(Clone)]
pub struct Convention {
    settings: Arc<Settings>,
}

type RequestFn<T> = Arc<dyn Fn(&request::Parts) -> T + Send + Sync>;
type ResponseFn<T> = Arc<dyn Fn(&response::Parts) -> T + Send + Sync>;
type ErrorFn<T> = Arc<dyn Fn(&(dyn Error + 'static)) -> T + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Settings {
    side: Side,
    protocol: Option<Protocol>,
    strings: Arc<Interner>,
    hosts: Arc<Hosts>,
    user_agents: Arc<Interner>,
    methods: Arc<rpc::Methods>,
    known_services: Option<Vec<Cow<'static, str>>>,
    known_methods: Vec<StringValue>,
    sensitive_query_parameters: Vec<Cow<'static, str>>,
    value_limit: usize,
    status_class: bool,
    public_endpoint: bool,
    handler_labels: bool,
    server_timing: Option<Cow<'static, str>>,
    scheme: Option<address::HttpScheme>,
    origin: Option<Uri>,
    trusted: Option<TrustedProxies>,
    request_headers: Vec<HeaderName>,
    response_headers: Vec<HeaderName>,
    response_trailers: Vec<HeaderName>,
    filter: Option<RequestFn<bool>>,
    end_at_head: Option<RequestFn<bool>>,
    route: Option<RequestFn<Option<Route>>>,
    peer: Option<RequestFn<Option<SocketAddr>>>,
    span_name: Option<RequestFn<Option<Cow<'static, str>>>>,
    request_attributes: Option<RequestFn<Vec<KeyValue>>>,
    response_attributes: Option<ResponseFn<Vec<KeyValue>>>,
    request_labels: Option<RequestFn<Vec<KeyValue>>>,
    response_labels: Option<ResponseFn<Vec<KeyValue>>>,
    error_type: Option<ErrorFn<Option<Cow<'static, str>>>>,
    error_types: Vec<error::DowncastFn>,
}

impl Convention {
    /// The convention of a server, with all defaults.
    pub fn server() -> Self {
        Self::new(Side::Server)
    }

    /// The convention of a client, with all defaults.
    pub fn client() -> Self {
        Self::new(Side::Client)
    }

    /// Records only the exchanges that `records` accepts.
    ///
    /// The others have no span and are not counted; their context is still propagated, so a trace
    /// goes on through them.
    ///
    /// ```
    /// # use tower_telemetry::Convention;
    /// let convention = Convention::server().with_filter(|request| request.uri.path() != "/healthz");
    /// ```
    #[must_use]
    pub fn with_filter<F>(self, records: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.set(|settings| settings.filter = Some(Arc::new(records)))
    }

    /// Records all exchanges by the rules of one protocol.
    ///
    /// By default it is decided for each request by its content type: `application/grpc`, with or
    /// without a suffix, makes a `POST` gRPC, and all else is HTTP, gRPC-Web included. A server that has
    /// no gRPC may pin HTTP, so that no caller decides it.
    #[must_use]
    pub fn with_protocol(self, protocol: Protocol) -> Self {
        self.set(|settings| settings.protocol = Some(protocol))
    }

    /// The gRPC services that there are, as tonic's `NamedService::NAME` tells them, or single
    /// methods of them, as `package.Service/Method`.
    ///
    /// A call to anything else is of the method `_OTHER`. Without this list, a server's method is
    /// known once it has answered: see [`MetricsLayer`](crate::MetricsLayer). A client's is what it
    /// calls; give the list where a client passes on what *its* callers ask for.
    #[must_use]
    pub fn with_known_services<I>(self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Cow<'static, str>>,
    {
        let names = names.into_iter().map(Into::into).collect();
        self.set(|settings| settings.known_services = Some(names))
    }

    /// Finds the route of a request on a server: `http.route`.
    ///
    /// A function that answers wins over the router; where it returns `None`, the ways described
    /// at [`Route`] remain.
    ///
    /// # Cardinality
    ///
    /// The route is a metric label: return templates from a closed set.
    #[must_use]
    pub fn with_route<F>(self, route: F) -> Self
    where
        F: Fn(&request::Parts) -> Option<Route> + Send + Sync + 'static,
    {
        self.set(|settings| settings.route = Some(Arc::new(route)))
    }

    /// Finds the socket peer of a request on a server: `network.peer.address`,
    /// `network.peer.port`, and `client.address` where no proxy is trusted.
    ///
    /// Where this returns `None`, axum's `ConnectInfo<SocketAddr>` (feature `axum`) and tonic's
    /// `TcpConnectInfo` (feature `tonic`) are used.
    #[must_use]
    pub fn with_peer<F>(self, peer: F) -> Self
    where
        F: Fn(&request::Parts) -> Option<SocketAddr> + Send + Sync + 'static,
    {
        self.set(|settings| settings.peer = Some(Arc::new(peer)))
    }

    /// Trusts proxies in front of a server to tell the original host, scheme and caller.
    #[must_use]
    pub fn with_trusted_proxies(self, proxies: TrustedProxies) -> Self {
        self.set(|settings| settings.trusted = Some(proxies))
    }

    /// Makes a server a public endpoint: callers are not believed to be part of our traces.
    ///
    /// Each request starts a new trace whose root span *links* to the context that the caller
    /// sent, and the caller's baggage is dropped. Of a request that the filter leaves out nothing is
    /// taken over. A [`PropagationLayer`](crate::PropagationLayer) without a span layer inside has
    /// no root span to give, and leaves the caller's as the parent.
    #[must_use]
    pub fn with_public_endpoint(self) -> Self {
        self.set(|settings| settings.public_endpoint = true)
    }

    /// The scheme of a server (`url.scheme`) whose requests don't name one: `http` by default.
    ///
    /// HTTP/1.1 requests never do, so a server that speaks TLS itself should say `https` here.
    ///
    /// # Panics
    ///
    /// Where `scheme` is neither `http` nor `https`.
    #[must_use]
    pub fn with_scheme(self, scheme: &str) -> Self {
        let known = address::HttpScheme::parse(scheme);
        assert!(known.is_some(), "the scheme is either http or https");
        self.set(|settings| settings.scheme = known)
    }

    /// Where a client's requests go whose URI is a path alone: `server.address`, `server.port` and
    /// the beginning of `url.full`.
    ///
    /// A request that names its host, in its URI or in `Host`, is believed instead.
    #[must_use]
    pub fn with_origin(self, origin: Uri) -> Self {
        self.set(|settings| settings.origin = Some(origin))
    }

    /// Replaces the list of known request methods. A method that is not in it is recorded as
    /// `_OTHER`, and as it is in `http.request.method_original`, on the span alone.
    ///
    /// By default these are the methods of RFC 9110, `PATCH` and `QUERY`, or those that the
    /// variable `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` lists, separated by commas. Both
    /// override the whole list, and methods are case-sensitive, as the conventions ask.
    #[must_use]
    pub fn with_known_methods<I>(self, methods: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Cow<'static, str>>,
    {
        let methods = methods.into_iter().map(|method| shared(method.into())).collect();
        self.set(|settings| settings.known_methods = methods)
    }

    /// Replaces the list of query parameters whose values are redacted in `url.query` and
    /// `url.full`.
    ///
    /// By default these are `X-Amz-Signature`, `X-Amz-Credential`, `X-Amz-Security-Token`,
    /// `AWSAccessKeyId`, `Signature`, `sig` and `X-Goog-Signature`. The list is overridden whole
    /// and matched case-sensitively, as the conventions ask. User and password in a URL are
    /// redacted always.
    #[must_use]
    pub fn with_sensitive_query_parameters<I>(self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Cow<'static, str>>,
    {
        let names = names.into_iter().map(Into::into).collect();
        self.set(|settings| settings.sensitive_query_parameters = names)
    }

    /// Captures these request headers on the span, as `http.request.header.<name>`.
    ///
    /// None by default. Each value is an array with an element for each line. Credentials are
    /// never captured, even if named here: `authorization`, `proxy-authorization`, `cookie`,
    /// `set-cookie` and values marked as sensitive become `REDACTED`.
    ///
    /// # Panics
    ///
    /// Where a name is not a header name.
    #[must_use]
    pub fn with_request_headers<I>(self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let names = header_names(names);
        self.set(|settings| settings.request_headers = names)
    }

    /// Captures these response headers on the span, as `http.response.header.<name>`.
    ///
    /// As [`with_request_headers`](Self::with_request_headers).
    ///
    /// # Panics
    ///
    /// Where a name is not a header name.
    #[must_use]
    pub fn with_response_headers<I>(self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let names = header_names(names);
        self.set(|settings| settings.response_headers = names)
    }

    /// Captures these trailers of gRPC calls on the span, as `rpc.response.trailer.<name>`.
    ///
    /// As [`with_request_headers`](Self::with_request_headers). Binary metadata (`-bin`) is
    /// captured as it is on the wire, in Base64.
    ///
    /// # Panics
    ///
    /// Where a name is not a header name.
    #[must_use]
    pub fn with_response_trailers<I>(self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let names = header_names(names);
        self.set(|settings| settings.response_trailers = names)
    }

    /// The length in bytes at which a value that the other side controls is cut: 1024 by default.
    ///
    /// It holds for `url.path`, `url.query`, `url.full`, `user_agent.original`,
    /// `http.request.method_original`, `server.address` and captured headers. The SDK has no such
    /// limit of its own. It is at least 4, so that no value becomes empty.
    #[must_use]
    pub fn with_value_limit(self, bytes: usize) -> Self {
        self.set(|settings| settings.value_limit = bytes.max(4))
    }

    /// Whether metrics carry `status_class` (`1xx` to `5xx`) beside the status code: they do by
    /// default.
    #[must_use]
    pub fn with_status_class(self, enabled: bool) -> Self {
        self.set(|settings| settings.status_class = enabled)
    }

    /// Ends exchanges at the response head, instead of at the end of the response body, where
    /// `ends` says so of their request.
    ///
    /// For streams without an end, whose duration says nothing. A gRPC call ends here only where
    /// its head has the status: until then nobody knows how it ends.
    #[must_use]
    pub fn with_end_at_head<F>(self, ends: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.set(|settings| settings.end_at_head = Some(Arc::new(ends)))
    }

    /// Overrides the name of the span, where `name` returns one.
    ///
    /// # Cardinality
    ///
    /// Return names from a closed set.
    #[must_use]
    pub fn with_span_name<F>(self, name: F) -> Self
    where
        F: Fn(&request::Parts) -> Option<Cow<'static, str>> + Send + Sync + 'static,
    {
        self.set(|settings| settings.span_name = Some(Arc::new(name)))
    }

    /// Adds attributes of the request to the span, at its creation, where samplers see them.
    ///
    /// One of a key that the span has replaces it: `url.path` may be scrubbed so.
    #[must_use]
    pub fn with_request_attributes<F>(self, attributes: F) -> Self
    where
        F: Fn(&request::Parts) -> Vec<KeyValue> + Send + Sync + 'static,
    {
        self.set(|settings| settings.request_attributes = Some(Arc::new(attributes)))
    }

    /// Adds attributes of the response to the span.
    #[must_use]
    pub fn with_response_attributes<F>(self, attributes: F) -> Self
    where
        F: Fn(&response::Parts) -> Vec<KeyValue> + Send + Sync + 'static,
    {
        self.set(|settings| settings.response_attributes = Some(Arc::new(attributes)))
    }

    /// Adds labels of the request to the metrics (duration and body sizes) and to the span.
    ///
    /// # Cardinality
    ///
    /// Each value of a label makes a series: return values from a closed set.
    #[must_use]
    pub fn with_request_labels<F>(self, labels: F) -> Self
    where
        F: Fn(&request::Parts) -> Vec<KeyValue> + Send + Sync + 'static,
    {
        self.set(|settings| settings.request_labels = Some(Arc::new(labels)))
    }

    /// Adds labels of the response to the metrics (duration and body sizes) and to the span.
    ///
    /// # Cardinality
    ///
    /// Each value of a label makes a series: return values from a closed set.
    #[must_use]
    pub fn with_response_labels<F>(self, labels: F) -> Self
    where
        F: Fn(&response::Parts) -> Vec<KeyValue> + Send + Sync + 'static,
    {
        self.set(|settings| settings.response_labels = Some(Arc::new(labels)))
    }

    /// Lets handlers add [`Labels`] to their exchange, through the current
    /// `opentelemetry::Context`.
    ///
    /// Off by default, for it costs an entry in the context of each exchange.
    #[must_use]
    pub fn with_handler_labels(self) -> Self {
        self.set(|settings| settings.handler_labels = true)
    }

    /// Tells callers of a server the id of the trace, in the header `Server-Timing`.
    ///
    /// The response gets `Server-Timing: <name>;desc="00-<trace id>-<span id>-<flags>"` of the
    /// server's span, and `Access-Control-Expose-Headers: Server-Timing`, so that scripts of other
    /// origins may read it. Browsers' tooling looks for the name `traceparent`; the draft of Trace
    /// Context Level 3 says `trace`.
    ///
    /// Off by default, and without effect on a client. It tells callers nothing but ids, and none
    /// where there is no span of our own.
    ///
    /// # Panics
    ///
    /// Where `name` is not a token.
    #[must_use]
    pub fn with_server_timing(self, name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        assert!(HeaderName::try_from(&*name).is_ok(), "the name of a metric is a token");
        self.set(|settings| settings.server_timing = Some(name))
    }

    /// Decides `error.type` for errors, where `kind` returns one.
    ///
    /// It is asked for the error of a service or a body, from which `source()` leads on; one of a
    /// type of your own has to be made known with [`with_error`](Self::with_error).
    ///
    /// # Cardinality
    ///
    /// `error.type` is a metric label: return kinds from a closed set, never messages.
    #[must_use]
    pub fn with_error_type<F>(self, kind: F) -> Self
    where
        F: Fn(&(dyn Error + 'static)) -> Option<Cow<'static, str>> + Send + Sync + 'static,
    {
        self.set(|settings| settings.error_type = Some(Arc::new(kind)))
    }

    /// Makes known a type of error, so that its chain of sources is searched for `error.type`.
    ///
    /// A service's error may be of any type, also of one that is no [`Error`]. Boxed errors,
    /// `io::Error`, and those of axum, hyper, reqwest, tonic and tower (with their features) are
    /// known.
    #[must_use]
    pub fn with_error<E: Error + 'static>(self) -> Self {
        self.set(|settings| settings.error_types.push(error::downcast::<E>))
    }

    /// The side that layers of this convention stand on.
    pub fn side(&self) -> Side {
        self.settings.side
    }

    pub(crate) fn is_public_endpoint(&self) -> bool {
        self.settings.public_endpoint
    }

    pub(crate) fn server_timing(&self) -> Option<&str> {
        self.settings.server_timing.as_deref()
    }

    pub(crate) fn has_handler_labels(&self) -> bool {
        self.settings.handler_labels
    }

    pub(crate) fn records(&self, head: &request::Parts) -> bool {
        self.settings.filter.as_ref().is_none_or(|records| records(head))
    }

    pub(crate) fn ends_at_head(&self, head: &request::Parts) -> bool {
        self.settings.end_at_head.as_ref().is_some_and(|ends| ends(head))
    }

    /// Who emits: the name and version of this crate, and the conventions it follows.
    pub(crate) fn scope() -> InstrumentationScope {
        InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(names::SCHEMA_URL)
            .build()
    }

    fn new(side: Side) -> Self {
        Self {
            settings: Arc::new(Settings {
                side,
                protocol: None,
                strings: Arc::new(Interner::new(MAX_STRINGS)),
                hosts: Arc::new(Hosts::of(side)),
                user_agents: Arc::new(Interner::new(MAX_USER_AGENTS)),
                methods: Arc::default(),
                known_services: None,
                known_methods: http::known_methods(),
                sensitive_query_parameters: redact::SENSITIVE_QUERY_PARAMETERS
                    .map(Cow::Borrowed)
                    .to_vec(),
                value_limit: DEFAULT_VALUE_LIMIT,
                status_class: true,
                public_endpoint: false,
                handler_labels: false,
                server_timing: None,
                scheme: None,
                origin: None,
                trusted: None,
                request_headers: Vec::new(),
                response_headers: Vec::new(),
                response_trailers: Vec::new(),
                filter: None,
                end_at_head: None,
                route: None,
                peer: None,
                span_name: None,
                request_attributes: None,
                response_attributes: None,
                request_labels: None,
                response_labels: None,
                error_type: None,
                error_types: Vec::new(),
            }),
        }
    }

    /// Whether these are the settings of that one, and not others that may be equal.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.settings, &other.settings)
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl fmt::Debug for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Convention").field("side", &self.settings.side).finish_non_exhaustive()
    }
}

/// A string that is cloned without being copied.
fn shared(value: Cow<'static, str>) -> StringValue {
    match value {
        Cow::Borrowed(value) => value.into(),
        Cow::Owned(value) => Arc::<str>::from(value).into(),
    }
}

fn header_names<I>(names: I) -> Vec<HeaderName>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let parse = |name: I::Item| {
        HeaderName::try_from(name.as_ref()).expect("a captured header has a valid name")
    };
    names.into_iter().map(parse).collect()
}

const DEFAULT_VALUE_LIMIT: usize = 1024;

/// As many as a metric has series by default in the SDK: a service with more has no use of them.
const MAX_STRINGS: usize = 2000;

/// Other services are of few kinds; browsers are of more than it would be worth to keep.
const MAX_USER_AGENTS: usize = 64;
