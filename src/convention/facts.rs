//! What is known of an exchange: read from the request once, completed by the response and the
//! end, and turned into the attributes of every signal.

use std::{
    net::{IpAddr, SocketAddr},
    ops::DerefMut,
    time::Duration,
};

use http::{Extensions, HeaderMap, StatusCode, Version, header, request, response};
use opentelemetry::{KeyValue, StringValue};

use super::{
    Convention, Labels, Route, Side, UrlTemplate,
    address::{self, HostPort},
    http::{Method, protocol_version},
    labels, names,
    protocol::Protocol,
    route::RouteSlot,
    rpc::Call,
    template::Template,
};
use crate::end::End;

/// What is known of an exchange so far.
///
/// The layers of one pass share these facts: they are read from the request when the first of them
/// asks, and completed when the response head and the end are there.
#[derive(Debug)]
pub struct Facts {
    // Behind a pointer, for the facts travel with the response: from the future to its body.
    pub(super) call: Option<Box<Call>>,
    pub(super) method: Method,
    pub(super) scheme: Option<StringValue>,
    pub(super) version: Option<Version>,
    pub(super) server: Option<(StringValue, Option<u16>)>,
    pub(super) client: Option<IpAddr>,
    pub(super) peer: Option<SocketAddr>,
    /// `http.route` on a server, `url.template` on a client.
    pub(super) route: Option<Template>,
    pub(super) resend_count: u32,
    slot: Option<RouteSlot>,
    pub(super) status: Option<StatusCode>,
    pub(super) error_type: Option<StringValue>,
    pub(super) labels: Vec<KeyValue>,
    handler_labels: Option<Labels>,
    request_size: Option<u64>,
    has_ends: bool,
}

/// The exact length of a request's body, for a request without a `Content-Length`.
///
/// A client's request has that header only once it is written, below the telemetry. Put this into
/// the request's extensions to have its size recorded all the same;
/// [`reqwest::Client`](crate::reqwest::Client) does so by itself.
///
/// # Example
///
/// ```
/// use http::Request;
/// use http_body::Body;
/// use tower_telemetry::RequestBodySize;
///
/// let mut request = Request::post("https://api.example.com/").body(String::from("hello")).unwrap();
/// if let Some(bytes) = request.body().size_hint().exact() {
///     request.extensions_mut().insert(RequestBodySize(bytes));
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestBodySize(pub u64);

impl Facts {
    /// The status of the response, where there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The route template of a server, or the URL template of a client, where it is known by now.
    pub fn route(&self) -> Option<&str> {
        self.route.as_ref().map(Template::as_str)
    }

    /// `error.type`: the kind of error that the exchange ended with.
    pub fn error_type(&self) -> Option<&str> {
        self.error_type.as_ref().map(StringValue::as_str)
    }

    /// The length of the request body, where it is known from the head.
    pub fn request_body_size(&self) -> Option<u64> {
        self.request_size
    }

    /// What explains the error beyond its type, where the protocol has a message for it.
    pub(crate) fn error_message(&self) -> Option<&str> {
        self.call.as_ref()?.message()
    }

    /// Takes note of a template, where there is one.
    fn set_route(&mut self, template: Option<&str>) {
        let template = template.filter(|template| !template.is_empty());
        self.route = template.map(|template| Template::new(self.method.name(), template));
    }

    pub(super) fn push_server(&self, attributes: &mut impl Extend<KeyValue>) {
        if let Some((host, port)) = &self.server {
            attributes.extend([KeyValue::new(names::SERVER_ADDRESS, host.clone())]);
            attributes.extend(port.map(|port| KeyValue::new(names::SERVER_PORT, i64::from(port))));
        }
    }

    pub(super) fn protocol_version(&self) -> Option<KeyValue> {
        let version = protocol_version(self.version?)?;
        Some(KeyValue::new(names::NETWORK_PROTOCOL_VERSION, version))
    }

    pub(super) fn push_peer(&self, attributes: &mut impl Extend<KeyValue>) {
        if let Some(peer) = self.peer {
            let address = peer.ip().to_canonical().to_string();
            attributes.extend([
                KeyValue::new(names::NETWORK_PEER_ADDRESS, address),
                KeyValue::new(names::NETWORK_PEER_PORT, i64::from(peer.port())),
            ]);
        }
    }

