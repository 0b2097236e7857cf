//! HTTP or gRPC: decided for each request, and asked by the observers alike.

use std::borrow::Cow;

use http::{request, response};
use opentelemetry::{KeyValue, trace::SpanKind};
use smallvec::SmallVec;

use super::{
    Convention, Facts, Side,
    labels::{self, LabelSet},
    names, rpc,
};

/// The rules by which an exchange is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `http.*` spans and metrics.
    Http,
    /// `rpc.*` spans and metrics.
    Grpc,
}

impl Convention {
    pub(super) fn protocol_of(&self, head: &request::Parts) -> Protocol {
        self.settings().protocol.unwrap_or_else(|| match rpc::is_call(head) {
            true => Protocol::Grpc,
            false => Protocol::Http,
        })
    }

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

    /// The name of a span, by what is known now.
    pub(crate) fn span_name(facts: &Facts) -> Cow<'static, str> {
        match &facts.call {
            Some(call) => Self::call_name(call),
            None => Self::http_name(facts),
        }
    }

    /// The name of a span at its end, where more is known than at its beginning.
    pub(crate) fn renamed(facts: &Facts, had_route: bool) -> Option<Cow<'static, str>> {
        match &facts.call {
            Some(call) => call.is_unrecognised().then(|| Self::call_name(call)),
            None => (!had_route && facts.route.is_some()).then(|| Self::http_name(facts)),
        }
    }

    /// The attributes of a span at its creation, where samplers see them.
    pub(crate) fn request_attributes(&self, facts: &Facts, head: &request::Parts) -> Vec<KeyValue> {
        // A server's are told on spans alone, so mostly nobody has asked for them before.
        let read;
        let parties = match &facts.parties {
            Some(parties) => parties,
            None => {
                read = self.server_parties(head, facts.call.is_some());
                &read
            }
        };
        let mut attributes = Vec::with_capacity(SPAN_ATTRIBUTES);
        match &facts.call {
            Some(call) => self.call_attributes(&mut attributes, parties, call, head),
            None => self.http_attributes(&mut attributes, facts, parties, head),
        }
        if let Some(hook) = &self.settings().request_attributes {
            for attribute in hook(head) {
                labels::set(&mut attributes, attribute);
            }
        }
        attributes
    }

    /// What the response head adds to a span beyond its status.
    pub(crate) fn response_attributes(
        &self,
        facts: &Facts,
        head: &response::Parts,
    ) -> Vec<KeyValue> {
        let settings = self.settings();
        let mut attributes = Vec::new();
        let prefix = match &facts.call {
            Some(_) => names::RPC_RESPONSE_HEADER,
            None => names::HTTP_RESPONSE_HEADER,
        };
        self.capture(&mut attributes, prefix, &settings.response_headers, &head.headers);
        if let Some(hook) = &settings.response_attributes {
            attributes.extend(hook(head));
        }
        attributes
    }

    /// What a span learns at its end; the route, if it was not known at the beginning.
    pub(crate) fn end_attributes(&self, facts: &Facts, had_route: bool) -> EndAttributes {
        let mut attributes = EndAttributes::new();
        match &facts.call {
            Some(call) => self.call_end_attributes(&mut attributes, call),
            None => self.http_end_attributes(&mut attributes, facts, had_route),
        }
        facts.push_error(&mut attributes);
        facts.push_labels(&mut attributes);
        attributes
    }

    /// The labels of active requests: what is known when a request begins, and no more. There is
    /// no such instrument for calls, and no labels of it.
    pub(crate) fn push_active_labels(&self, labels: &mut LabelSet, facts: &Facts) {
        if facts.call.is_none() {
            self.http_active_labels(labels, facts);
        }
    }

    /// The labels of the duration and of body sizes, behind those of active requests.
    pub(crate) fn push_end_labels(&self, labels: &mut LabelSet, facts: &Facts) {
        match &facts.call {
            Some(call) => self.rpc_labels(labels, facts, call),
            None => self.http_end_labels(labels, facts),
        }
        facts.push_error(labels);
        facts.push_labels(labels);
    }
}

/// What is set at a span's end: mostly few, so that none is allocated for.
pub(crate) type EndAttributes = SmallVec<[KeyValue; 2]>;

/// Room for what a span usually has, those of its end included, so that it doesn't grow.
const SPAN_ATTRIBUTES: usize = 16;
