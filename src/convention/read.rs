//! From the request, the response head and the end to facts.

use std::time::Duration;

use http::{HeaderMap, Version, header, request, response};

use super::{
    facts::{Facts, OwnLabels},
    grpc::call::{Call, is_call},
    http::{method::Method, status},
    options::{Options, ServerOptions, SideOptions},
    parties::{Parties, response_peer, scheme::HttpScheme, socket_peer},
    protocol::Protocol,
    request_body::{BodySize, RequestBodySize},
    route::{Route, RouteSlot},
    rules::Rules,
    side::Side,
    url_parts::UrlTemplate,
};
use crate::end::End;

/// Reads the facts of a request.
///
/// On a server whose router runs later, this leaves a slot for the route in the request's extensions.
/// A layer inside another layer of the same exchange (`is_nested`) shares the slot.
#[inline]
pub(crate) fn request(rules: &Rules, head: &mut request::Parts, is_nested: bool) -> Facts {
    let options = &rules.options;
    let is_call = protocol(options, head) == Protocol::Grpc;
    let mut facts = Facts {
        call: is_call.then(|| Box::new(Call::read(rules, head))),
        parties: None,
        method: Method::new(&options.known_methods, &head.method, options.value_limit),
        scheme: None,
        version: None,
        route: None,
        resend_count: 0,
        slot: None,
        status: None,
        error_type: None,
        own_labels: None,
        request_body_size: BodySize::Unknown,
    };
    if let Some(hook) = &options.request_labels {
        facts.add_labels(hook(head));
    }
    match &options.side {
        SideOptions::Server(server) => {
            facts.version = Some(head.version);
            // A call may turn out to be an HTTP exchange.
            if !is_call || options.protocol.is_none() {
                server_request(rules, server, head, &mut facts, is_nested);
            }
        }
        // The version is negotiated later and known from the response.
        SideOptions::Client(client) => {
            facts.set_route(UrlTemplate::of(head));
            let origin = client.origin.as_ref();
            let parties = Parties::of_client(head, origin, is_call, &rules.caches.hosts);
            facts.parties = Some(Box::new(parties));
        }
    }
    facts
}

fn protocol(options: &Options, head: &request::Parts) -> Protocol {
    options.protocol.unwrap_or_else(|| match is_call(head) {
        true => Protocol::Grpc,
        false => Protocol::Http,
    })
}

fn server_request(
    rules: &Rules,
    server: &ServerOptions,
    head: &mut request::Parts,
    facts: &mut Facts,
    is_nested: bool,
) {
    facts.scheme = Some(match &server.trusted {
        Some(_) => {
            let parties = facts.parties.insert(Box::new(server_parties(rules, server, head)));
            let forwarded = parties.scheme.as_ref();
            forwarded.and_then(|scheme| HttpScheme::parse(scheme.as_str())).unwrap_or(server.scheme)
        }
        None => server.scheme,
    });
    match server.route.as_ref().and_then(|hook| hook(head)) {
        Some(route) => facts.set_route(Some(route.as_str())),
        None => facts.set_route(Route::matched(&head.extensions)),
    }
    if facts.route.is_none() {
        facts.slot = Some(RouteSlot::of(&mut head.extensions, is_nested));
    }
}

fn server_parties(rules: &Rules, server: &ServerOptions, head: &request::Parts) -> Parties {
    let (peer, hosts) = (server_peer(server, head), &rules.caches.hosts);
    Parties::of_server(head, peer, server.trusted.as_ref(), server.scheme, hosts)
}

fn server_peer(server: &ServerOptions, head: &request::Parts) -> Option<std::net::SocketAddr> {
    let peer = server.peer.as_ref().and_then(|hook| hook(head));
    peer.or_else(|| socket_peer(&head.extensions))
}

/// Reads the parties of a request whose facts don't have them: those of a server, which only spans
/// need.
pub(super) fn parties(rules: &Rules, facts: &Facts, head: &request::Parts) -> Parties {
    match &rules.options.side {
        SideOptions::Server(server) if facts.is_certain_call() => {
            Parties::of_called_server(head, server_peer(server, head), &rules.caches.hosts)
        }
        SideOptions::Server(server) => server_parties(rules, server, head),
        SideOptions::Client(client) => {
            let origin = client.origin.as_ref();
            Parties::of_client(head, origin, facts.is_call(), &rules.caches.hosts)
        }
    }
}

/// Adds the size of the request body, which is read only if it is recorded.
pub(crate) fn request_body_size(rules: &Rules, facts: &mut Facts, head: &request::Parts) {
    let announced = announced_length(&head.headers).or_else(|| RequestBodySize::of(head));
    let is_empty = || {
        let is_http_server = rules.side() == Side::Server && !facts.is_call();
        (is_http_server && has_no_body(head)).then_some(0)
    };
    facts.request_body_size.announce(announced.or_else(is_empty));
}

/// Leaves a slot for the number of bytes that are read, in the request's extensions.
pub(crate) fn count_request_body(facts: &mut Facts, head: &mut request::Parts) {
    facts.request_body_size.leave_slot(&mut head.extensions);
}

/// Adds the facts of the response head.
pub(crate) fn response(rules: &Rules, facts: &mut Facts, head: &response::Parts) {
    facts.status = Some(head.status);
    if let Some(call) = &mut facts.call {
        call.read_response(rules, head);
    }
    match rules.side() {
        Side::Client => {
            facts.version = Some(head.version);
            if let Some(parties) = &mut facts.parties {
                parties.peer = response_peer(&head.extensions);
            }
        }
        Side::Server => {
            if facts.route.is_none() {
                facts.set_route(head.extensions.get::<Route>().map(Route::as_str));
            }
        }
    }
    if let Some(hook) = &rules.options.response_labels {
        facts.add_labels(hook(head));
    }
}

/// Adds the facts of the end.
pub(crate) fn end(rules: &Rules, facts: &mut Facts, end: &End<'_>, elapsed: Duration) {
    if facts.route.is_none() {
        let slot = facts.slot.take();
        facts.set_route(slot.as_ref().and_then(RouteSlot::get).map(Route::as_str));
    }
    if let Some(OwnLabels { labels, handler: Some(added) }) = facts.own_labels.as_deref_mut() {
        added.append_to(labels);
    }
    facts.error_type = match facts.call.as_mut().map(|call| call.read_end(rules, end, elapsed)) {
        Some(Ok(error_type)) => error_type,
        not_grpc => {
            if not_grpc.is_some() {
                facts.call = None;
            }
            status::error_type(rules, facts.status, end)
        }
    };
}

/// Reads `Content-Length`, which may be repeated with the same value.
pub(crate) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let first = values.next()?;
    if values.any(|other| other != first) {
        return None;
    }
    let digits = first.to_str().ok()?;
    // `parse` alone would accept a sign.
    let length = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?;
    length.filter(|length| *length <= MAX_LENGTH)
}

/// An HTTP/1 request that announces neither a length nor a transfer coding has no body (RFC 9112,
/// section 6.3).
fn has_no_body(head: &request::Parts) -> bool {
    head.version < Version::HTTP_2
        && !head.headers.contains_key(header::CONTENT_LENGTH)
        && !head.headers.contains_key(header::TRANSFER_ENCODING)
}

/// One tebibyte. Longer lengths are not plausible, and callers choose them.
const MAX_LENGTH: u64 = 1 << 40;
