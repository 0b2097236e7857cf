//! What tells the series of a metric apart, before its labels are made.

use std::{
    hash::{Hash, Hasher},
    ptr,
};

use http::{StatusCode, Version};
use opentelemetry::StringValue;

use super::{
    Convention, Facts, Side,
    address::HttpScheme,
    template::{Name, Template},
};

/// The facts that the labels of an HTTP exchange are made of: two exchanges of equal identity have
/// equal labels.
#[derive(Debug, Clone)]
pub(crate) struct Identity<S> {
    method: S,
    scheme: Option<HttpScheme>,
    server: Option<(S, Option<u16>)>,
    /// There is one of each, so that its address tells it apart.
    template: Option<&'static Name>,
    version: Option<Version>,
    status: Option<StatusCode>,
    error_type: Option<S>,
}

impl Hash for Identity<&str> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // These tell most series apart; those that are equal in them are told apart by `is`.
        match self.template {
            Some(name) => ptr::from_ref(name).hash(state),
            None => self.method.hash(state),
        }
        state.write_u16(self.status.map_or(0, |status| status.as_u16()));
        if let Some((host, port)) = self.server {
            host.hash(state);
            port.hash(state);
        }
    }
}

impl Identity<&str> {
    pub(crate) fn to_owned(&self) -> Identity<Box<str>> {
        let Self { method, scheme, server, template, version, status, error_type } = self;
        Identity {
            method: (*method).into(),
            scheme: *scheme,
            server: server.map(|(host, port)| (host.into(), port)),
            template: *template,
            version: *version,
            status: *status,
            error_type: error_type.map(Into::into),
        }
    }
}

impl Identity<Box<str>> {
    pub(crate) fn is(&self, other: &Identity<&str>) -> bool {
        let server = self.server.as_ref().map(|(host, port)| (&**host, *port));
        *self.method == *other.method
            && self.template.map(ptr::from_ref) == other.template.map(ptr::from_ref)
            && self.status == other.status
            && self.version == other.version
            && self.scheme == other.scheme
            && self.error_type.as_deref() == other.error_type
            && server == other.server
    }
}

impl Convention {
    /// The series of active requests, if it is one that can be known again. There is none for calls.
    pub(crate) fn active_series<'a>(&self, facts: &'a Facts) -> Option<Identity<&'a str>> {
        let template = facts.route.as_ref().filter(|_| self.side() == Side::Client);
        self.series(facts, template)
    }

    /// The series of the duration and of body sizes, if it is one that can be known again: that of an
    /// exchange without labels of its own, and not of a call.
    pub(crate) fn end_series<'a>(&self, facts: &'a Facts) -> Option<Identity<&'a str>> {
        if facts.has_own_labels() {
            return None;
        }
        let series = self.series(facts, facts.route.as_ref())?;
        Some(Identity {
            version: facts.version,
            status: facts.status,
            error_type: facts.error_type.as_ref().map(StringValue::as_str),
            ..series
        })
    }

    fn series<'a>(
        &self,
        facts: &'a Facts,
        template: Option<&Template>,
    ) -> Option<Identity<&'a str>> {
        if facts.call.is_some() {
            return None;
        }
        let parties = facts.parties.as_ref().filter(|_| self.side() == Side::Client);
        let server = parties.and_then(|parties| parties.server.as_ref());
        let template = match template {
            Some(template) => Some(template.shared()?),
            None => None,
        };
        Some(Identity {
            method: facts.method.label(),
            scheme: facts.scheme,
            server: server.map(|(host, port)| (host.as_str(), *port)),
            template,
            version: None,
            status: None,
            error_type: None,
        })
    }
}
