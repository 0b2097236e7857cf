//! Span names, attributes and labels of gRPC calls.

use std::{borrow::Cow, sync::Arc};

use http::request;
use opentelemetry::KeyValue;

use super::call::{Call, is_listed};
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

/// Returns the method, else `grpc`. Until the end the caller's path stands for the method, so that
/// samplers see it.
pub(crate) fn span_name(call: &Call) -> Cow<'static, str> {
    match (&call.method, call.status) {
        (Some(method), _) => Cow::Owned(String::from(&**method)),
        (None, None) if !call.path.is_empty() => Cow::Owned(call.path.clone()),
        (None, _) => Cow::Borrowed(GRPC),
    }
}

/// Adds the attributes that a span has at its creation.
pub(crate) fn push_request(
    rules: &Rules,
    attributes: &mut Vec<KeyValue>,
    call: &Call,
    parties: &Parties,
    head: &request::Parts,
) {
    attributes.push(KeyValue::new(names::RPC_SYSTEM_NAME, GRPC));
    if rules.side() == Side::Client {
        push_method(attributes, call);
    }
    parties.push_server(attributes);
    parties.push_peer(attributes);
    let (names, limit) = (&rules.options.request_headers, rules.options.value_limit);
    values::capture_headers(attributes, names::RPC_REQUEST_HEADER, names, &head.headers, limit);
}

/// Adds the attributes that a span gets at its end.
pub(crate) fn push_end(rules: &Rules, attributes: &mut EndAttributes, facts: &Facts, call: &Call) {
    if !call.is_certain {
        attributes.push(KeyValue::new(names::RPC_SYSTEM_NAME, GRPC));
    }
    match rules.side() {
        // The SDK can't remove an attribute, so a server's method waits until it is known to exist.
        Side::Server => push_method(attributes, call),
        // The response tells the peer.
        Side::Client => {
            if let Some(parties) = &facts.parties {
                parties.push_peer(attributes);
            }
        }
    }
    if let Some(status) = call.status {
        attributes.push(KeyValue::new(names::RPC_STATUS_CODE, status.name()));
    }
    attributes.extend(call.trailers.iter().cloned());
}

/// Adds the labels of the call's duration.
pub(crate) fn push_labels(rules: &Rules, labels: &mut AttributeSet, facts: &Facts, call: &Call) {
    labels.push(KeyValue::new(names::RPC_SYSTEM_NAME, GRPC));
    labels.push(KeyValue::new(names::RPC_METHOD, call.method_value()));
    if let Some(status) = call.status {
        labels.push(KeyValue::new(names::RPC_STATUS_CODE, status.name()));
    }
    if let Some(parties) = facts.parties.as_ref().filter(|_| rules.side() == Side::Client) {
        parties.push_server(labels);
    }
}

/// Adds the labels that a handler reads.
pub(crate) fn push_handler_labels(rules: &Arc<Rules>, labels: &mut RequestLabels, call: &Call) {
    labels.known.push(KeyValue::new(names::RPC_SYSTEM_NAME, GRPC));
    let may_be_known = call.path.contains('/') && is_listed(rules, &call.path);
    if rules.side() == Side::Server && may_be_known {
        // A server's method is not known before its first answer.
        labels.called = Some((Arc::clone(rules), call.path.clone()));
    } else {
        labels.known.push(KeyValue::new(names::RPC_METHOD, call.method_value()));
    }
}

fn push_method(attributes: &mut impl Extend<KeyValue>, call: &Call) {
    attributes.extend([KeyValue::new(names::RPC_METHOD, call.method_value())]);
    if call.method.is_none() && !call.path.is_empty() {
        attributes.extend([KeyValue::new(names::RPC_METHOD_ORIGINAL, call.path.clone())]);
    }
}

const GRPC: &str = "grpc";
