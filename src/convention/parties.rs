//! Who talks to whom, as it is recorded.

use std::net::{IpAddr, SocketAddr};

use http::{Extensions, request};
use opentelemetry::{KeyValue, StringValue};

use super::{
    Convention,
    address::{self, HttpScheme},
    names,
};

/// The two parties of an exchange, and what they talk in.
#[derive(Debug, Default)]
pub(super) struct Parties {
    pub(super) scheme: Option<StringValue>,
    pub(super) server: Option<(StringValue, Option<u16>)>,
    pub(super) client: Option<IpAddr>,
    /// The other end of the socket.
    pub(super) peer: Option<SocketAddr>,
}

impl Parties {
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

impl Convention {
    /// The parties of a request to a server.
    pub(super) fn server_parties(&self, head: &request::Parts, is_call: bool) -> Parties {
        let settings = self.settings();
        let peer = settings.peer.as_ref().and_then(|hook| hook(head));
        let peer = peer.or_else(|| connected_peer(&head.extensions));
        if is_call {
            // As the caller asked for it; what proxies say is no part of the rules of gRPC.
            let host = address::requested_host(head);
            let server = host.and_then(|host| self.host(host));
            return Parties { server, peer, ..Parties::default() };
        }
        let ends = address::server_ends(head, peer, settings.trusted.as_ref());
        Parties {
            scheme: Some(self.known_scheme(ends.scheme).as_str().into()),
            server: ends.server.and_then(|host| self.host(&host)),
            client: ends.client,
            peer,
        }
    }

    /// The parties of a client's request.
    pub(super) fn client_parties(&self, head: &request::Parts, is_call: bool) -> Parties {
        let origin = self.settings().origin.as_ref();
        // A channel sends its calls to its origin, whatever host they name.
        let requested = match (is_call, origin) {
            (true, Some(_)) => None,
            _ => address::requested_host(head).and_then(|host| self.host(host)),
        };
        let (uri, host) = match (requested, origin) {
            (Some(host), _) => (&head.uri, Some(host)),
            (None, Some(origin)) => {
                let host = origin.authority().map(address::authority_host);
                (origin, host.and_then(|host| self.host(host)))
            }
            (None, None) => (&head.uri, None),
        };
        let scheme = uri.scheme().or_else(|| origin?.scheme());
        let port = |port: Option<u16>| port.or_else(|| address::default_port(scheme));
        Parties {
            scheme: scheme.map(|scheme| match scheme.as_str() {
                "http" => "http".into(),
                "https" => "https".into(),
                other => other.to_owned().into(),
            }),
            server: host.map(|(host, named)| (host, port(named))),
            client: None,
            peer: None,
        }
    }

    /// The scheme of a server's request: as it is told, else as it is configured.
    pub(super) fn known_scheme(&self, told: Option<HttpScheme>) -> HttpScheme {
        told.or_else(|| self.settings().scheme).unwrap_or(HttpScheme::Http)
    }
}

/// The socket peer of a response, as hyper-util's connector tells it.
#[cfg(feature = "hyper")]
pub(super) fn answering_peer(extensions: &Extensions) -> Option<SocketAddr> {
    let info = extensions.get::<hyper_util::client::legacy::connect::HttpInfo>()?;
    Some(info.remote_addr())
}

#[cfg(not(feature = "hyper"))]
pub(super) fn answering_peer(_: &Extensions) -> Option<SocketAddr> {
    None
}

/// The socket peer, as the server that took the connection tells it.
fn connected_peer(extensions: &Extensions) -> Option<SocketAddr> {
    #[cfg(feature = "axum")]
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
