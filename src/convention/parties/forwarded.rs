//! `Forwarded` and `X-Forwarded-*`, from trusted proxies only.

use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName};

use super::{
    forwarded_header::{Hop, forwarded_hops, node},
    scheme::HttpScheme,
};

/// The proxies in front of a server whose forwarding headers are trusted.
///
/// No proxy is trusted by default, because any caller can write `Forwarded` and `X-Forwarded-*`.
/// With trusted proxies, `server.address`, `server.port`, `url.scheme` and `client.address` describe
/// the original request.
///
/// Addresses are walked from the nearest proxy outwards. The walk stops at the first address that is
/// not a trusted proxy, so headers that a caller forged are never reached.
///
/// `Forwarded` (RFC 7239) wins over `X-Forwarded-For`, `-Host` and `-Proto` if a request has both.
///
/// # Security
///
/// A proxy that sets only one family of headers forwards the other unchanged from the caller. Choose
/// the family that your proxies set with [`only_forwarded`](Self::only_forwarded) or
/// [`only_x_forwarded`](Self::only_x_forwarded), unless they remove the other. The same holds for
/// single headers: let the nearest proxy remove `X-Forwarded-Host` and `-Proto` if it does not set
/// them.
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
    /// Trusts the nearest `count` proxies, regardless of their addresses.
    ///
    /// With 1, the caller is the last address of `X-Forwarded-For`. With 0, no proxy is trusted.
    pub fn count(count: usize) -> Self {
        Self::new(Which::Count(count))
    }

    /// Trusts the proxies whose address `is_proxy` accepts.
    ///
    /// The socket peer must be one of them, so the peer must be known: from axum's `ConnectInfo`
    /// (feature `axum`) or from [`Convention::with_peer`](crate::Convention::with_peer). Without a
    /// known peer no proxy is trusted.
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

    /// Returns what the outermost trusted proxy says about the original request.
    pub(crate) fn original<'a>(
        &self,
        headers: &'a HeaderMap,
        peer: Option<IpAddr>,
    ) -> Option<Hop<'a>> {
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
            // No list of addresses to walk: only the nearest proxy counts, if it is trusted.
            self.outermost(&[()], |()| None, peer)?;
            1
        } else {
            clients.len() - self.outermost(&clients, |client| *client, peer)?
        };
        // A proxy may replace one of these lists and append to another, so each is counted from its
        // own end. A shorter list was started by a trusted proxy.
        let from_end =
            |values: Vec<&'a str>| values.get(values.len().saturating_sub(depth)).copied();
        Some(Hop {
            client: clients.get(clients.len().wrapping_sub(depth)).copied().flatten(),
            host: from_end(list(headers, &X_FORWARDED_HOST).collect()).map(Cow::Borrowed),
            scheme: from_end(list(headers, &X_FORWARDED_PROTO).collect())
                .and_then(HttpScheme::parse),
        })
    }

    /// Returns the index of the entry that the outermost trusted proxy wrote, in a list that begins
    /// with the original caller. `None` if the nearest proxy is not trusted.
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

