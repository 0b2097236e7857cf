//! Requests that come from this machine, and what speaks against it.

use std::net::{IpAddr, SocketAddr};

use http::{Extensions, HeaderMap, Uri, header, uri::Authority};

use crate::convention::parties;

/// The reason for which a request may not come from a person or a program on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// The server does not tell the peer.
    UnknownPeer,
    /// The peer is not on the loopback interface.
    RemotePeer,
    /// A proxy has forwarded the request.
    Forwarded,
    /// The host has another name than this machine's for itself: the name may be a trick of a page of another
    /// site.
    OtherHost,
    /// A page of another site makes the request.
    OtherSite,
}

/// Returns what speaks against a caller on this machine.
pub(crate) fn stranger(
    extensions: &Extensions,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Stranger> {
    match parties::socket_peer(extensions).as_ref().map(SocketAddr::ip) {
        None => return Some(Stranger::UnknownPeer),
        Some(peer) if !is_loopback(peer) => return Some(Stranger::RemotePeer),
        Some(_) => {}
    }
    if headers.keys().any(|name| is_of_proxy(name.as_str())) {
        return Some(Stranger::Forwarded);
    }
    if !host(uri, headers).is_some_and(|host| is_loopback_name(&host)) {
        return Some(Stranger::OtherHost);
    }
    // A link or a bookmark is `none`. Programs send no such header.
    let site = headers.get("sec-fetch-site").map_or(b"none".as_slice(), |site| site.as_bytes());
    let is_navigation = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    match site {
        b"none" | b"same-origin" => None,
        _ if is_navigation => None,
        _ => Some(Stranger::OtherSite),
    }
}

/// An IPv4 address of the loopback interface may be written as IPv6.
fn is_loopback(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok()?,
    };
    Some(authority.host().trim_matches(['[', ']']).to_owned())
}

fn is_loopback_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(is_loopback)
}

/// Returns true for headers that proxies add. nginx adds none unless it is configured to.
fn is_of_proxy(name: &str) -> bool {
    matches!(name, "forwarded" | "via" | "x-real-ip")
        || name.starts_with("x-forwarded-")
        || name.starts_with("x-envoy-")
}
