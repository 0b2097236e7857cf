//! What is known of an exchange: read from the request once, completed by the response and the
//! end, and turned into the attributes of every signal.

use std::{ops::DerefMut, time::Duration};

use http::{HeaderMap, StatusCode, Version, header, request, response};
use opentelemetry::{KeyValue, StringValue};

use super::{
    Convention, Labels, Route, Side, UrlTemplate,
    address::{self, HttpScheme},
    http::{Method, protocol_version},
    labels, names,
    parties::{Parties, answering_peer},
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
    // They travel with the response, from the future to its body: what few of them have is behind a
    // pointer.
    pub(super) call: Option<Box<Call>>,
    /// Of a client; of a server where proxies tell of them.
    pub(super) parties: Option<Box<Parties>>,
    pub(super) method: Method,
    /// Of a server.
    pub(super) scheme: Option<HttpScheme>,
    pub(super) version: Option<Version>,
    /// `http.route` on a server, `url.template` on a client.
    pub(super) route: Option<Template>,
    pub(super) resend_count: u32,
    slot: Option<RouteSlot>,
    pub(super) status: Option<StatusCode>,
    pub(super) error_type: Option<StringValue>,
    own_labels: Option<Box<OwnLabels>>,
    request_size: Option<u64>,
}

/// The labels that hooks gave to an exchange, and its handler, whose join them at the end.
#[derive(Debug, Default)]
struct OwnLabels {
    labels: Vec<KeyValue>,
    of_handler: Option<Labels>,
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

    pub(super) fn protocol_version(&self) -> Option<KeyValue> {
        let version = protocol_version(self.version?)?;
        Some(KeyValue::new(names::NETWORK_PROTOCOL_VERSION, version))
    }

    pub(super) fn push_error(&self, attributes: &mut impl Extend<KeyValue>) {
        let error = self.error_type.as_ref();
        attributes.extend(error.map(|kind| KeyValue::new(names::ERROR_TYPE, kind.clone())));
    }

    pub(super) fn push_labels<L>(&self, attributes: &mut L)
    where
        L: DerefMut<Target = [KeyValue]> + Extend<KeyValue>,
    {
        for label in self.own_labels.iter().flat_map(|own| &own.labels) {
            labels::set(attributes, label.clone());
        }
    }

    /// Whether the exchange may have labels that others of the same kind don't have.
    pub(super) fn has_own_labels(&self) -> bool {
        self.own_labels.as_ref().is_some_and(|own| !own.labels.is_empty())
    }

    fn add_labels(&mut self, added: Vec<KeyValue>) {
        if added.is_empty() {
            return;
        }
        let own = self.own_labels.get_or_insert_default();
        for label in added {
            labels::set(&mut own.labels, label);
        }
    }

    /// Whether the exchange is a gRPC call.
    pub(crate) fn is_call(&self) -> bool {
        self.call.is_some()
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
        self.own_labels.get_or_insert_default().of_handler = Some(labels);
    }
}

impl Convention {
    /// Reads the facts of a request.
    ///
    /// On a server whose router comes later, this leaves a slot for the route in the request's
    /// extensions; a layer inside of another of the same exchange (`is_nested`) shares its slot.
    #[inline]
    pub(crate) fn read_request(&self, head: &mut request::Parts, is_nested: bool) -> Facts {
        let settings = self.settings();
        let is_call = self.protocol_of(head) == Protocol::Grpc;
        let mut facts = Facts {
            call: is_call.then(|| Box::new(self.read_call(head))),
            parties: None,
            method: Method::new(&settings.known_methods, &head.method, settings.value_limit),
            scheme: None,
            version: None,
            route: None,
            resend_count: 0,
            slot: None,
            status: None,
            error_type: None,
            own_labels: None,
            request_size: None,
        };
        if let Some(hook) = &settings.request_labels {
            facts.add_labels(hook(head));
        }
        match settings.side {
            Side::Server => {
                facts.version = Some(head.version);
                if !is_call {
                    self.read_server(head, &mut facts, is_nested);
                }
            }
            // The version is negotiated below: the response tells.
            Side::Client => {
                facts.set_route(head.extensions.get::<UrlTemplate>().map(UrlTemplate::as_str));
                facts.parties = Some(Box::new(self.client_parties(head, is_call)));
            }
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
            if let Some(parties) = &mut facts.parties {
                parties.peer = answering_peer(&head.extensions);
            }
        }
        if facts.route.is_none() && self.side() == Side::Server {
            facts.set_route(head.extensions.get::<Route>().map(Route::as_str));
        }
        if let Some(hook) = &self.settings().response_labels {
            facts.add_labels(hook(head));
        }
    }

    /// Adds what is known at the end, and judges it.
    pub(crate) fn read_end(&self, facts: &mut Facts, end: &End<'_>, elapsed: Duration) {
        if facts.route.is_none() {
            let slot = facts.slot.take();
            facts.set_route(slot.as_ref().and_then(RouteSlot::get).map(Route::as_str));
        }
        if let Some(OwnLabels { labels, of_handler: Some(added) }) = facts.own_labels.as_deref_mut()
        {
            added.append_to(labels);
        }
        facts.error_type = match &mut facts.call {
            Some(call) => self.read_call_end(call, end, elapsed),
            None => self.read_http_end(facts.status, end),
        };
    }

    fn read_server(&self, head: &mut request::Parts, facts: &mut Facts, is_nested: bool) {
        let settings = self.settings();
        let told = match &settings.trusted {
            // The proxies tell the scheme, which is a label.
            Some(_) => {
                let parties = facts.parties.insert(Box::new(self.server_parties(head, false)));
                parties.scheme.as_ref().and_then(|scheme| HttpScheme::parse(scheme.as_str()))
            }
            None => address::requested_scheme(head),
        };
        facts.scheme = Some(self.known_scheme(told));
        match settings.route.as_ref().and_then(|hook| hook(head)) {
            Some(route) => facts.set_route(Some(route.as_str())),
            None => facts.set_route(Route::matched(&head.extensions)),
        }
        if facts.route.is_none() {
            facts.slot = Some(RouteSlot::of(&mut head.extensions, is_nested));
        }
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
