//! The two parties of an exchange: server, client and socket peer.

pub(super) mod address;
pub(super) mod forwarded;
mod forwarded_header;
pub(super) mod hosts;
pub(super) mod origin;
pub(super) mod scheme;

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use http::{Extensions, request, uri::Scheme};
use opentelemetry::{KeyValue, StringValue};

use self::{forwarded::TrustedProxies, hosts::Hosts, origin::Origin, scheme::HttpScheme};
use super::names;

/// The parties of an exchange, as they are recorded.
#[derive(Debug, Default)]
pub(super) struct Parties {
    /// A client may use other schemes than HTTP's, such as `ws`.
    pub(super) scheme: Option<StringValue>,
    pub(super) server: Option<(StringValue, Option<u16>)>,
    /// The server's address is the path of a unix socket.
    pub(super) is_unix_socket: bool,
    pub(super) client: Option<IpAddr>,
    /// The other end of the socket.
    pub(super) peer: Option<SocketAddr>,
}

impl Parties {
    /// Reads the parties of an HTTP request to a server.
    pub(super) fn of_server(
        head: &request::Parts,
        peer: Option<SocketAddr>,
        trusted: Option<&TrustedProxies>,
        default_scheme: HttpScheme,
        hosts: &Hosts,
    ) -> Self {
        let peer_ip = peer.map(|peer| peer.ip().to_canonical());
        let original = trusted.and_then(|trusted| trusted.original(&head.headers, peer_ip));
        let client = original.as_ref().and_then(|hop| hop.client).or(peer_ip);
        let scheme = original.as_ref().and_then(|hop| hop.scheme).unwrap_or(default_scheme);
        let forwarded = original.and_then(|hop| hop.host);
        let forwarded = forwarded.filter(|host| address::host_port(host).is_some());
        let host = forwarded.or_else(|| address::requested_host(head).map(Cow::Borrowed));
        Self {
            scheme: Some(scheme.as_str().into()),
            server: host.and_then(|host| hosts.parse(&host)),
            client,
            peer,
            ..Self::default()
        }
    }

    /// Reads the parties of a gRPC call to a server. The RPC conventions know no proxies.
    pub(super) fn of_called_server(
        head: &request::Parts,
        peer: Option<SocketAddr>,
        hosts: &Hosts,
    ) -> Self {
        // A client of a unix socket makes the authority up.
        let host = address::requested_host(head).filter(|_| !is_from_unix_socket(&head.extensions));
        Self { server: host.and_then(|host| hosts.parse(host)), peer, ..Self::default() }
    }

    /// Reads the parties of a client's request.
    pub(super) fn of_client(
        head: &request::Parts,
        origin: Option<&Origin>,
        is_call: bool,
        hosts: &Hosts,
    ) -> Self {
        if let Some(Origin::UnixSocket(path)) = origin {
            let scheme = head.uri.scheme().map(scheme_value);
            let server = Some((path.clone(), None));
            return Self { scheme, server, is_unix_socket: true, ..Self::default() };
        }
        let origin = origin.and_then(Origin::uri);
        // A channel sends its calls to its origin, whatever host they name.
        let requested = match (is_call, origin) {
            (true, Some(_)) => None,
            _ => address::requested_host(head).and_then(|host| hosts.parse(host)),
        };
        let (uri, host) = match (requested, origin) {
            (Some(host), _) => (&head.uri, Some(host)),
            (None, Some(origin)) => {
                let host = origin.authority().map(address::authority_host);
                (origin, host.and_then(|host| hosts.parse(host)))
            }
            (None, None) => (&head.uri, None),
        };
        let scheme = uri.scheme().or_else(|| origin?.scheme());
        let port = |port: Option<u16>| port.or_else(|| address::default_port(scheme));
        Self {
            scheme: scheme.map(scheme_value),
            server: host.map(|(host, named)| (host, port(named))),
            ..Self::default()
        }
    }

    pub(super) fn push_server(&self, attributes: &mut impl Extend<KeyValue>) {
        if let Some((host, port)) = &self.server {
            attributes.extend([KeyValue::new(names::SERVER_ADDRESS, host.clone())]);
            attributes.extend(port.map(|port| KeyValue::new(names::SERVER_PORT, i64::from(port))));
        }
    }

    pub(super) fn push_peer(&self, attributes: &mut impl Extend<KeyValue>) {
        if let Some(peer) = self.peer {
            let address = peer.ip().to_canonical().to_string();
            attributes.extend([
                KeyValue::new(names::NETWORK_PEER_ADDRESS, address),
                KeyValue::new(names::NETWORK_PEER_PORT, i64::from(peer.port())),
            ]);
        }
    }
}

fn scheme_value(scheme: &Scheme) -> StringValue {
    match scheme.as_str() {
        "http" => "http".into(),
        "https" => "https".into(),
        other => other.to_owned().into(),
    }
}

/// Returns true if the connection of a request to tonic's server is a unix socket.
#[cfg(all(feature = "tonic", unix))]
fn is_from_unix_socket(extensions: &Extensions) -> bool {
    extensions.get::<tonic::transport::server::UdsConnectInfo>().is_some()
}

#[cfg(not(all(feature = "tonic", unix)))]
fn is_from_unix_socket(_: &Extensions) -> bool {
    false
}

/// Returns the socket peer of a response, from hyper-util's connector.
#[cfg(feature = "hyper")]
pub(super) fn response_peer(extensions: &Extensions) -> Option<SocketAddr> {
    let info = extensions.get::<hyper_util::client::legacy::connect::HttpInfo>()?;
    Some(info.remote_addr())
}

#[cfg(not(feature = "hyper"))]
pub(super) fn response_peer(_: &Extensions) -> Option<SocketAddr> {
    None
}

/// Returns the socket peer of a request, from axum's or tonic's server.
pub(crate) fn socket_peer(extensions: &Extensions) -> Option<SocketAddr> {
    #[cfg(all(feature = "axum", not(target_arch = "wasm32")))]
    if let Some(axum::extract::ConnectInfo(peer)) = extensions.get() {
        return Some(*peer);
    }
    #[cfg(feature = "tonic")]
    if let Some(peer) = extensions.get::<tonic::transport::server::TcpConnectInfo>() {
        return peer.remote_addr();
    }
    let _ = extensions;
    None
}
