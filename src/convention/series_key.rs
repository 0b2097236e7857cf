//! The cache key of a series: the facts that determine its labels.

use std::{
    hash::{Hash, Hasher},
    ptr,
};

use http::{StatusCode, Version};
use opentelemetry::StringValue;

use super::{
    cache::templates::{SpanName, Template},
    facts::Facts,
    parties::scheme::HttpScheme,
    rules::Rules,
    side::Side,
};

/// The facts that determine the labels of an HTTP exchange: equal keys have equal labels under the
/// same rules.
#[derive(Debug, Clone)]
pub(crate) struct SeriesKey<S> {
    method: S,
    scheme: Option<HttpScheme>,
    server: Option<(S, Option<u16>)>,
    /// Cached once per process, so that its address identifies it.
    template: Option<&'static SpanName>,
    version: Option<Version>,
    status: Option<StatusCode>,
    error_type: Option<S>,
}

impl Hash for SeriesKey<&str> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // These fields differ between most series. `is` compares the others.
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

impl SeriesKey<&str> {
    pub(crate) fn to_owned(&self) -> SeriesKey<Box<str>> {
        let Self { method, scheme, server, template, version, status, error_type } = self;
        SeriesKey {
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

impl SeriesKey<Box<str>> {
    pub(crate) fn is(&self, other: &SeriesKey<&str>) -> bool {
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

/// Returns the key of the series of active requests. `None` for gRPC calls.
pub(crate) fn of_active<'a>(rules: &Rules, facts: &'a Facts) -> Option<SeriesKey<&'a str>> {
    let template = facts.route.as_ref().filter(|_| rules.side() == Side::Client);
    key(rules, facts, template)
}

/// Returns the key of the series of the duration and the body sizes. `None` for gRPC calls and for
/// exchanges with labels of their own.
pub(crate) fn of_end<'a>(rules: &Rules, facts: &'a Facts) -> Option<SeriesKey<&'a str>> {
    if facts.has_own_labels() {
        return None;
    }
    let key = key(rules, facts, facts.route.as_ref())?;
    Some(SeriesKey {
        version: facts.version,
        status: facts.status,
        error_type: facts.error_type.as_ref().map(StringValue::as_str),
        ..key
    })
}

fn key<'a>(
    rules: &Rules,
    facts: &'a Facts,
    template: Option<&Template>,
) -> Option<SeriesKey<&'a str>> {
    if facts.is_call() {
        return None;
    }
    let parties = facts.parties.as_ref().filter(|_| rules.side() == Side::Client);
    let server = parties.and_then(|parties| parties.server.as_ref());
    let template = match template {
        Some(template) => Some(template.shared()?),
        None => None,
    };
    Some(SeriesKey {
        method: facts.method.as_str(),
        scheme: facts.scheme,
        server: server.map(|(host, port)| (host.as_str(), *port)),
        template,
        version: None,
        status: None,
        error_type: None,
    })
}