/// Returns the members of a comma-separated list, over all its header lines.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        // A member that is not text still counts as one member.
        .map(|member| std::str::from_utf8(member).unwrap_or("?").trim())
        .filter(|member| !member.is_empty())
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::Request;

    use super::*;
    use crate::convention::parties::{Parties, hosts::Hosts};

    /// The trusted proxies | the peer | the headers, by `;;` || client | server | scheme
    const ROWS: &str = "
        count 0 | 10.0.0.1 | x-forwarded-for: 1.1.1.1 ;; x-forwarded-proto: https || 10.0.0.1 | own | -
        # An entry counts if a trusted proxy wrote it, whatever the caller wrote before it.
        count 1 | 10.0.0.1 | x-forwarded-for: 6.6.6.6, 1.1.1.1 || 1.1.1.1 | own | -
        count 2 | - | x-forwarded-for: 6.6.6.6, 1.1.1.1, 10.0.0.9 || 1.1.1.1 | own | -
        count 5 | - | x-forwarded-for: 1.1.1.1, 10.0.0.9 || 1.1.1.1 | own | -
        # Several lines are one list.
        count 2 | - | x-forwarded-for: 6.6.6.6 ;; x-forwarded-for: 1.1.1.1 ;; x-forwarded-for: 10.0.0.9 || 1.1.1.1 | own | -
        count 1 | - | x-forwarded-host: example.com:8443 ;; x-forwarded-proto: HTTPS || - | example.com:8443 | https
        count 1 | - | x-forwarded-for: [2001:db8::1]:4711 ;; x-forwarded-host: evil, [::1]:80 ;; x-forwarded-proto: ftp || 2001:db8::1 | [::1]:80 | -
        count 1 | - | x-forwarded-for: ::ffff:1.2.3.4 || 1.2.3.4 | own | -
        # If the caller is hidden or malformed, only the peer is known.
        count 1 | 10.0.0.1 | x-forwarded-for: unknown ;; x-forwarded-host: a b || 10.0.0.1 | own | -
        # By address: the peer must be one of them.
        tens | 7.7.7.7 | x-forwarded-for: 1.1.1.1 || 7.7.7.7 | own | -
        tens | - | x-forwarded-for: 1.1.1.1 || - | own | -
        tens | 10.0.0.1 | x-forwarded-for: 6.6.6.6, 1.1.1.1, 10.0.0.3, 10.0.0.2 || 1.1.1.1 | own | -
        tens | 10.0.0.1 | x-forwarded-for: 10.0.0.3, 10.0.0.2 || 10.0.0.3 | own | -
        tens | 10.0.0.1 | x-forwarded-proto: https || 10.0.0.1 | own | https
        # RFC 7239.
        count 1 | - | forwarded: for=192.0.2.60;proto=http;by=203.0.113.43 || 192.0.2.60 | own | http
        count 1 | - | forwarded: For=`[2001:db8:cafe::17]:4711`;Host=`example.com:8080`;proto=HTTPS || 2001:db8:cafe::17 | example.com:8080 | https
        count 2 | - | forwarded: for=6.6.6.6, for=`1.1.1.1:5` ; host=`a\\.b` ;; forwarded: for=10.0.0.9 || 1.1.1.1 | a.b | -
        count 1 | - | forwarded: for=`a,b;c`;host=x, for=_hidden;host=y || - | y | -
        count 1 | - | forwarded: for=1.1.1.1 ;; x-forwarded-for: 2.2.2.2 || 1.1.1.1 | own | -
        count 1 | - | forwarded: for=`1.1.1.1 ;; x-forwarded-for: || - | own | -
        count 1 | - | forwarded: ;;=;for;host= || - | own | -
        # An open quote of the caller can't swallow what a proxy wrote.
        count 1 | 10.0.0.1 | forwarded: for=9.9.9.9;host=evil;proto=https;x=`, for=1.1.1.1 || 10.0.0.1 | own | -
        count 1 | 10.0.0.1 | forwarded: for=9.9.9.9;host=evil;x=`, for=`[2001:db8::1]` || 10.0.0.1 | own | -
        count 1 | 10.0.0.1 | forwarded: for=9.9.9.9;host=evil;x`, for=1.1.1.1 || 10.0.0.1 | own | -
        # Members that are not text keep their position.
        count 1 | 10.0.0.1 | x-forwarded-for: é, 1.1.1.1 || 1.1.1.1 | own | -
        count 2 | 10.0.0.1 | x-forwarded-for: é, 1.1.1.1 || 10.0.0.1 | own | -
        # One family alone.
        x-forwarded | - | forwarded: for=1.1.1.1 ;; x-forwarded-for: 2.2.2.2 || 2.2.2.2 | own | -
        forwarded | - | x-forwarded-for: 2.2.2.2 ;; x-forwarded-proto: https || - | own | -
    ";

    #[test]
    fn trusts_proxies_by_count_or_address() {
        let mut rows = 0;
        for row in
            ROWS.lines().map(str::trim).filter(|row| !row.is_empty() && !row.starts_with('#'))
        {
            rows += 1;
            let (given, expected) = row.split_once("||").unwrap();
            let given: Vec<_> = given.splitn(3, '|').map(str::trim).collect();
            let expected: Vec<_> = expected.split('|').map(str::trim).collect();
            let told = |text: &'static str| (text != "-").then_some(text);
            let trust = match given[0].split_once(' ') {
                Some((_, count)) => TrustedProxies::count(count.parse().unwrap()),
                None if given[0] == "forwarded" => TrustedProxies::count(1).only_forwarded(),
                None if given[0] == "x-forwarded" => TrustedProxies::count(1).only_x_forwarded(),
                None => TrustedProxies::matching(|ip| ip.to_string().starts_with("10.")),
            };
            let mut request = Request::builder().uri("/").header("host", "own");
            for header in given[2].split(" ;; ") {
                let (name, value) = header.split_once(':').unwrap();
                request = request.header(name, value.trim().replace('`', "\""));
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            let peer = told(given[1]).map(|ip| SocketAddr::new(ip.parse().unwrap(), 1));
            let hosts = Hosts::new(64, 1024);
            let parties =
                Parties::of_server(&head, peer, Some(&trust), HttpScheme::default(), &hosts);
            let server = parties.server.map(|(host, port)| match port {
                Some(port) if host.as_str().contains(':') => format!("[{host}]:{port}"),
                Some(port) => format!("{host}:{port}"),
                None => host.to_string(),
            });
            assert_eq!(server.as_deref(), told(expected[1]), "{row}");
            assert_eq!(parties.client, told(expected[0]).map(|ip| ip.parse().unwrap()), "{row}");
            let scheme = told(expected[2]).map_or("http", |scheme| scheme);
            assert_eq!(
                parties.scheme.as_ref().map(|scheme| scheme.as_str()),
                Some(scheme),
                "{row}"
            );
        }
        assert_eq!(rows, 28);
    }
}
