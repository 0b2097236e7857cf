//! The options of a convention: plain data, set by `Convention` and read by the rules.

use std::{borrow::Cow, net::SocketAddr, sync::Arc};

use http::{HeaderName, request, response};
use opentelemetry::{KeyValue, StringValue};

use super::{
    error::{classify::ErrorRules, kinds::ErrorKinds},
    http::method::KNOWN_METHODS,
    parties::{forwarded::TrustedProxies, origin::Origin, scheme::HttpScheme},
    protocol::Protocol,
    route::Route,
    side::Side,
    values::SENSITIVE_QUERY_PARAMETERS,
};

pub(crate) type RequestFn<T> = Arc<dyn Fn(&request::Parts) -> T + Send + Sync>;
pub(crate) type ResponseFn<T> = Arc<dyn Fn(&response::Parts) -> T + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) side: SideOptions,
    pub(super) protocol: Option<Protocol>,
    pub(super) known_services: Option<Vec<Cow<'static, str>>>,
    pub(super) known_methods: Vec<StringValue>,
    pub(super) sensitive_query_parameters: Vec<Cow<'static, str>>,
    pub(super) value_limit: usize,
    pub(super) status_class: bool,
    pub(super) handler_labels: bool,
    pub(super) request_headers: Vec<HeaderName>,
    pub(super) response_headers: Vec<HeaderName>,
    pub(super) response_trailers: Vec<HeaderName>,
    pub(super) filter: Option<RequestFn<bool>>,
    pub(super) end_at_head: Option<RequestFn<bool>>,
    pub(super) span_name: Option<RequestFn<Option<Cow<'static, str>>>>,
    pub(super) request_attributes: Option<RequestFn<Vec<KeyValue>>>,
    pub(super) response_attributes: Option<ResponseFn<Vec<KeyValue>>>,
    pub(super) request_labels: Option<RequestFn<Vec<KeyValue>>>,
    pub(super) response_labels: Option<ResponseFn<Vec<KeyValue>>>,
    pub(super) errors: ErrorRules,
}

/// The options that have a meaning on one side only.
#[derive(Clone)]
pub(crate) enum SideOptions {
    Server(ServerOptions),
    Client(ClientOptions),
}

#[derive(Clone, Default)]
pub(crate) struct ServerOptions {
    pub(super) public_endpoint: bool,
    pub(super) server_timing: bool,
    pub(super) scheme: HttpScheme,
    pub(super) trusted: Option<TrustedProxies>,
    pub(super) route: Option<RequestFn<Option<Route>>>,
    pub(super) peer: Option<RequestFn<Option<SocketAddr>>>,
}

#[derive(Clone, Default)]
pub(crate) struct ClientOptions {
    pub(super) origin: Option<Origin>,
}

impl Options {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side: match side {
                Side::Server => SideOptions::Server(ServerOptions::default()),
                Side::Client => SideOptions::Client(ClientOptions::default()),
            },
            protocol: None,
            known_services: None,
            known_methods: KNOWN_METHODS.into_iter().map(StringValue::from).collect(),
            sensitive_query_parameters: SENSITIVE_QUERY_PARAMETERS.map(Cow::Borrowed).to_vec(),
            value_limit: DEFAULT_VALUE_LIMIT,
            status_class: true,
            handler_labels: false,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            response_trailers: Vec::new(),
            filter: None,
            end_at_head: None,
            span_name: None,
            request_attributes: None,
            response_attributes: None,
            request_labels: None,
            response_labels: None,
            errors: ErrorRules::default(),
        }
    }

    pub(crate) fn set_filter(
        &mut self,
        records: impl Fn(&request::Parts) -> bool + Send + Sync + 'static,
    ) {
        self.filter = Some(Arc::new(records));
    }

    pub(crate) fn add_error_kinds(&mut self, kinds: impl IntoIterator<Item = ErrorKinds>) {
        self.errors.kinds.extend(kinds);
    }

    pub(crate) fn side(&self) -> Side {
        match self.side {
            SideOptions::Server(_) => Side::Server,
            SideOptions::Client(_) => Side::Client,
        }
    }

    pub(super) fn server(&self) -> Option<&ServerOptions> {
        match &self.side {
            SideOptions::Server(server) => Some(server),
            SideOptions::Client(_) => None,
        }
    }

    pub(crate) fn is_public_endpoint(&self) -> bool {
        self.server().is_some_and(|server| server.public_endpoint)
    }

    pub(crate) fn has_server_timing(&self) -> bool {
        self.server().is_some_and(|server| server.server_timing)
    }

    pub(crate) fn has_handler_labels(&self) -> bool {
        self.handler_labels
    }

    /// Returns true if the filter lets this request be recorded.
    pub(crate) fn records(&self, head: &request::Parts) -> bool {
        self.filter.as_ref().is_none_or(|records| records(head))
    }

    pub(crate) fn ends_at_head(&self, head: &request::Parts) -> bool {
        self.end_at_head.as_ref().is_some_and(|ends| ends(head))
    }
}

const DEFAULT_VALUE_LIMIT: usize = 1024;