    pub(super) fn push_error(&self, attributes: &mut impl Extend<KeyValue>) {
        let error = self.error_type.as_ref();
        attributes.extend(error.map(|kind| KeyValue::new(names::ERROR_TYPE, kind.clone())));
    }

    pub(super) fn push_labels<L>(&self, attributes: &mut L)
    where
        L: DerefMut<Target = [KeyValue]> + Extend<KeyValue>,
    {
        for label in &self.labels {
            labels::set(attributes, label.clone());
        }
    }

    /// Whether the status of a gRPC call is still to come.
    pub(crate) fn awaits_status(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.awaits_status())
    }

    /// Tells how often the request was sent before.
    pub(crate) fn set_resend_count(&mut self, count: u32) {
        self.resend_count = count;
    }

    /// Hands over the labels that a handler may add to.
    pub(crate) fn set_handler_labels(&mut self, labels: Labels) {
        self.handler_labels = Some(labels);
    }
}

impl Convention {
    /// Reads the facts of a request.
    ///
    /// On a server whose router comes later, this leaves a slot for the route in the request's
    /// extensions; a layer inside of another of the same exchange (`is_nested`) shares its slot.
    pub(crate) fn read_request(&self, head: &mut request::Parts, is_nested: bool) -> Facts {
        let settings = self.settings();
        let protocol = self.protocol_of(head);
        let mut facts = Facts {
            call: (protocol == Protocol::Grpc).then(|| Box::new(self.read_call(head))),
            method: Method::new(&settings.known_methods, &head.method, settings.value_limit),
            scheme: None,
            version: match settings.side {
                Side::Server => Some(head.version),
                // Negotiated below: the response tells.
                Side::Client => None,
            },
            server: None,
            client: None,
            peer: None,
            route: None,
            resend_count: 0,
            slot: None,
            status: None,
            error_type: None,
            labels: settings.request_labels.as_ref().map(|hook| hook(head)).unwrap_or_default(),
            handler_labels: None,
            request_size: None,
            has_ends: false,
        };
        match settings.side {
            Side::Server => self.read_server(head, &mut facts, is_nested),
            Side::Client => self.read_client(head, &mut facts),
        }
        facts
    }

    /// Adds what the response head tells.
    pub(crate) fn read_response(&self, facts: &mut Facts, head: &response::Parts) {
        facts.status = Some(head.status);
        if let Some(call) = &mut facts.call {
            self.read_call_response(call, head);
        }
        if self.side() == Side::Client {
            facts.version = Some(head.version);
            facts.peer = answering_peer(&head.extensions);
        }
        if facts.route.is_none() && self.side() == Side::Server {
            facts.set_route(head.extensions.get::<Route>().map(Route::as_str));
        }
        if let Some(hook) = &self.settings().response_labels {
            for label in hook(head) {
                labels::set(&mut facts.labels, label);
            }
        }
    }

    /// Adds what is known at the end, and judges it.
    pub(crate) fn read_end(&self, facts: &mut Facts, end: &End<'_>, elapsed: Duration) {
        if facts.route.is_none() {
            let slot = facts.slot.take();
            facts.set_route(slot.as_ref().and_then(RouteSlot::get).map(Route::as_str));
        }
        if let Some(added) = &facts.handler_labels {
            added.append_to(&mut facts.labels);
        }
        facts.error_type = match &mut facts.call {
            Some(call) => self.read_call_end(call, end, elapsed),
            None => self.read_http_end(facts.status, end),
        };
    }

    fn read_server(&self, head: &mut request::Parts, facts: &mut Facts, is_nested: bool) {
        if facts.call.is_some() {
            return;
        }
        let settings = self.settings();
        match &settings.trusted {
            // The proxies tell the scheme, which is a label.
            Some(_) => self.read_ends(facts, head),
            None => facts.scheme = Some(self.scheme(address::requested_scheme(head))),
        }
        match settings.route.as_ref().and_then(|hook| hook(head)) {
            Some(route) => facts.set_route(Some(route.as_str())),
            None => facts.set_route(Route::matched(&head.extensions)),
        }
        if facts.route.is_none() {
            facts.slot = Some(RouteSlot::of(&mut head.extensions, is_nested));
        }
    }

