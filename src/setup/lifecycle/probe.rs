//! Probes whether a receiver's port is closed.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use http::{Uri, uri::Scheme};

/// Returns true if all addresses of a destination refuse connections. It blocks.
pub(crate) fn refuses_connections(place: &str) -> bool {
    let Ok(uri) = place.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let default_port = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let addresses = (host, uri.port_u16().unwrap_or(default_port)).to_socket_addrs();
    let addresses: Vec<_> = addresses.into_iter().flatten().collect();
    !addresses.is_empty() && addresses.iter().all(is_refused)
}

fn is_refused(address: &SocketAddr) -> bool {
    let connection = TcpStream::connect_timeout(address, Duration::from_secs(1));
    connection.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}
