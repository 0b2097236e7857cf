//! The grammar of `Forwarded` (RFC 7239).

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use http::{HeaderMap, header};

use super::scheme::HttpScheme;
use crate::quoted::split_outside_quotes;

/// The request as one proxy received it.
#[derive(Default)]
pub(crate) struct Hop<'a> {
    pub(super) client: Option<IpAddr>,
    pub(super) host: Option<Cow<'a, str>>,
    pub(super) scheme: Option<HttpScheme>,
}

/// Returns the elements of all `Forwarded` lines, beginning with the original caller.
pub(super) fn forwarded_hops(headers: &HeaderMap) -> Vec<Hop<'_>> {
    headers
        .get_all(header::FORWARDED)
        .iter()
        // A line that is not text still counts as one element.
        .map(|line| line.to_str().unwrap_or("?"))
        .flat_map(|line| split_outside_quotes(line, ','))
        .filter(|element| !element.trim().is_empty())
        .map(|element| hop(element).unwrap_or_default())
        .collect()
}

/// Parses one element. `None` if a quote is misplaced, because the quote may hide the comma after
/// which a proxy wrote its own element.
fn hop(element: &str) -> Option<Hop<'_>> {
    let mut hop = Hop::default();
    for pair in split_outside_quotes(element, ';') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = token_or_quoted(value.trim()).filter(|_| !name.contains('"'))?;
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.client = node(&value),
            "host" => hop.host = Some(value),
            "proto" => hop.scheme = HttpScheme::parse(&value),
            _ => {}
        }
    }
    Some(hop)
}

/// Parses an address with or without a port. `None` if it is hidden (`_x`, `unknown`) or malformed.
pub(super) fn node(value: &str) -> Option<IpAddr> {
    let value = value.trim();
    let ip = value
        .parse::<IpAddr>()
        .or_else(|_| value.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(|| value.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(ip.to_canonical())
}

fn token_or_quoted(value: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = value.strip_prefix('"') else {
        return (!value.contains('"')).then_some(Cow::Borrowed(value));
    };
    let inner = quoted.strip_suffix('"')?;
    if !inner.contains(['\\', '"']) {
        return Some(Cow::Borrowed(inner));
    }
    let mut unescaped = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        unescaped.push(match c {
            '\\' => characters.next()?,
            '"' => return None,
            c => c,
        });
    }
    Some(Cow::Owned(unescaped))
}
