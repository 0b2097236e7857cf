//! What the other side wrote, as values: cut, redacted, and headers only by an explicit list.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use opentelemetry::{Array, KeyValue, StringValue, Value};

use super::{
    Convention,
    redact::{self, REDACTED},
};

impl Convention {
    /// A value that the other side controls, cut.
    pub(super) fn capped(&self, value: &str) -> Value {
        self.cap(value).to_owned().into()
    }

    pub(super) fn cap<'a>(&self, value: &'a str) -> &'a str {
        redact::cap(value, self.settings().value_limit)
    }

    pub(super) fn redacted_query<'a>(&self, query: &'a str) -> Cow<'a, str> {
        redact::query(query, &self.settings().sensitive_query_parameters)
    }

    /// Adds the headers of these names, an array for each, as `{prefix}.{name}`.
    pub(super) fn capture(
        &self,
        attributes: &mut Vec<KeyValue>,
        prefix: &str,
        names: &[HeaderName],
        headers: &HeaderMap,
    ) {
        for name in names {
            let is_credential = CREDENTIALS.contains(name);
            let value = |value: &HeaderValue| {
                if is_credential || value.is_sensitive() {
                    return Some(StringValue::from(REDACTED));
                }
                Some(StringValue::from(self.cap(utf8(value)?).to_owned()))
            };
            let values: Vec<_> = headers.get_all(name).iter().filter_map(value).collect();
            if !values.is_empty() {
                let key = format!("{prefix}.{name}");
                attributes.push(KeyValue::new(key, Value::Array(Array::String(values))));
            }
        }
    }
}

/// The text of a header that is text, and not empty.
pub(super) fn utf8(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok().filter(|value| !value.is_empty())
}

/// Headers that carry credentials by their purpose.
const CREDENTIALS: [HeaderName; 4] =
    [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::SET_COOKIE];
