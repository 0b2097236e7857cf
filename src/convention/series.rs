//! What tells the series of a metric apart, before its labels are made.

use std::hash::{Hash, Hasher};

use http::{StatusCode, Version};
use opentelemetry::StringValue;

use super::{Convention, Facts, Side};

/// The facts that the labels of an HTTP exchange are made of: two exchanges of equal identity have
/// equal labels.
#[derive(Debug, Clone)]
pub(crate) struct Identity<S> {
    method: S,
    scheme: Option<&'static str>,
    server: Option<(S, Option<u16>)>,
    template: Option<S>,
    version: Option<Version>,
    status: Option<StatusCode>,
    error_type: Option<S>,
}

impl<S: Hash> Hash for Identity<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // These tell most series apart; what is equal but for the others is compared.
        self.method.hash(state);
        self.template.hash(state);
        state.write_u16(self.status.map_or(0, |status| status.as_u16()));
        if let Some((host, _)) = &self.server {
            host.hash(state);
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
            template: template.map(Into::into),
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
            && self.template.as_deref() == other.template
            && self.status == other.status
            && self.version == other.version
            && self.scheme == other.scheme
            && self.error_type.as_deref() == other.error_type
            && server == other.server
    }
}

impl Convention {
    /// The series of active requests; none for calls, of which there are none.
    pub(crate) fn active_series<'a>(&self, facts: &'a Facts) -> Option<Identity<&'a str>> {
        if facts.call.is_some() {
            return None;
        }
        let is_client = self.side() == Side::Client;
        let parties = facts.parties.as_ref().filter(|_| is_client);
        let server = parties.and_then(|parties| parties.server.as_ref());
        Some(Identity {
            method: facts.method.label(),
            scheme: facts.scheme,
            server: server.map(|(host, port)| (host.as_str(), *port)),
            template: facts.route().filter(|_| is_client),
            version: None,
            status: None,
            error_type: None,
        })
    }

    /// The series of the duration and of body sizes; none for exchanges that have labels of their
    /// own, and for calls.
    pub(crate) fn end_series<'a>(&self, facts: &'a Facts) -> Option<Identity<&'a str>> {
        let active = self.active_series(facts).filter(|_| facts.labels.is_empty())?;
        Some(Identity {
            template: facts.route(),
            version: facts.version,
            status: facts.status,
            error_type: facts.error_type.as_ref().map(StringValue::as_str),
            ..active
        })
    }
}
