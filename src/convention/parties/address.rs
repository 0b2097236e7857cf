//! Hosts and ports, as URIs and `Host` write them.

use http::{
    HeaderMap, HeaderName, header, request,
    uri::{Authority, Scheme},
};

use crate::convention::values;

/// A host without brackets, and its port if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostPort<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
}

/// Returns the host of the request's URI, else of its `Host` header, as it is written.
pub(crate) fn requested_host(head: &request::Parts) -> Option<&str> {
    match head.uri.authority() {
        Some(authority) => Some(authority_host(authority)),
        None => only(&head.headers, &header::HOST),
    }
}

/// Returns the host and port of an authority, without its user.
pub(crate) fn authority_host(authority: &Authority) -> &str {
    values::without_user(authority.as_str())
}

/// Returns the default port of a scheme.
pub(crate) fn default_port(scheme: Option<&Scheme>) -> Option<u16> {
    match scheme?.as_str() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Parses `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(crate) fn host_port(value: &str) -> Option<HostPort<'_>> {
    let value = value.trim_ascii();
    let (host, port) = if let Some(rest) = value.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        let port = match after {
            "" => None,
            _ => Some(after.strip_prefix(':')?),
        };
        (host, port)
    } else {
        let (host, port) = match value.bytes().position(|b| b == b':') {
            Some(at) => (&value[..at], Some(&value[at + 1..])),
            None => (value, None),
        };
        // The reg-name of RFC 3986 without its sub-delimiters, which no real host has.
        let is_name =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'%');
        if host.is_empty() || !host.bytes().all(is_name) {
            return None;
        }
        (host, port)
    };
    let port = match port {
        // `Host: example.com:` means the default port.
        None | Some("") => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
    };
    Some(HostPort { host, port })
}

/// Returns the value of a header that must not be repeated.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn parses_hosts() {
        let rows = [
            ("example.com", Some(("example.com", None))),
            ("example.com:8080", Some(("example.com", Some(8080)))),
            (" example.com ", Some(("example.com", None))),
            ("example.com:", Some(("example.com", None))),
            ("127.0.0.1:80", Some(("127.0.0.1", Some(80)))),
            ("[::1]", Some(("::1", None))),
            ("[2001:db8::1]:443", Some(("2001:db8::1", Some(443)))),
            ("[::ffff:1.2.3.4]:1", Some(("::ffff:1.2.3.4", Some(1)))),
            ("a_b.svc~1", Some(("a_b.svc~1", None))),
            ("", None),
            (":80", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[nonsense]", None),
            ("example.com:99999", None),
            ("example.com:+80", None),
            ("example.com:80a", None),
            ("user@example.com", None),
            ("a b", None),
            ("a/b", None),
            ("exämple.com", None),
        ];
        for (given, expected) in rows {
            let expected = expected.map(|(host, port)| HostPort { host, port });
            assert_eq!(host_port(given), expected, "{given}");
        }
    }

    #[test]
    fn a_repeated_host_header_is_ignored() {
        let request = Request::builder().uri("/").header("host", "a").header("host", "b");
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(requested_host(&head), None);
    }
}
