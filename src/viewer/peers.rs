//! Requests that are answered.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, Request, header, uri::Authority};

use crate::convention::parties;

/// Returns the reason for which a request is refused.
pub(super) fn obstacle<B>(request: &Request<B>) -> Option<&'static str> {
    let headers = request.headers();
    match parties::socket_peer(request.extensions()).as_ref().map(SocketAddr::ip) {
        None => return Some(UNKNOWN_PEER),
        Some(peer) if !is_loopback(peer) => return Some(REMOTE_PEER),
        Some(_) => {}
    }
    if FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        return Some(FORWARDED_REQUEST);
    }
    if !host(request).is_some_and(|host| is_loopback_name(&host)) {
        return Some(OTHER_HOST);
    }
    // A link or a bookmark is `none`. Programs send no such header.
    let site = headers.get("sec-fetch-site").map_or(b"none".as_slice(), |site| site.as_bytes());
    let is_navigation = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    match site {
        b"none" | b"same-origin" => None,
        _ if is_navigation => None,
        _ => Some(OTHER_SITE),
    }
}

/// An IPv4 address of the loopback interface may be written as IPv6.
fn is_loopback(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

fn host<B>(request: &Request<B>) -> Option<String> {
    let authority = match request.uri().authority() {
        Some(authority) => authority.clone(),
        None => header_text(request.headers())?.parse::<Authority>().ok()?,
    };
    Some(authority.host().trim_matches(['[', ']']).to_owned())
}

fn header_text(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

fn is_loopback_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(is_loopback)
}

const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

const UNKNOWN_PEER: &str = "the viewer answers only peers on the loopback interface, and the peer of this request is \
    unknown. Serve the router with `into_make_service_with_connect_info::<SocketAddr>()` and the feature `axum`, or \
    allow everybody by `telemetry.viewer().for_all_peers()`";

const REMOTE_PEER: &str = "the viewer answers only peers on the loopback interface. Use a tunnel (`ssh -L`), or allow \
    everybody by `telemetry.viewer().for_all_peers()`";

const FORWARDED_REQUEST: &str = "the viewer answers no request that a proxy has forwarded, because it can't know the \
    peer. Allow everybody by `telemetry.viewer().for_all_peers()`";

const OTHER_HOST: &str = "the viewer answers only as `localhost`, `127.0.0.1` or `[::1]`, because another name may be \
    a trick of a page of another site. Allow all names by `telemetry.viewer().for_all_peers()`";

const OTHER_SITE: &str = "the viewer answers no request that a page of another site makes";
