//! Who talks to whom: server, client and scheme, from the URI, `Host`, `Forwarded` and
//! `X-Forwarded-*`.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{
    HeaderMap, HeaderName, header, request,
    uri::{Authority, Scheme},
};

/// A host without brackets, and the port if one is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostPort<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
}

/// What is known of the two ends of an exchange on a server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) server: Option<(String, Option<u16>)>,
    pub(crate) client: Option<IpAddr>,
    pub(crate) scheme: Option<&'static str>,
}

/// Which proxies in front of a server may speak for the caller.
///
/// By default none: `Forwarded` and `X-Forwarded-*` can be written by anyone, so they are ignored.
/// Once proxies are trusted, `server.address`, `server.port`, `url.scheme` and `client.address` are
/// those of the original request.
///
/// Addresses are walked from the nearest proxy outwards, and the walk stops at the first address
/// that is not a trusted proxy: what a caller writes into these headers lies beyond it.
///
/// `Forwarded` (RFC 7239) wins over `X-Forwarded-For`, `-Host` and `-Proto` where a request has
/// both. A proxy that maintains only one family passes the other on as the caller wrote it; name
/// the family your proxies maintain with [`only_forwarded`](Self::only_forwarded) or
/// [`only_x_forwarded`](Self::only_x_forwarded) unless they remove the other.
///
/// # Example
///
/// ```
/// use std::net::IpAddr;
/// use tower_telemetry::{Convention, TrustedProxies};
///
/// // One load balancer in front, which sets X-Forwarded-*:
/// let _ = Convention::server().with_trusted_proxies(TrustedProxies::count(1).only_x_forwarded());
///
/// // Whatever connects from the private network is a proxy:
/// let private = |ip: IpAddr| matches!(ip, IpAddr::V4(ip) if ip.is_private());
/// let _ = Convention::server().with_trusted_proxies(TrustedProxies::matching(private));
/// ```
#[derive(Clone)]
pub struct TrustedProxies {
    which: Which,
    forwarded: bool,
    x_forwarded: bool,
}

#[derive(Clone)]
enum Which {
    Count(usize),
    Matching(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>),
}

impl TrustedProxies {
    /// Trusts the nearest `count` proxies, whatever their addresses.
    ///
    /// With 1, the caller is the last address of `X-Forwarded-For`. With 0, nothing is trusted.
    pub fn count(count: usize) -> Self {
        Self::new(Which::Count(count))
    }

    /// Trusts the proxies whose address `is_proxy` accepts.
    ///
    /// The socket peer must be one of them, so it must be known: through axum's `ConnectInfo`
    /// (feature `axum`) or [`Convention::with_peer`](crate::Convention::with_peer). Without it
    /// nothing is trusted.
    pub fn matching<F>(is_proxy: F) -> Self
    where
        F: Fn(IpAddr) -> bool + Send + Sync + 'static,
    {
        Self::new(Which::Matching(Arc::new(is_proxy)))
    }

    /// Reads `Forwarded` alone and ignores `X-Forwarded-*`.
    #[must_use]
    pub fn only_forwarded(mut self) -> Self {
        (self.forwarded, self.x_forwarded) = (true, false);
        self
    }

    /// Reads `X-Forwarded-*` alone and ignores `Forwarded`.
    #[must_use]
    pub fn only_x_forwarded(mut self) -> Self {
        (self.forwarded, self.x_forwarded) = (false, true);
        self
    }

    fn new(which: Which) -> Self {
        Self { which, forwarded: true, x_forwarded: true }
    }

