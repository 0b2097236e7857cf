//! From facts to span names, attributes and labels, by the rules of HTTP or of gRPC.

use std::{borrow::Cow, sync::Arc};

use http::{request, response};
use opentelemetry::{InstrumentationScope, KeyValue, trace::SpanKind};

use super::{
    attribute_set::{self, AttributeSet, EndAttributes},
    facts::Facts,
    grpc::rpc_attributes,
    http::http_attributes,
    labels::{Labels, RequestLabels},
    names, read,
    rules::Rules,
    side::Side,
    values,
};

/// Returns the scope of this crate: its name, its version, and the schema of the conventions.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(names::SCHEMA_URL)
        .build()
}

pub(crate) fn span_kind(side: Side) -> SpanKind {
    match side {
        Side::Server => SpanKind::Server,
        Side::Client => SpanKind::Client,
    }
}

/// Returns the name that the user's hook gives to the span. It stays until the end.
pub(crate) fn custom_span_name(rules: &Rules, head: &request::Parts) -> Option<Cow<'static, str>> {
    rules.options.span_name.as_ref().and_then(|hook| hook(head))
}

/// Returns the name of a span at its creation.
pub(crate) fn span_name(facts: &Facts) -> Cow<'static, str> {
    match facts.certain_call() {
        Some(call) => rpc_attributes::span_name(call),
        None => http_attributes::span_name(facts),
    }
}

/// The state of a span at its creation, for the difference at its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Created {
    is_call: bool,
    has_route: bool,
}

impl Created {
    pub(crate) fn of(facts: &Facts) -> Self {
        let is_call = facts.is_certain_call();
        Self { is_call, has_route: !is_call && facts.route.is_some() }
    }
}

/// Returns the new name of a span at its end, if it changes.
pub(crate) fn final_span_name(facts: &Facts, created: Created) -> Option<Cow<'static, str>> {
    match &facts.call {
        Some(call) => call.is_renamed().then(|| rpc_attributes::span_name(call)),
        None => {
            let is_renamed = created.is_call || !created.has_route && facts.route.is_some();
            is_renamed.then(|| http_attributes::span_name(facts))
        }
    }
}

/// Returns the attributes of a span at its creation, where samplers see them.
pub(crate) fn request_attributes(
    rules: &Rules,
    facts: &Facts,
    head: &request::Parts,
) -> Vec<KeyValue> {
    let read;
    let parties = match &facts.parties {
        Some(parties) => parties,
        None => {
            read = read::parties(rules, facts, head);
            &read
        }
    };
    let mut attributes = Vec::with_capacity(SPAN_ATTRIBUTES);
    match facts.certain_call() {
        Some(call) => rpc_attributes::push_request(rules, &mut attributes, call, parties, head),
        None => http_attributes::push_request(rules, &mut attributes, facts, parties, head),
    }
    if let Some(hook) = &rules.options.request_attributes {
        for attribute in hook(head) {
            attribute_set::set(&mut attributes, attribute);
        }
    }
    attributes
}

/// Returns what the response head adds to a span beyond its status.
pub(crate) fn response_attributes(
    rules: &Rules,
    facts: &Facts,
    head: &response::Parts,
) -> Vec<KeyValue> {
    let options = &rules.options;
    let mut attributes = Vec::new();
    if options.response_headers.is_empty() && options.response_attributes.is_none() {
        return attributes;
    }
    let prefix = match &facts.call {
        Some(_) => names::RPC_RESPONSE_HEADER,
        None => names::HTTP_RESPONSE_HEADER,
    };
    let (names, limit) = (&options.response_headers, options.value_limit);
    values::capture_headers(&mut attributes, prefix, names, &head.headers, limit);
    if let Some(hook) = &options.response_attributes {
        attributes.extend(hook(head));
    }
    attributes
}

/// Returns what a span gets at its end.
pub(crate) fn end_attributes(rules: &Rules, facts: &Facts, created: Created) -> EndAttributes {
    let mut attributes = EndAttributes::new();
    match &facts.call {
        Some(call) => rpc_attributes::push_end(rules, &mut attributes, facts, call),
        None => {
            if created.is_call {
                http_attributes::push_late(&mut attributes, facts);
            }
            http_attributes::push_end(rules, &mut attributes, facts, created.has_route);
        }
    }
    push_error_type(facts, &mut attributes);
    push_own_labels(facts, &mut attributes);
    attributes
}

/// Returns the labels of active requests, which are known when a request begins. gRPC has no such
/// metric. The labels are reduced beyond the budget of series.
pub(crate) fn active_labels(rules: &Rules, facts: &Facts, is_reduced: bool) -> AttributeSet {
    let mut labels = AttributeSet::new();
    match is_reduced {
        true => http_attributes::push_reduced_active_labels(rules, &mut labels, facts),
        false => http_attributes::push_active_labels(rules, &mut labels, facts),
    }
    labels
}

/// Returns the labels of the duration and of the body sizes. They are reduced beyond the budget of
/// series.
pub(crate) fn end_labels(rules: &Rules, facts: &Facts, is_reduced: bool) -> AttributeSet {
    let mut labels = AttributeSet::new();
    match &facts.call {
        Some(call) => rpc_attributes::push_labels(rules, &mut labels, facts, call),
        None if is_reduced => http_attributes::push_reduced_labels(rules, &mut labels, facts),
        None => {
            http_attributes::push_active_labels(rules, &mut labels, facts);
            http_attributes::push_end_labels(rules, &mut labels, facts);
        }
    }
    push_error_type(facts, &mut labels);
    push_own_labels(facts, &mut labels);
    labels
}

/// Returns the labels that the handler of an exchange reads.
pub(crate) fn handler_labels(rules: &Arc<Rules>, facts: &Facts) -> Labels {
    let mut labels = RequestLabels { slot: facts.slot.clone(), ..RequestLabels::default() };
    if let Some(own) = &facts.own_labels {
        labels.hooked.clone_from(&own.labels);
    }
    match facts.certain_call() {
        Some(call) => rpc_attributes::push_handler_labels(rules, &mut labels, call),
        None => http_attributes::push_handler_labels(rules, &mut labels, facts),
    }
    Labels::new(labels)
}

/// Adds the route that an inner layer knows to the labels of its exchange.
pub(crate) fn with_route(rules: &Rules, labels: Labels, facts: &Facts) -> Labels {
    if let Some(route) = facts.route.as_ref().filter(|_| rules.side() == Side::Server) {
        labels.set_route(route.value());
    }
    labels
}

fn push_error_type(facts: &Facts, attributes: &mut impl Extend<KeyValue>) {
    let error_type = facts.error_type.as_ref();
    attributes.extend(error_type.map(|kind| KeyValue::new(names::ERROR_TYPE, kind.clone())));
}

fn push_own_labels<A>(facts: &Facts, attributes: &mut A)
where
    A: std::ops::DerefMut<Target = [KeyValue]> + Extend<KeyValue>,
{
    for label in facts.own_labels.iter().flat_map(|own| &own.labels) {
        attribute_set::set(attributes, label.clone());
    }
}

/// Room for the usual attributes of a span, those of its end included, so that the vector does not
/// grow.
const SPAN_ATTRIBUTES: usize = 16;
