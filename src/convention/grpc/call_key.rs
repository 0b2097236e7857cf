//! The cache key of a call's series: the facts that determine its labels.

use std::hash::{Hash, Hasher};

use opentelemetry::StringValue;

use super::code::Code;
use crate::convention::{facts::Facts, rules::Rules, side::Side};

/// The facts that determine the labels of a gRPC call: equal keys have equal labels under the same
/// rules.
#[derive(Debug, PartialEq)]
pub(crate) struct CallKey<S> {
    /// `None`: the method is not known, and its label is `_OTHER`.
    method: Option<S>,
    status: Option<Code>,
    server: Option<(S, Option<u16>)>,
    error_type: Option<S>,
}

impl<'a> CallKey<&'a str> {
    /// Returns `None` for an exchange that is not a call. Labels of the exchange's own are not a part of
    /// the key.
    pub(crate) fn of(rules: &Rules, facts: &'a Facts) -> Option<Self> {
        let call = facts.call.as_ref()?;
        let parties = facts.parties.as_ref().filter(|_| rules.side() == Side::Client);
        let server = parties.and_then(|parties| parties.server.as_ref());
        Some(Self {
            method: call.method.as_deref(),
            status: call.status,
            server: server.map(|(host, port)| (host.as_str(), *port)),
            error_type: facts.error_type.as_ref().map(StringValue::as_str),
        })
    }

    pub(crate) fn to_owned(&self) -> CallKey<Box<str>> {
        CallKey {
            method: self.method.map(Into::into),
            status: self.status,
            server: self.server.map(|(host, port)| (host.into(), port)),
            error_type: self.error_type.map(Into::into),
        }
    }
}

impl CallKey<Box<str>> {
    pub(crate) fn is(&self, other: &CallKey<&str>) -> bool {
        let server = self.server.as_ref().map(|(host, port)| (&**host, *port));
        self.method.as_deref() == other.method
            && self.status == other.status
            && server == other.server
            && self.error_type.as_deref() == other.error_type
    }
}

impl Hash for CallKey<&str> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // `is` compares the error type, which mostly follows from the status.
        self.method.hash(state);
        self.status.hash(state);
        self.server.hash(state);
    }
}
