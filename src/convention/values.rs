//! Values that the other side controls: truncated, and without credentials.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::percent;

/// Replaces a credential.
pub(crate) const REDACTED: &str = "REDACTED";

/// Query parameters that are redacted by default (semantic conventions v1.45, `url.query`), matched
/// case-sensitively as the conventions require.
pub(crate) const SENSITIVE_QUERY_PARAMETERS: [&str; 7] = [
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "AWSAccessKeyId",
    "Signature",
    "sig",
    "X-Goog-Signature",
];

/// Replaces the values of sensitive parameters. Keys and order stay as sent.
pub(crate) fn redacted_query<'a, S: AsRef<str>>(query: &'a str, sensitive: &[S]) -> Cow<'a, str> {
    let is_sensitive = |pair: &str| {
        pair.split_once('=')
            .is_some_and(|(key, _)| sensitive.iter().any(|name| is_encoded(key, name.as_ref())))
    };
    if !query.split('&').any(is_sensitive) {
        return Cow::Borrowed(query);
    }
    let mut redacted = String::with_capacity(query.len());
    for (i, pair) in query.split('&').enumerate() {
        if i > 0 {
            redacted.push('&');
        }
        match pair.split_once('=') {
            Some((key, _)) if is_sensitive(pair) => {
                redacted.push_str(key);
                redacted.push('=');
                redacted.push_str(REDACTED);
            }
            _ => redacted.push_str(pair),
        }
    }
    Cow::Owned(redacted)
}

/// Returns the authority with its user and password redacted.
pub(crate) fn redacted_authority(authority: &str) -> Cow<'_, str> {
    let host = without_user(authority);
    match host.len() == authority.len() {
        true => Cow::Borrowed(authority),
        false => Cow::Owned(format!("{REDACTED}:{REDACTED}@{host}")),
    }
}

/// Returns the authority from its host on.
pub(crate) fn without_user(authority: &str) -> &str {
    // A host can't contain `@`, a password can: the last one separates.
    match authority.bytes().rposition(|b| b == b'@') {
        Some(at) => &authority[at + 1..],
        None => authority,
    }
}

/// Returns the longest prefix of at most `limit` bytes that ends at a character boundary.
pub(crate) fn truncated(value: &str, limit: usize) -> &str {
    let mut end = limit.min(value.len());
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

/// Returns true if `encoded` decodes to `plain`: `%73ig` is `sig`.
fn is_encoded(encoded: &str, plain: &str) -> bool {
    encoded == plain
        || encoded.contains('%') && percent::octets(encoded.as_bytes()).eq(plain.bytes())
}

/// Adds an array attribute `{prefix}.{name}` for each of these headers.
#[inline]
pub(crate) fn capture_headers(
    attributes: &mut Vec<KeyValue>,
    prefix: &str,
    names: &[HeaderName],
    headers: &HeaderMap,
    limit: usize,
) {
    for name in names {
        let is_credential = CREDENTIALS.contains(name);
        let value = |value: &HeaderValue| {
            if is_credential || value.is_sensitive() {
                return Some(StringValue::from(REDACTED));
            }
            Some(StringValue::from(truncated(utf8(value)?, limit).to_owned()))
        };
        let values: Vec<_> = headers.get_all(name).iter().filter_map(value).collect();
        if !values.is_empty() {
            let key = format!("{prefix}.{name}");
            attributes.push(KeyValue::new(key, Value::Array(Array::String(values))));
        }
    }
}

/// Returns the text of a header value that is UTF-8 and not empty.
pub(crate) fn utf8(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok().filter(|value| !value.is_empty())
}

/// Headers that carry credentials by their definition.
const CREDENTIALS: [HeaderName; 4] =
    [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::SET_COOKIE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let rows = [
            ("", ""),
            ("q=OpenTelemetry", "q=OpenTelemetry"),
            ("color=blue&sig=s3cret", "color=blue&sig=REDACTED"),
            ("sig=a&sig=b&x=1", "sig=REDACTED&sig=REDACTED&x=1"),
            ("Sig=kept&SIG=kept", "Sig=kept&SIG=kept"),
            ("%73ig=s3cret", "%73ig=REDACTED"),
            ("sig", "sig"),
            ("sig=", "sig=REDACTED"),
            ("sig=a=b", "sig=REDACTED"),
            ("&&sig=x&", "&&sig=REDACTED&"),
            (
                "X-Amz-Signature=x&X-Amz-Credential=x&X-Amz-Security-Token=x",
                "X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED",
            ),
            (
                "AWSAccessKeyId=x&Signature=x&X-Goog-Signature=x",
                "AWSAccessKeyId=REDACTED&Signature=REDACTED&X-Goog-Signature=REDACTED",
            ),
            ("%=1&%7=2&%zz=3", "%=1&%7=2&%zz=3"),
        ];
        for (given, expected) in rows {
            assert_eq!(redacted_query(given, &SENSITIVE_QUERY_PARAMETERS), expected, "{given}");
        }
    }

    #[test]
    fn authorities() {
        let rows = [
            ("example.com:80", "example.com:80"),
            ("user:pass@example.com", "REDACTED:REDACTED@example.com"),
            ("token@[::1]:8080", "REDACTED:REDACTED@[::1]:8080"),
            ("a@b:c@host", "REDACTED:REDACTED@host"),
        ];
        for (given, expected) in rows {
            assert_eq!(redacted_authority(given), expected, "{given}");
        }
    }

    #[test]
    fn truncates_at_character_boundaries() {
        for (value, limit, expected) in
            [("abc", 2, "ab"), ("abc", 9, "abc"), ("aé", 2, "a"), ("é", 0, "")]
        {
            assert_eq!(truncated(value, limit), expected);
        }
    }
}
