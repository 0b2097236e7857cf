//! Request methods.

use opentelemetry::StringValue;

use crate::convention::{names::OTHER, values::truncated};

/// A request method as it is recorded.
#[derive(Debug)]
pub(crate) enum Method {
    Known(StringValue),
    /// As it was sent, truncated.
    Other(Box<str>),
}

impl Method {
    pub(crate) fn new(known: &[StringValue], method: &http::Method, limit: usize) -> Self {
        match known.iter().find(|known| known.as_str() == method.as_str()) {
            Some(known) => Self::Known(known.clone()),
            None => Self::Other(truncated(method.as_str(), limit).into()),
        }
    }

    /// Returns the attribute value.
    pub(crate) fn value(&self) -> StringValue {
        match self {
            Self::Known(method) => method.clone(),
            Self::Other(_) => OTHER.into(),
        }
    }

    /// Returns the attribute value as text.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Known(method) => method.as_str(),
            Self::Other(_) => OTHER,
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// Returns the method as a part of the span name.
    pub(crate) fn in_span_name(&self) -> &str {
        match self {
            Self::Known(method) => method.as_str(),
            Self::Other(_) => "HTTP",
        }
    }
}

/// RFC 9110, RFC 5789 (`PATCH`) and `QUERY`.
pub(crate) const KNOWN_METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "QUERY", "CONNECT", "TRACE"];
