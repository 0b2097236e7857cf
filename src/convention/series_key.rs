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
    names::OTHER,
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
    /// The request was sent again, possibly to a host that a redirect named. Not a label.
    is_redirect: bool,
}

impl Hash for SeriesKey<&str> {
    #[inline]
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
        let Self { method, scheme, server, template, version, status, error_type, is_redirect } =
            self;
        SeriesKey {
            method: (*method).into(),
            scheme: *scheme,
            server: server.map(|(host, port)| (host.into(), port)),
            template: *template,
            version: *version,
            status: *status,
            error_type: error_type.map(Into::into),
            is_redirect: *is_redirect,
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

impl<'a> SeriesKey<&'a str> {
    /// Returns the group whose share of the series this one counts against.
    pub(crate) fn group(&self) -> Group<&'a str> {
        match self.server {
            Some((host, port)) => Group::Host { host, port, is_redirect: self.is_redirect },
            None => Group::Route(self.template.map(SpanName::template)),
        }
    }

    /// Returns the key of the series that stands for this one beyond the budget.
    pub(crate) fn reduced(&self) -> Self {
        Self {
            method: if self.server.is_some() { self.method } else { OTHER },
            server: self.server.map(|_| (OTHER, None)),
            template: self
                .template
                .filter(|_| self.server.is_none())
                .and_then(|name| Template::new(OTHER, name.template()).shared()),
            version: None,
            // One status for each class.
            status: self.status.and_then(|s| StatusCode::from_u16(s.as_u16() / 100 * 100).ok()),
            ..self.clone()
        }
    }
}

/// A group of series: those of a route on a server, or of a host that a client calls.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Group<S> {
    /// The template of the route.
    Route(Option<S>),
    Host {
        host: S,
        port: Option<u16>,
        is_redirect: bool,
    },
}

impl Hash for Group<&str> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Route(template) => template.hash(state),
            Self::Host { host, port, .. } => (host, port).hash(state),
        }
    }
}

impl Group<&str> {
    /// Returns true if somebody else chose the group: the server whose redirect is followed.
    pub(crate) fn is_untrusted(&self) -> bool {
        matches!(self, Self::Host { is_redirect: true, .. })
    }

    pub(crate) fn into_owned(self) -> Group<Box<str>> {
        match self {
            Self::Route(template) => Group::Route(template.map(Into::into)),
            Self::Host { host, port, is_redirect } => {
                Group::Host { host: host.into(), port, is_redirect }
            }
        }
    }
}

impl Group<Box<str>> {
    pub(crate) fn is(&self, other: &Group<&str>) -> bool {
        match (self, other) {
            (Self::Route(one), Group::Route(other)) => one.as_deref() == *other,
            (Self::Host { host, port, .. }, Group::Host { host: other, port: other_port, .. }) => {
                **host == **other && port == other_port
            }
            _ => false,
        }
    }
}

/// Returns the key of the series of active requests.
pub(crate) fn of_active<'a>(rules: &Rules, facts: &'a Facts) -> Option<SeriesKey<&'a str>> {
    let template = facts.route.as_ref().filter(|_| rules.side() == Side::Client);
    key(rules, facts, template)
}

/// Returns the key of the series of the duration and the body sizes. `None` for gRPC calls. Labels of
/// the exchange's own are not a part of it.
pub(crate) fn of_end<'a>(rules: &Rules, facts: &'a Facts) -> Option<SeriesKey<&'a str>> {
    if facts.is_call() {
        return None;
    }
    let key = key(rules, facts, facts.route_label(rules.side()))?;
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
        is_redirect: facts.resend_count > 0,
    })
}
