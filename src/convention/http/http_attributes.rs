//! Span names, attributes and labels of HTTP exchanges.

use std::borrow::Cow;

use http::{Version, header, request};
use opentelemetry::KeyValue;

use super::{
    method::{KNOWN_METHODS, Method},
    status::status_class,
    url::full_url,
};
use crate::convention::{
    attribute_set::{AttributeSet, EndAttributes},
    facts::Facts,
    labels::RequestLabels,
    names,
    parties::Parties,
    rules::Rules,
    side::Side,
    values,
};

/// Returns `{method} {route}`, else `{method}`.
pub(crate) fn span_name(facts: &Facts) -> Cow<'static, str> {
    match (&facts.route, &facts.method) {
        (Some(route), method) => route.span_name(method.in_span_name()),
        (None, Method::Other(_)) => Cow::Borrowed("HTTP"),
        (None, Method::Known(method)) => KNOWN_METHODS
            .into_iter()
            .find(|known| *known == method.as_str())
            .map_or_else(|| Cow::Owned(method.to_string()), Cow::Borrowed),
    }
}

/// Adds the attributes that a span has at its creation.
pub(crate) fn push_request(
    rules: &Rules,
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
    match rules.side() {
        Side::Server => push_server_request(rules, attributes, facts, parties, head),
        Side::Client => push_client_request(rules, attributes, facts, parties, head),
    }
    parties.push_server(attributes);
    if rules.side() == Side::Server {
        attributes.extend(protocol_version(facts.version));
    }
    let (names, limit) = (&rules.options.request_headers, rules.options.value_limit);
    values::capture_headers(attributes, names::HTTP_REQUEST_HEADER, names, &head.headers, limit);
}

fn push_server_request(
    rules: &Rules,
    attributes: &mut Vec<KeyValue>,
    facts: &Facts,
    parties: &Parties,
    head: &request::Parts,
) {
    let truncated = |value: &str| rules.truncated(value).to_owned();
    if !head.uri.path().is_empty() {
        attributes.push(KeyValue::new(names::URL_PATH, truncated(head.uri.path())));
    }
    if let Some(query) = head.uri.query().filter(|query| !query.is_empty()) {
        let query = values::redacted_query(query, &rules.options.sensitive_query_parameters);
        attributes.push(KeyValue::new(names::URL_QUERY, truncated(&query)));
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
    if let Some(agent) = head.headers.get(header::USER_AGENT).and_then(values::utf8) {
        let agent = rules.caches.user_agents.intern(rules.truncated(agent));
        attributes.push(KeyValue::new(names::USER_AGENT_ORIGINAL, agent));
    }
}

fn push_client_request(
    rules: &Rules,
    attributes: &mut Vec<KeyValue>,
    facts: &Facts,
    parties: &Parties,
    head: &request::Parts,
) {
    let url = full_url(rules, parties, head);
    attributes.push(KeyValue::new(names::URL_FULL, rules.truncated(&url).to_owned()));
    if let Some(template) = &facts.route {
        attributes.push(KeyValue::new(names::URL_TEMPLATE, template.value()));
    }
    if facts.resend_count > 0 {
        let count = i64::from(facts.resend_count);
        attributes.push(KeyValue::new(names::HTTP_REQUEST_RESEND_COUNT, count));
    }
}

/// Adds the attributes that a span gets at its end.
pub(crate) fn push_end(
    rules: &Rules,
    attributes: &mut EndAttributes,
    facts: &Facts,
    had_route: bool,
) {
    if rules.side() == Side::Client {
        attributes.extend(protocol_version(facts.version));
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

/// Adds what a span lacks that was created for a gRPC call and turned out to be HTTP.
pub(crate) fn push_late(attributes: &mut EndAttributes, facts: &Facts) {
    attributes.push(KeyValue::new(names::HTTP_REQUEST_METHOD, facts.method.value()));
    let scheme = facts.scheme.map(|scheme| KeyValue::new(names::URL_SCHEME, scheme.as_str()));
    attributes.extend(scheme);
    attributes.extend(protocol_version(facts.version));
}

/// Adds the labels of active requests. Callers choose a server's address, so it is not a label.
pub(crate) fn push_active_labels(rules: &Rules, labels: &mut AttributeSet, facts: &Facts) {
    labels.push(KeyValue::new(names::HTTP_REQUEST_METHOD, facts.method.value()));
    if let Some(scheme) = facts.scheme {
        labels.push(KeyValue::new(names::URL_SCHEME, scheme.as_str()));
    }
    if rules.side() == Side::Client {
        if let Some(parties) = &facts.parties {
            parties.push_server(labels);
        }
        if let Some(template) = &facts.route {
            labels.push(KeyValue::new(names::URL_TEMPLATE, template.value()));
        }
    }
}

/// Adds the labels that the duration and the body sizes have beyond those of active requests.
pub(crate) fn push_end_labels(rules: &Rules, labels: &mut AttributeSet, facts: &Facts) {
    labels.extend(protocol_version(facts.version));
    if rules.side() == Side::Server {
        push_route_label(labels, facts);
    }
    if let Some(status) = facts.status {
        let code = i64::from(status.as_u16());
        labels.push(KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, code));
        if let Some(class) = status_class(status).filter(|_| rules.options.status_class) {
            labels.push(KeyValue::new(names::STATUS_CLASS, class));
        }
    }
}

/// Adds the labels that a handler reads.
pub(crate) fn push_handler_labels(rules: &Rules, labels: &mut RequestLabels, facts: &Facts) {
    labels.known.push(KeyValue::new(names::HTTP_REQUEST_METHOD, facts.method.value()));
    match (rules.side(), &facts.route) {
        (Side::Server, Some(route)) => labels.route = route.value().into(),
        (Side::Client, Some(template)) => {
            labels.known.push(KeyValue::new(names::URL_TEMPLATE, template.value()));
        }
        (_, None) => {}
    }
}

/// Adds the labels of a series beyond the budget: those that neither callers nor redirects can
/// multiply.
pub(crate) fn push_reduced_labels(rules: &Rules, labels: &mut AttributeSet, facts: &Facts) {
    push_reduced_active_labels(rules, labels, facts);
    if rules.side() == Side::Server {
        push_route_label(labels, facts);
    }
    let class = facts.status.and_then(status_class).filter(|_| rules.options.status_class);
    labels.extend(class.map(|class| KeyValue::new(names::STATUS_CLASS, class)));
}

/// Adds the labels of active requests beyond the budget.
pub(crate) fn push_reduced_active_labels(rules: &Rules, labels: &mut AttributeSet, facts: &Facts) {
    match rules.side() {
        Side::Server => labels.push(KeyValue::new(names::HTTP_REQUEST_METHOD, names::OTHER)),
        Side::Client => {
            labels.push(KeyValue::new(names::HTTP_REQUEST_METHOD, facts.method.value()));
            labels.push(KeyValue::new(names::SERVER_ADDRESS, names::OTHER));
        }
    }
    if let Some(scheme) = facts.scheme {
        labels.push(KeyValue::new(names::URL_SCHEME, scheme.as_str()));
    }
}

fn push_route_label(labels: &mut AttributeSet, facts: &Facts) {
    if let Some(route) = facts.route_label(Side::Server) {
        labels.push(KeyValue::new(names::HTTP_ROUTE, route.value()));
    }
}

fn protocol_version(version: Option<Version>) -> Option<KeyValue> {
    let version = match version? {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_11 => "1.1",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => return None,
    };
    Some(KeyValue::new(names::NETWORK_PROTOCOL_VERSION, version))
}
