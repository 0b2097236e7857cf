//! `Convention`: the options of both sides.

use std::{borrow::Cow, env, fmt, marker::PhantomData, sync::Arc};

use ::http::{HeaderName, Method, request};
use opentelemetry::StringValue;

use super::{
    error::kinds::ErrorKinds, names::KNOWN_METHODS_VARIABLE, options::Options, protocol::Protocol,
    side::ConventionSide,
};

/// The options that the layers of one stack share: what they record, and how it is named.
///
/// [`Convention::server`] and [`Convention::client`] create one with all defaults. An option that has
/// a meaning on one side only exists only there. Give a clone of the convention to each layer of a
/// stack:
///
/// ```
/// use tower_telemetry::{Convention, MetricsLayer, PropagationLayer, SpanLayer, filter};
///
/// let convention = Convention::server()
///     .with_filter(filter::except_paths(["/healthz"]))
///     .with_request_headers([http::header::CONTENT_TYPE]);
///
/// let propagation = PropagationLayer::new(convention.clone());
/// let span = SpanLayer::new(convention.clone());
/// let metrics = MetricsLayer::new(convention);
/// ```
///
/// A client has no public endpoint:
///
/// ```compile_fail
/// use tower_telemetry::Convention;
///
/// let convention = Convention::client().with_public_endpoint();
/// ```
///
/// A server has no origin:
///
/// ```compile_fail
/// use tower_telemetry::Convention;
///
/// let convention = Convention::server().with_origin("http://a".parse().unwrap());
/// ```
///
/// # Hooks
///
/// The functions given to `with_*` methods are called when an exchange begins, or when its response
/// head or its error arrives. They are never called while something is dropped. A hook that panics
/// panics in the caller's call or poll.
pub struct Convention<S> {
    pub(super) options: Options,
    side: PhantomData<fn() -> S>,
}

impl<S: ConventionSide> Convention<S> {
    pub(super) fn new() -> Self {
        Self { options: Options::new(S::SIDE), side: PhantomData }
    }

    /// Records only the exchanges that `records` accepts. It replaces an earlier filter.
    ///
    /// The others have no span and are not counted. Their context is still propagated, so that traces
    /// continue through them. [`filter`](crate::filter) has ready-made filters.
    #[must_use]
    pub fn with_filter<F>(self, records: F) -> Self
    where
        F: Fn(&request::Parts) -> bool + Send + Sync + 'static,
    {
        self.set(|options| options.set_filter(records))
    }

    /// Records all exchanges by the rules of one protocol.
    ///
    /// By default the content type decides for each request: `application/grpc`, with or without a
    /// suffix, makes a `POST` a gRPC call. Everything else is HTTP, gRPC-Web included. A server must also
    /// have shown that it serves gRPC, see [`SpanLayer`](crate::SpanLayer). Choose a protocol to decide
    /// before the first answer.
    #[must_use]
    pub fn with_protocol(self, protocol: Protocol) -> Self {
        self.set(|options| options.protocol = Some(protocol))
    }

