//! The rules of HTTP: names, attributes, status and `error.type` (semantic conventions v1.45).

use std::{borrow::Cow, sync::Arc};

use http::{StatusCode, Version, header, request};
use opentelemetry::{KeyValue, StringValue};

use super::{
    Convention, Facts, Side,
    capture::utf8,
    labels::LabelSet,
    names::{self, OTHER},
    parties::Parties,
    protocol::EndAttributes,
    redact,
};
use crate::end::End;

/// A request method as it is recorded.
#[derive(Debug)]
pub(super) enum Method {
    Known(StringValue),
    /// As it was sent, cut.
    Other(Box<str>),
}

impl Method {
    pub(super) fn new(known: &[StringValue], method: &http::Method, limit: usize) -> Self {
        match known.iter().find(|known| known.as_str() == method.as_str()) {
            Some(known) => Self::Known(known.clone()),
            None => Self::Other(redact::cap(method.as_str(), limit).into()),
        }
    }

    fn value(&self) -> StringValue {
        match self {
            Self::Known(method) => method.clone(),
            Self::Other(_) => OTHER.into(),
        }
    }

    /// The method as an attribute.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Known(method) => method.as_str(),
            Self::Other(_) => OTHER,
        }
    }

    /// The method in a span's name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Known(method) => method.as_str(),
            Self::Other(_) => "HTTP",
        }
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
    /// `{method} {route}`, else `{method}`.
    pub(super) fn http_name(facts: &Facts) -> Cow<'static, str> {
        match (&facts.route, &facts.method) {
            (Some(route), method) => route.span_name(method.name()),
            (None, Method::Other(_)) => Cow::Borrowed("HTTP"),
            (None, Method::Known(method)) => KNOWN_METHODS
                .into_iter()
                .find(|known| *known == method.as_str())
                .map_or_else(|| Cow::Owned(method.to_string()), Cow::Borrowed),
        }
    }

    pub(super) fn http_attributes(
        &self,
        attributes: &mut Vec<KeyValue>,
        facts: &Facts,
        parties: &Parties,
        head: &request::Parts,
    ) {
        attributes.push(KeyValue::new(names::HTTP_REQUEST_METHOD, facts.method.value()));
        if let Method::Other(original) = &facts.method {
            let original = String::from(&**original);
            attributes.push(KeyValue::new(names::HTTP_REQUEST_METHOD_ORIGINAL, original));
        }
        match self.side() {
            Side::Server => self.http_server_attributes(attributes, facts, parties, head),
            Side::Client => {
                let url = self.full_url(parties, head);
                attributes.push(KeyValue::new(names::URL_FULL, self.capped(&url)));
                if let Some(template) = &facts.route {
                    attributes.push(KeyValue::new(names::URL_TEMPLATE, template.value()));
                }
                if facts.resend_count > 0 {
                    let count = i64::from(facts.resend_count);
                    attributes.push(KeyValue::new(names::HTTP_REQUEST_RESEND_COUNT, count));
                }
            }
        }
        parties.push_server(attributes);
        if self.side() == Side::Server {
            attributes.extend(facts.protocol_version());
        }
        let captured = &self.settings().request_headers;
        self.capture(attributes, names::HTTP_REQUEST_HEADER, captured, &head.headers);
    }

    pub(super) fn http_end_attributes(
        &self,
        attributes: &mut EndAttributes,
        facts: &Facts,
        had_route: bool,
    ) {
        if self.side() == Side::Client {
            attributes.extend(facts.protocol_version());
            if let Some(parties) = &facts.parties {
                parties.push_peer(attributes);
            }
        }
        if let Some(status) = facts.status {
            let code = i64::from(status.as_u16());
            attributes.push(KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, code));
        }
        if let Some(route) = facts.route.as_ref().filter(|_| !had_route) {
            attributes.push(KeyValue::new(names::HTTP_ROUTE, route.value()));
        }
    }

    /// A server's own address is the caller's word, so it is no label.
    pub(super) fn http_active_labels(&self, labels: &mut LabelSet, facts: &Facts) {
        labels.push(KeyValue::new(names::HTTP_REQUEST_METHOD, facts.method.value()));
        if let Some(scheme) = facts.scheme {
            labels.push(KeyValue::new(names::URL_SCHEME, scheme.as_str()));
        }
        if self.side() == Side::Client {
            if let Some(parties) = &facts.parties {
                parties.push_server(labels);
            }
            if let Some(template) = &facts.route {
                labels.push(KeyValue::new(names::URL_TEMPLATE, template.value()));
            }
        }
    }

    pub(super) fn http_end_labels(&self, labels: &mut LabelSet, facts: &Facts) {
        if let Some(version) = facts.protocol_version() {
            labels.push(version);
        }
        if let Some(route) = facts.route.as_ref().filter(|_| self.side() == Side::Server) {
            labels.push(KeyValue::new(names::HTTP_ROUTE, route.value()));
        }
        if let Some(status) = facts.status {
            let code = i64::from(status.as_u16());
            labels.push(KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, code));
            if let Some(class) = status_class(status).filter(|_| self.settings().status_class) {
                labels.push(KeyValue::new(names::STATUS_CLASS, class));
            }
        }
    }

    /// `error.type`, if the exchange failed.
    ///
    /// The end outweighs the status: a response that was not delivered failed, whatever it said.
    pub(super) fn read_http_end(
        &self,
        status: Option<StatusCode>,
        end: &End<'_>,
    ) -> Option<StringValue> {
        match (end, self.side()) {
            (End::Failed(failure), _) => Some(self.error_type(*failure)),
            (End::Panicked, _) => Some("panic".into()),
            (End::Dropped, Side::Server) => Some("cancelled".into()),
            // The caller lost interest, which is no error; a status that is one remains one.
            (End::Dropped, Side::Client) | (End::Complete { .. }, _) => status
                .filter(|status| self.is_error(*status))
                .map(|status| self.settings().strings.intern(status.as_str()).into()),
        }
    }

    fn http_server_attributes(
        &self,
        attributes: &mut Vec<KeyValue>,
        facts: &Facts,
        parties: &Parties,
        head: &request::Parts,
    ) {
        if !head.uri.path().is_empty() {
            attributes.push(KeyValue::new(names::URL_PATH, self.capped(head.uri.path())));
        }
        if let Some(query) = head.uri.query().filter(|query| !query.is_empty()) {
            let query = self.redacted_query(query);
            attributes.push(KeyValue::new(names::URL_QUERY, self.capped(&query)));
        }
        if let Some(scheme) = facts.scheme {
            attributes.push(KeyValue::new(names::URL_SCHEME, scheme.as_str()));
        }
        if let Some(route) = &facts.route {
            attributes.push(KeyValue::new(names::HTTP_ROUTE, route.value()));
        }
        if let Some(client) = parties.client {
            attributes.push(KeyValue::new(names::CLIENT_ADDRESS, client.to_string()));
        }
        parties.push_peer(attributes);
        if let Some(agent) = head.headers.get(header::USER_AGENT).and_then(utf8) {
            let agent = self.settings().user_agents.intern(self.cap(agent));
            attributes.push(KeyValue::new(names::USER_AGENT_ORIGINAL, agent));
        }
    }

    fn is_error(&self, status: StatusCode) -> bool {
        match self.side() {
            Side::Server => status.as_u16() >= 500,
            Side::Client => status.as_u16() >= 400,
        }
    }

    /// The URL that a client asked for, whole as far as it is known, without credentials.
    fn full_url(&self, parties: &Parties, head: &request::Parts) -> String {
        let mut url = String::with_capacity(128);
        if let Some((host, port)) = &parties.server {
            if let Some(scheme) = &parties.scheme {
                url.push_str(scheme.as_str());
                url.push(':');
            }
            url.push_str("//");
            match head.uri.authority() {
                Some(authority) => url.push_str(&redact::userinfo(authority.as_str())),
                None => push_host(&mut url, host.as_str(), *port, parties.scheme.as_ref()),
            }
        }
        url.push_str(head.uri.path());
        if let Some(query) = head.uri.query() {
            url.push('?');
            url.push_str(&self.redacted_query(query));
        }
        url
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

/// RFC 9110, RFC 5789 (`PATCH`) and `QUERY`.
const KNOWN_METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "QUERY", "CONNECT", "TRACE"];