    /// Adds who talks to whom on a server, which is told on spans alone.
    pub(crate) fn read_ends(&self, facts: &mut Facts, head: &request::Parts) {
        if facts.has_ends || self.side() == Side::Client {
            return;
        }
        facts.has_ends = true;
        let settings = self.settings();
        facts.peer = settings
            .peer
            .as_ref()
            .and_then(|hook| hook(head))
            .or_else(|| connected_peer(&head.extensions));
        if facts.call.is_some() {
            // As the caller asked for it; what proxies say is no part of the rules of gRPC.
            let host = address::requested_host(head);
            facts.server = host.map(|HostPort { host, port }| (self.host(host), port));
            return;
        }
        let ends = address::server_ends(head, facts.peer, settings.trusted.as_ref());
        facts.client = ends.client;
        facts.server = ends.server.map(|(host, port)| (self.host(&host), port));
        facts.scheme = Some(self.scheme(ends.scheme));
    }

    /// Adds the length of the request's body, which is measured where that is asked for.
    pub(crate) fn read_body_size(&self, facts: &mut Facts, head: &request::Parts) {
        let announced = announced_length(&head.headers).or_else(|| {
            head.extensions.get::<RequestBodySize>().map(|RequestBodySize(bytes)| *bytes)
        });
        let is_empty = || {
            let is_answered = self.side() == Side::Server && facts.call.is_none();
            (is_answered && has_no_body(head)).then_some(0)
        };
        facts.request_size = announced.or_else(is_empty);
    }

    fn scheme(&self, requested: Option<&'static str>) -> StringValue {
        requested.or(self.settings().scheme).unwrap_or("http").into()
    }

    fn read_client(&self, head: &request::Parts, facts: &mut Facts) {
        facts.set_route(head.extensions.get::<UrlTemplate>().map(UrlTemplate::as_str));
        let origin = self.settings().origin.as_ref();
        // A channel sends its calls to its origin, whatever host they name.
        let requested = match (&facts.call, origin) {
            (Some(_), Some(_)) => None,
            _ => address::requested_host(head),
        };
        let (uri, host) = match (requested, origin) {
            (Some(host), _) => (&head.uri, Some(host)),
            (None, Some(origin)) => (origin, origin.authority().and_then(address::authority_host)),
            (None, None) => (&head.uri, None),
        };
        let scheme = uri.scheme().or_else(|| origin?.scheme());
        facts.scheme = scheme.map(|scheme| StringValue::from(scheme.as_str().to_owned()));
        facts.server = host.map(|HostPort { host, port }| {
            (self.host(host), port.or_else(|| address::default_port(scheme)))
        });
    }

    fn host(&self, host: &str) -> StringValue {
        self.settings().hosts.intern(self.cap(host)).into()
    }
}

/// `Content-Length`, where it is there once, or several times alike.
pub(crate) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let first = values.next()?;
    if values.any(|other| other != first) {
        return None;
    }
    let digits = first.to_str().ok()?;
    // `parse` alone would take a sign.
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// An HTTP/1 request that announces neither a length nor a transfer coding has no body (RFC 9112,
/// section 6.3).
fn has_no_body(head: &request::Parts) -> bool {
    head.version < Version::HTTP_2
        && !head.headers.contains_key(header::CONTENT_LENGTH)
        && !head.headers.contains_key(header::TRANSFER_ENCODING)
}

/// The socket peer of a response, as hyper-util's connector tells it.
#[cfg(feature = "hyper")]
fn answering_peer(extensions: &Extensions) -> Option<SocketAddr> {
    let info = extensions.get::<hyper_util::client::legacy::connect::HttpInfo>()?;
    Some(info.remote_addr())
}

#[cfg(not(feature = "hyper"))]
fn answering_peer(_: &Extensions) -> Option<SocketAddr> {
    None
}

/// The socket peer, as the server that took the connection tells it.
fn connected_peer(extensions: &Extensions) -> Option<SocketAddr> {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(peer)) = extensions.get() {
        return Some(*peer);
    }
    #[cfg(feature = "tonic")]
    if let Some(peer) = extensions.get::<tonic::transport::server::TcpConnectInfo>() {
        return peer.remote_addr();
    }
    let _ = extensions;
    None
}