    /// Lists the gRPC services that exist, by their full name (tonic's `NamedService::NAME`), or single
    /// methods as `package.Service/Method`.
    ///
    /// A call to anything else has the method `_OTHER`. A listed method is known from the start, and so
    /// are up to 100 methods of a listed service that hang, panic or are cancelled before their first
    /// answer. Without this list a server's method is known once it has answered: see
    /// [`MetricsLayer`](crate::MetricsLayer). A client's methods are those that it calls. Give the list
    /// to a client that forwards the calls of others.
    #[must_use]
    pub fn with_known_services<I>(self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Cow<'static, str>>,
    {
        let names = names.into_iter().map(Into::into).collect();
        self.set(|options| options.known_services = Some(names))
    }

    /// Replaces the list of known request methods.
    ///
    /// Default: the methods of RFC 9110, `PATCH` and `QUERY`. Other methods are recorded as `_OTHER`,
    /// and on the span also in `http.request.method_original`. Methods are case-sensitive.
    #[must_use]
    pub fn with_known_methods(self, methods: impl IntoIterator<Item = Method>) -> Self {
        let methods = methods.into_iter().map(|method| shared(method.as_str())).collect();
        self.set(|options| options.known_methods = methods)
    }

    /// Replaces the list of known request methods if the environment variable
    /// `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` has one: method names separated by commas.
    ///
    /// The variable is read when this is called. No other method of a convention reads the
    /// environment.
    #[must_use]
    pub fn with_known_methods_from_env(self) -> Self {
        match env::var(KNOWN_METHODS_VARIABLE) {
            Ok(list) if !list.trim().is_empty() => {
                let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
                let methods = names.map(shared).collect();
                self.set(|options| options.known_methods = methods)
            }
            _ => self,
        }
    }

    /// Replaces the list of query parameters whose values are redacted in `url.query` and `url.full`.
    ///
    /// Default: `X-Amz-Signature`, `X-Amz-Credential`, `X-Amz-Security-Token`, `AWSAccessKeyId`,
    /// `Signature`, `sig` and `X-Goog-Signature`. Names are case-sensitive, as the semantic conventions
    /// require. User and password of a URL are always redacted.
    #[must_use]
    pub fn with_sensitive_query_parameters<I>(self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Cow<'static, str>>,
    {
        let names = names.into_iter().map(Into::into).collect();
        self.set(|options| options.sensitive_query_parameters = names)
    }

    /// Captures these request headers on the span, as `http.request.header.<name>` or
    /// `rpc.request.header.<name>`. Default: none.
    ///
    /// Each value is an array with one element per header line. Credentials are never captured: the
    /// values of `authorization`, `proxy-authorization`, `cookie`, `set-cookie` and values marked as
    /// sensitive become `REDACTED`.
    #[must_use]
    pub fn with_request_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = names.into_iter().collect();
        self.set(|options| options.request_headers = names)
    }

    /// Captures these response headers on the span, as `http.response.header.<name>` or
    /// `rpc.response.header.<name>`. Default: none.
    ///
    /// Values are recorded like those of [`with_request_headers`](Self::with_request_headers).
    #[must_use]
    pub fn with_response_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = names.into_iter().collect();
        self.set(|options| options.response_headers = names)
    }

    /// Captures these trailers of gRPC calls on the span, as `rpc.response.trailer.<name>`.
    /// Default: none.
    ///
    /// Values are recorded like those of [`with_request_headers`](Self::with_request_headers). Binary
    /// metadata (`-bin`) stays in Base64.
    #[must_use]
    pub fn with_response_trailers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = names.into_iter().collect();
        self.set(|options| options.response_trailers = names)
    }

    /// Sets the length in bytes at which values of the other side are truncated. Default: 1024.
    ///
    /// It applies to `url.path`, `url.query`, `url.full`, `user_agent.original`,
    /// `http.request.method_original`, `server.address` and captured headers. The minimum is 4, so that
    /// no value becomes empty.
    #[must_use]
    pub fn with_value_limit(self, bytes: usize) -> Self {
        self.set(|options| options.value_limit = bytes.max(4))
    }

    /// Turns the metric label `status_class` (`1xx` to `5xx`) on or off. Default: on.
    #[must_use]
    pub fn with_status_class(self, enabled: bool) -> Self {
        self.set(|options| options.status_class = enabled)
    }

    /// Recognises the errors of these crates in `error.type`, in addition to earlier ones.
    ///
    /// Default: only the kinds of `std::io::Error`. The choice is explicit because Cargo features are
    /// shared by the whole program and must not change telemetry.
    #[must_use]
    pub fn with_error_kinds(self, kinds: impl IntoIterator<Item = ErrorKinds>) -> Self {
        self.set(|options| options.add_error_kinds(kinds))
    }

    pub(super) fn set(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Returns the options, without the type of the side.
    pub(crate) fn into_options(self) -> Options {
        self.options
    }
}

impl<S> Clone for Convention<S> {
    fn clone(&self) -> Self {
        Self { options: self.options.clone(), side: PhantomData }
    }
}

impl<S> fmt::Debug for Convention<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Convention").field("side", &self.options.side()).finish_non_exhaustive()
    }
}

/// Creates a string that is cloned without a copy.
fn shared(text: &str) -> StringValue {
    Arc::<str>::from(text).into()
}
