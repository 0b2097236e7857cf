//! The rules of HTTP: names, attributes, status and `error.type` (semantic conventions v1.45).

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header, request, response};
use opentelemetry::{Array, KeyValue, StringValue, Value, trace::SpanKind};
use smallvec::SmallVec;

use super::{
    Convention, Facts, Side,
    names::{self, OTHER},
    redact::{self, REDACTED},
};
use crate::end::End;

/// The attributes of one measurement, in an order that is always the same: the SDK finds a series
/// fastest by the order it first saw.
pub(crate) type LabelSet = SmallVec<[KeyValue; 10]>;

/// What a meter needs to know of an instrument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instrument {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
}

/// A request method as it is recorded.
#[derive(Debug)]
pub(super) struct Method {
    known: Option<StringValue>,
    original: Option<String>,
}

impl Method {
    pub(super) fn new(known: &[StringValue], method: &http::Method, limit: usize) -> Self {
        let known = known.iter().find(|known| known.as_str() == method.as_str()).cloned();
        let original = known.is_none().then(|| redact::cap(method.as_str(), limit).to_owned());
        Self { known, original }
    }

    fn value(&self) -> StringValue {
        self.known.clone().unwrap_or_else(|| OTHER.into())
    }

    /// The method in a span's name.
    fn name(&self) -> &str {
        self.known.as_ref().map_or("HTTP", StringValue::as_str)
    }
}

/// The methods that are known by default, or those that the environment lists.
pub(super) fn known_methods() -> Vec<StringValue> {
    match std::env::var(names::KNOWN_METHODS_VARIABLE) {
        Ok(list) if !list.trim().is_empty() => list
            .split(',')
            .map(str::trim)
            .filter(|method| !method.is_empty())
            .map(|method| Arc::<str>::from(method).into())
            .collect(),
        _ => KNOWN_METHODS.into_iter().map(StringValue::from).collect(),
    }
}

/// The version as `network.protocol.version` has it.
pub(super) fn protocol_version(version: Version) -> Option<&'static str> {
    Some(match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_11 => "1.1",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => return None,
    })
}

impl Convention {
    pub(crate) fn span_kind(&self) -> SpanKind {
        match self.side() {
            Side::Server => SpanKind::Server,
            Side::Client => SpanKind::Client,
        }
    }