    /// What the trusted proxies say of the original request, if anything.
    fn original<'a>(&self, headers: &'a HeaderMap, peer: Option<IpAddr>) -> Option<Hop<'a>> {
        let forwarded = if self.forwarded { forwarded_hops(headers) } else { Vec::new() };
        if !forwarded.is_empty() {
            let at = self.outermost(&forwarded, |hop| hop.client, peer)?;
            return forwarded.into_iter().nth(at);
        }
        if !self.x_forwarded {
            return None;
        }
        let clients: Vec<_> = list(headers, &X_FORWARDED_FOR).map(node).collect();
        let depth = if clients.is_empty() {
            // Nothing to walk: the nearest proxy speaks, if it is trusted.
            self.outermost(&[()], |()| None, peer)?;
            1
        } else {
            clients.len() - self.outermost(&clients, |client| *client, peer)?
        };
        // A proxy may set one of these lists anew and append to another; each is counted from its
        // own end, and a list that is shorter was begun by a proxy that is trusted.
        let from_end =
            |values: Vec<&'a str>| values.get(values.len().saturating_sub(depth)).copied();
        Some(Hop {
            client: clients.get(clients.len().wrapping_sub(depth)).copied().flatten(),
            host: from_end(list(headers, &X_FORWARDED_HOST).collect()).map(Cow::Borrowed),
            scheme: from_end(list(headers, &X_FORWARDED_PROTO).collect()).and_then(scheme),
        })
    }

    /// The index, in a list that begins with the original caller, of the entry written by the
    /// outermost trusted proxy; `None` where not even the nearest is trusted.
    fn outermost<T>(
        &self,
        hops: &[T],
        client: impl Fn(&T) -> Option<IpAddr>,
        peer: Option<IpAddr>,
    ) -> Option<usize> {
        match &self.which {
            Which::Count(0) => None,
            Which::Count(count) => Some(hops.len().saturating_sub(*count)),
            Which::Matching(is_proxy) => {
                peer.filter(|peer| is_proxy(*peer))?;
                let stop = hops.iter().rposition(|hop| !client(hop).is_some_and(|ip| is_proxy(ip)));
                Some(stop.unwrap_or(0))
            }
        }
    }
}

impl fmt::Debug for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which: &dyn fmt::Debug = match &self.which {
            Which::Count(count) => count,
            Which::Matching(_) => &"matching",
        };
        f.debug_struct("TrustedProxies")
            .field("which", which)
            .field("forwarded", &self.forwarded)
            .field("x_forwarded", &self.x_forwarded)
            .finish()
    }
}

/// The ends of an exchange as a server sees them.
pub(crate) fn server_ends(
    head: &request::Parts,
    peer: Option<SocketAddr>,
    trusted: Option<&TrustedProxies>,
) -> Ends {
    let peer = peer.map(|peer| peer.ip().to_canonical());
    let original = trusted.and_then(|trusted| trusted.original(&head.headers, peer));
    let client = match &original {
        // The nearest proxy is not the caller, even where it doesn't say who is.
        Some(hop) => hop.client,
        None => peer,
    };
    let server = original
        .as_ref()
        .and_then(|hop| host_port(hop.host.as_deref()?))
        .or_else(|| requested_host(head))
        .map(|server| (server.host.to_owned(), server.port));
    let scheme = original
        .as_ref()
        .and_then(|hop| hop.scheme)
        .or_else(|| head.uri.scheme_str().and_then(scheme));
    Ends { server, client, scheme }
}

/// The host that a request names: that of its URI, else its `Host`.
pub(crate) fn requested_host(head: &request::Parts) -> Option<HostPort<'_>> {
    match head.uri.authority() {
        Some(authority) => authority_host(authority),
        None => host_port(only(&head.headers, &header::HOST)?),
    }
}

/// The host of an authority, without the user before it.
pub(crate) fn authority_host(authority: &Authority) -> Option<HostPort<'_>> {
    host_port(authority.as_str().rsplit('@').next()?)
}

/// The port that a scheme has by itself.
pub(crate) fn default_port(scheme: Option<&Scheme>) -> Option<u16> {
    match scheme?.as_str() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// The schemes that may become a metric label; whatever else a caller writes is not one.
pub(crate) fn scheme(value: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|known| known.eq_ignore_ascii_case(value.trim()))
}

/// Reads `host`, `host:port`, `[v6]` or `[v6]:port`; `None` where it is none of these.
pub(crate) fn host_port(value: &str) -> Option<HostPort<'_>> {
    let value = value.trim();
    let (host, port) = if let Some(rest) = value.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        let port = match after {
            "" => None,
            _ => Some(after.strip_prefix(':')?),
        };
        (host, port)
    } else {
        let (host, port) = match value.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (value, None),
        };
        // The reg-name of RFC 3986, less the delimiters that it allows and no host has.
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._~%".contains(&b);
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

