//! Who talks to whom: server, client and scheme.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use http::{
    HeaderMap, HeaderName, header, request,
    uri::{Authority, Scheme},
};

use super::{TrustedProxies, redact};

/// A host without brackets, and the port if one is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostPort<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
}

/// The schemes that may become a metric label; whatever else a caller writes is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpScheme {
    Http,
    Https,
}

impl HttpScheme {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let is = |known: &Self| known.as_str().eq_ignore_ascii_case(value.trim());
        [Self::Http, Self::Https].into_iter().find(is)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What is known of the two ends of an exchange on a server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends<'a> {
    /// The host, as it is written.
    pub(crate) server: Option<Cow<'a, str>>,
    pub(crate) client: Option<IpAddr>,
    pub(crate) scheme: Option<HttpScheme>,
}

/// The ends of an exchange as a server sees them.
pub(crate) fn server_ends<'a>(
    head: &'a request::Parts,
    peer: Option<SocketAddr>,
    trusted: Option<&TrustedProxies>,
) -> Ends<'a> {
    let peer = peer.map(|peer| peer.ip().to_canonical());
    let original = trusted.and_then(|trusted| trusted.original(&head.headers, peer));
    let client = original.as_ref().and_then(|hop| hop.client).or(peer);
    let scheme = original.as_ref().and_then(|hop| hop.scheme).or_else(|| requested_scheme(head));
    let forwarded = original.and_then(|hop| hop.host).filter(|host| host_port(host).is_some());
    let server = forwarded.or_else(|| requested_host(head).map(Cow::Borrowed));
    Ends { server, client, scheme }
}

/// The scheme that a request names.
pub(crate) fn requested_scheme(head: &request::Parts) -> Option<HttpScheme> {
    head.uri.scheme_str().and_then(HttpScheme::parse)
}

/// The host that a request names, as it is written: that of its URI, else its `Host`.
pub(crate) fn requested_host(head: &request::Parts) -> Option<&str> {
    match head.uri.authority() {
        Some(authority) => Some(authority_host(authority)),
        None => only(&head.headers, &header::HOST),
    }
}

/// The host of an authority, without the user before it.
pub(crate) fn authority_host(authority: &Authority) -> &str {
    redact::without_user(authority.as_str())
}

/// The port that a scheme has by itself.
pub(crate) fn default_port(scheme: Option<&Scheme>) -> Option<u16> {
    match scheme?.as_str() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Reads `host`, `host:port`, `[v6]` or `[v6]:port`; `None` where it is none of these.
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
        // The reg-name of RFC 3986, less the delimiters that it allows and no host has.
        let is_name =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'%');
        if host.is_empty() || !host.bytes().all(is_name) {
            return None;
        }
        (host, port)
    };
    let port = match port {
        // `Host: example.com:` names the default port.
        None | Some("") => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
    };
    Some(HostPort { host, port })
}

/// The one value of a header that may be sent once.
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
    fn hosts() {
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
    fn two_hosts_are_none() {
        let request = Request::builder().uri("/").header("host", "a").header("host", "b");
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(requested_host(&head), None);
    }
}