    /// The user's name for the span, which stays, whatever becomes known later.
    pub(crate) fn overridden_name(&self, head: &request::Parts) -> Option<Cow<'static, str>> {
        self.settings().span_name.as_ref().and_then(|hook| hook(head))
    }

    /// The name of a span by what is known: `{method} {route}`, else `{method}`.
    pub(crate) fn span_name(facts: &Facts) -> Cow<'static, str> {
        match &facts.route {
            Some(route) => Cow::Owned([facts.method.name(), " ", route].concat()),
            None => match &facts.method.known {
                None => Cow::Borrowed("HTTP"),
                Some(method) => KNOWN_METHODS
                    .into_iter()
                    .find(|known| *known == method.as_str())
                    .map_or_else(|| Cow::Owned(method.to_string()), Cow::Borrowed),
            },
        }
    }

    /// The attributes of a span at its creation, where samplers see them.
    pub(crate) fn request_attributes(&self, facts: &Facts, head: &request::Parts) -> Vec<KeyValue> {
        let settings = self.settings();
        let mut attributes = Vec::with_capacity(SPAN_ATTRIBUTES);
        let mut push = |key: &'static str, value: Value| attributes.push(KeyValue::new(key, value));
        push(names::HTTP_REQUEST_METHOD, facts.method.value().into());
        if let Some(original) = &facts.method.original {
            push(names::HTTP_REQUEST_METHOD_ORIGINAL, original.clone().into());
        }
        match settings.side {
            Side::Server => {
                if !head.uri.path().is_empty() {
                    push(names::URL_PATH, self.capped(head.uri.path()));
                }
                if let Some(query) = head.uri.query().filter(|query| !query.is_empty()) {
                    push(names::URL_QUERY, self.capped(&self.redacted_query(query)));
                }
                if let Some(scheme) = &facts.scheme {
                    push(names::URL_SCHEME, scheme.clone().into());
                }
                if let Some(route) = &facts.route {
                    push(names::HTTP_ROUTE, Arc::clone(route).into());
                }
                if let Some(client) = facts.client {
                    push(names::CLIENT_ADDRESS, client.to_string().into());
                }
                if let Some(peer) = facts.peer {
                    push(names::NETWORK_PEER_ADDRESS, peer.ip().to_canonical().to_string().into());
                    push(names::NETWORK_PEER_PORT, i64::from(peer.port()).into());
                }
                if let Some(agent) = head.headers.get(header::USER_AGENT).and_then(utf8) {
                    push(names::USER_AGENT_ORIGINAL, self.capped(agent));
                }
            }
            Side::Client => push(names::URL_FULL, self.capped(&self.full_url(facts, head))),
        }
        if let Some((host, port)) = &facts.server {
            push(names::SERVER_ADDRESS, host.clone().into());
            if let Some(port) = port {
                push(names::SERVER_PORT, i64::from(*port).into());
            }
        }
        if let Some(version) = facts.version {
            push(names::NETWORK_PROTOCOL_VERSION, version.into());
        }
        self.capture(
            &mut attributes,
            names::HTTP_REQUEST_HEADER,
            &settings.request_headers,
            &head.headers,
        );
        if let Some(hook) = &settings.request_attributes {
            attributes.extend(hook(head));
        }
        attributes
    }

    /// What the response head adds to a span beyond its status.
    pub(crate) fn response_attributes(&self, head: &response::Parts) -> Vec<KeyValue> {
        let settings = self.settings();
        let mut attributes = Vec::new();
        self.capture(
            &mut attributes,
            names::HTTP_RESPONSE_HEADER,
            &settings.response_headers,
            &head.headers,
        );
        if let Some(hook) = &settings.response_attributes {
            attributes.extend(hook(head));
        }
        attributes
    }

    /// What a span learns at its end; the route, if it was not known at the beginning.
    pub(crate) fn end_attributes(
        facts: &Facts,
        had_route: bool,
    ) -> impl Iterator<Item = KeyValue> + '_ {
        let status = facts.status.map(|status| {
            KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()))
        });
        let route = facts.route.as_ref().filter(|_| !had_route);
        let route = route.map(|route| KeyValue::new(names::HTTP_ROUTE, Arc::clone(route)));
        let error = facts.error_type.as_ref();
        let error = error.map(|kind| KeyValue::new(names::ERROR_TYPE, kind.clone()));
        status.into_iter().chain(route).chain(error).chain(facts.labels.iter().cloned())
    }

    /// The labels of `active_requests`: what is known when a request begins, and no more.
    pub(crate) fn active_labels(&self, facts: &Facts) -> LabelSet {
        let mut labels = LabelSet::new();
        labels.push(KeyValue::new(names::HTTP_REQUEST_METHOD, facts.method.value()));
        self.push_peer_labels(facts, &mut labels);
        labels
    }

    /// The labels of the duration and of body sizes.
    pub(crate) fn end_labels(&self, facts: &Facts) -> LabelSet {
        let mut labels = self.active_labels(facts);
        let mut push = |key: &'static str, value: Value| labels.push(KeyValue::new(key, value));
        if let Some(version) = facts.version {
            push(names::NETWORK_PROTOCOL_VERSION, version.into());
        }
        if let Some(route) = &facts.route {
            push(names::HTTP_ROUTE, Arc::clone(route).into());
        }
        if let Some(status) = facts.status {
            push(names::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()).into());
            if let Some(class) = status_class(status).filter(|_| self.settings().status_class) {
                push(names::STATUS_CLASS, class.into());
            }
        }
        if let Some(kind) = &facts.error_type {
            push(names::ERROR_TYPE, kind.clone().into());
        }
        labels.extend(facts.labels.iter().cloned());
        labels
    }

    /// `error.type`, if the exchange failed.
    ///
    /// The end outweighs the status: a response that was not delivered failed, whatever it said.
    pub(super) fn judge(&self, status: Option<StatusCode>, end: &End<'_>) -> Option<StringValue> {
        match (end, self.side()) {
            (End::Failed(failure), _) => Some(self.error_type(*failure)),
            (End::Panicked, _) => Some("panic".into()),
            (End::Dropped, Side::Server) => Some("cancelled".into()),
            // The caller lost interest, which is no error; a status that is one remains one.
            (End::Dropped, Side::Client) | (End::Complete { .. }, _) => status
                .filter(|status| self.is_error(*status))
                .map(|status| status.as_str().to_owned().into()),
        }
    }

    /// The instruments of this side.
    pub(crate) fn duration(&self) -> Instrument {
        let (name, description) = match self.side() {
            Side::Server => {
                (names::HTTP_SERVER_REQUEST_DURATION, "Duration of HTTP server requests.")
            }
            Side::Client => {
                (names::HTTP_CLIENT_REQUEST_DURATION, "Duration of HTTP client requests.")
            }
        };
        Instrument { name, unit: "s", description }
    }

    pub(crate) fn active_requests(&self) -> Instrument {
        let (name, description) = match self.side() {
            Side::Server => {
                (names::HTTP_SERVER_ACTIVE_REQUESTS, "Number of active HTTP server requests.")
            }
            Side::Client => (names::HTTP_CLIENT_ACTIVE_REQUESTS, "Number of active HTTP requests."),
        };
        Instrument { name, unit: "{request}", description }
    }

    pub(crate) fn request_body_size(&self) -> Instrument {
        let (name, description) = match self.side() {
            Side::Server => {
                (names::HTTP_SERVER_REQUEST_BODY_SIZE, "Size of HTTP server request bodies.")
            }
            Side::Client => {
                (names::HTTP_CLIENT_REQUEST_BODY_SIZE, "Size of HTTP client request bodies.")
            }
        };
        Instrument { name, unit: "By", description }
    }

    pub(crate) fn response_body_size(&self) -> Instrument {
        let (name, description) = match self.side() {
            Side::Server => {
                (names::HTTP_SERVER_RESPONSE_BODY_SIZE, "Size of HTTP server response bodies.")
            }
            Side::Client => {
                (names::HTTP_CLIENT_RESPONSE_BODY_SIZE, "Size of HTTP client response bodies.")
            }
        };
        Instrument { name, unit: "By", description }
    }

    /// What both instruments know of the other side. A server's own address is the caller's word,
    /// so it is no label.
    fn push_peer_labels(&self, facts: &Facts, labels: &mut LabelSet) {
        match (self.side(), &facts.scheme, &facts.server) {
            (Side::Server, Some(scheme), _) => {
                labels.push(KeyValue::new(names::URL_SCHEME, scheme.clone()));
            }
            (Side::Client, _, Some((host, port))) => {
                labels.push(KeyValue::new(names::SERVER_ADDRESS, host.clone()));
                if let Some(port) = port {
                    labels.push(KeyValue::new(names::SERVER_PORT, i64::from(*port)));
                }
            }
            _ => {}
        }
    }

    fn is_error(&self, status: StatusCode) -> bool {
        match self.side() {
            Side::Server => status.as_u16() >= 500,
            Side::Client => status.as_u16() >= 400,
        }
    }

    /// The URL that a client asked for, whole as far as it is known, without credentials.
    fn full_url(&self, facts: &Facts, head: &request::Parts) -> String {
        let mut url = String::with_capacity(128);
        if let Some((host, port)) = &facts.server {
            if let Some(scheme) = &facts.scheme {
                url.push_str(scheme.as_str());
                url.push(':');
            }
            url.push_str("//");
            match head.uri.authority() {
                Some(authority) => url.push_str(&redact::userinfo(authority.as_str())),
                None => push_host(&mut url, host.as_str(), *port, facts.scheme.as_ref()),
            }
        }
        url.push_str(head.uri.path());
        if let Some(query) = head.uri.query() {
            url.push('?');
            url.push_str(&self.redacted_query(query));
        }
        url
    }

    fn redacted_query<'a>(&self, query: &'a str) -> Cow<'a, str> {
        redact::query(query, &self.settings().sensitive_query_parameters)
    }

    fn capped(&self, value: &str) -> Value {
        redact::cap(value, self.settings().value_limit).to_owned().into()
    }

    fn capture(
        &self,
        attributes: &mut Vec<KeyValue>,
        prefix: &str,
        names: &[HeaderName],
        headers: &HeaderMap,
    ) {
        for name in names {
            let is_credential = CREDENTIALS.contains(name);
            let value = |value: &HeaderValue| {
                if is_credential || value.is_sensitive() {
                    return Some(StringValue::from(REDACTED));
                }
                let value = redact::cap(utf8(value)?, self.settings().value_limit);
                Some(StringValue::from(value.to_owned()))
            };
            let values: Vec<_> = headers.get_all(name).iter().filter_map(value).collect();
            if !values.is_empty() {
                let key = format!("{prefix}.{name}");
                attributes.push(KeyValue::new(key, Value::Array(Array::String(values))));
            }
        }
    }
}

fn push_host(url: &mut String, host: &str, port: Option<u16>, scheme: Option<&StringValue>) {
    let is_v6 = host.contains(':');
    url.push_str(if is_v6 { "[" } else { "" });
    url.push_str(host);
    url.push_str(if is_v6 { "]" } else { "" });
    let default = match scheme.map(StringValue::as_str) {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    };
    if let Some(port) = port.filter(|port| Some(*port) != default) {
        url.push(':');
        url.push_str(&port.to_string());
    }
}

fn status_class(status: StatusCode) -> Option<&'static str> {
    // Status codes beyond 599 exist on the wire, and are of no class.
    Some(match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => return None,
    })
}

/// The text of a header that is text, and not empty.
fn utf8(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok().filter(|value| !value.is_empty())
}

/// RFC 9110, RFC 5789 (`PATCH`) and `QUERY`.
const KNOWN_METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "QUERY", "CONNECT", "TRACE"];

/// Headers that carry credentials by their purpose.
const CREDENTIALS: [HeaderName; 4] =
    [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::SET_COOKIE];

/// Room for what a span usually has, those of its end included, so that it doesn't grow.
const SPAN_ATTRIBUTES: usize = 16;