/// What one proxy says of the request it received.
#[derive(Default)]
struct Hop<'a> {
    client: Option<IpAddr>,
    host: Option<Cow<'a, str>>,
    scheme: Option<&'static str>,
}

/// The elements of all `Forwarded` lines, the original caller first.
fn forwarded_hops(headers: &HeaderMap) -> Vec<Hop<'_>> {
    headers
        .get_all(header::FORWARDED)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| split_unquoted(line, ','))
        .filter(|element| !element.trim().is_empty())
        .map(|element| {
            let mut hop = Hop::default();
            for pair in split_unquoted(element, ';') {
                let Some((name, value)) = pair.split_once('=') else { continue };
                let Some(value) = token_or_quoted(value.trim()) else { continue };
                match name.trim().to_ascii_lowercase().as_str() {
                    "for" => hop.client = node(&value),
                    "host" => hop.host = Some(value),
                    "proto" => hop.scheme = scheme(&value),
                    _ => {}
                }
            }
            hop
        })
        .collect()
}

/// The members of a comma-separated list, over all its header lines.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|member| !member.is_empty())
}

/// The one value of a header that may be sent once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// An address with or without a port; what is hidden (`_x`, `unknown`) or malformed is `None`.
fn node(value: &str) -> Option<IpAddr> {
    let value = value.trim();
    let ip = value
        .parse::<IpAddr>()
        .or_else(|_| value.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(|| value.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(ip.to_canonical())
}

fn split_unquoted(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |c| {
        let splits = c == separator && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        splits
    })
}

fn token_or_quoted(value: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = value.strip_prefix('"') else { return Some(Cow::Borrowed(value)) };
    let inner = quoted.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut escaped = false;
    let unescaped = inner.chars().filter(|c| {
        escaped = *c == '\\' && !escaped;
        !escaped
    });
    Some(Cow::Owned(unescaped.collect()))
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn hosts() {
        let rows: [(&str, Option<(&str, Option<u16>)>); 22] = [
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

    /// One proxy row: trust, peer, headers; then client, server, scheme.
    type Row<'a> = (
        TrustedProxies,
        Option<&'a str>,
        &'a [(&'static str, &'a str)],
        Option<&'a str>,
        Option<(&'a str, Option<u16>)>,
        Option<&'static str>,
    );

    #[test]
    fn proxies() {
        let count = TrustedProxies::count;
        let tens = || TrustedProxies::matching(|ip| ip.to_string().starts_with("10."));
        let own = Some(("own", None));
        let rows: Vec<Row<'_>> = vec![
            // Nobody is trusted.
            (
                count(0),
                Some("10.0.0.1"),
                &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https")],
                Some("10.0.0.1"),
                own,
                None,
            ),
            // One proxy: its entry is the last, whatever the caller wrote before it.
            (
                count(1),
                Some("10.0.0.1"),
                &[("x-forwarded-for", "6.6.6.6, 1.1.1.1")],
                Some("1.1.1.1"),
                own,
                None,
            ),
            (
                count(2),
                None,
                &[("x-forwarded-for", "6.6.6.6, 1.1.1.1, 10.0.0.9")],
                Some("1.1.1.1"),
                own,
                None,
            ),
            (
                count(5),
                None,
                &[("x-forwarded-for", "1.1.1.1, 10.0.0.9")],
                Some("1.1.1.1"),
                own,
                None,
            ),
            // Several header lines are one list.
            (
                count(2),
                None,
                &[
                    ("x-forwarded-for", "6.6.6.6"),
                    ("x-forwarded-for", "1.1.1.1"),
                    ("x-forwarded-for", "10.0.0.9"),
                ],
                Some("1.1.1.1"),
                own,
                None,
            ),
            (
                count(1),
                None,
                &[("x-forwarded-host", "example.com:8443"), ("x-forwarded-proto", "HTTPS")],
                None,
                Some(("example.com", Some(8443))),
                Some("https"),
            ),
            (
                count(1),
                None,
                &[
                    ("x-forwarded-for", "[2001:db8::1]:4711"),
                    ("x-forwarded-host", "evil, [::1]:80"),
                    ("x-forwarded-proto", "ftp"),
                ],
                Some("2001:db8::1"),
                Some(("::1", Some(80))),
                None,
            ),
            (count(1), None, &[("x-forwarded-for", "::ffff:1.2.3.4")], Some("1.2.3.4"), own, None),
            (
                count(1),
                Some("10.0.0.1"),
                &[("x-forwarded-for", "unknown"), ("x-forwarded-host", "a b")],
                None,
                own,
                None,
            ),
            // By address: the peer must be one.
            (
                tens(),
                Some("7.7.7.7"),
                &[("x-forwarded-for", "1.1.1.1")],
                Some("7.7.7.7"),
                own,
                None,
            ),
            (tens(), None, &[("x-forwarded-for", "1.1.1.1")], None, own, None),
            (
                tens(),
                Some("10.0.0.1"),
                &[("x-forwarded-for", "6.6.6.6, 1.1.1.1, 10.0.0.3, 10.0.0.2")],
                Some("1.1.1.1"),
                own,
                None,
            ),
            (
                tens(),
                Some("10.0.0.1"),
                &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")],
                Some("10.0.0.3"),
                own,
                None,
            ),
            (tens(), Some("10.0.0.1"), &[("x-forwarded-proto", "https")], None, own, Some("https")),
            // RFC 7239.
            (
                count(1),
                None,
                &[("forwarded", "for=192.0.2.60;proto=http;by=203.0.113.43")],
                Some("192.0.2.60"),
                own,
                Some("http"),
            ),
            (
                count(1),
                None,
                &[(
                    "forwarded",
                    "For=\"[2001:db8:cafe::17]:4711\";Host=\"example.com:8080\";proto=HTTPS",
                )],
                Some("2001:db8:cafe::17"),
                Some(("example.com", Some(8080))),
                Some("https"),
            ),
            (
                count(2),
                None,
                &[
                    ("forwarded", "for=6.6.6.6, for=\"1.1.1.1:5\" ; host=\"a\\.b\""),
                    ("forwarded", "for=10.0.0.9"),
                ],
                Some("1.1.1.1"),
                Some(("a.b", None)),
                None,
            ),
            (
                count(1),
                None,
                &[("forwarded", "for=\"a,b;c\";host=x, for=_hidden;host=y")],
                None,
                Some(("y", None)),
                None,
            ),
            (
                count(1),
                None,
                &[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "2.2.2.2")],
                Some("1.1.1.1"),
                own,
                None,
            ),
            (
                count(1).only_x_forwarded(),
                None,
                &[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "2.2.2.2")],
                Some("2.2.2.2"),
                own,
                None,
            ),
            (
                count(1).only_forwarded(),
                None,
                &[("x-forwarded-for", "2.2.2.2"), ("x-forwarded-proto", "https")],
                None,
                own,
                None,
            ),
            (
                count(1),
                None,
                &[("forwarded", "for=\"1.1.1.1"), ("x-forwarded-for", "")],
                None,
                own,
                None,
            ),
            (count(1), None, &[("forwarded", ";;=;for;host=")], None, own, None),
        ];
        for (trust, peer, headers, client, server, scheme) in rows {
            let mut request = Request::builder().uri("/").header("host", "own");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            let peer = peer.map(|ip| SocketAddr::new(ip.parse().unwrap(), 1));
            let ends = server_ends(&head, peer, Some(&trust));
            let expected = Ends {
                server: server.map(|(host, port)| (host.to_owned(), port)),
                client: client.map(|ip| ip.parse().unwrap()),
                scheme,
            };
            assert_eq!(ends, expected, "{trust:?} {peer:?} {headers:?}");
        }
    }

    #[test]
    fn two_hosts_are_none() {
        let request = Request::builder().uri("/").header("host", "a").header("host", "b");
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(requested_host(&head), None);
    }
}
