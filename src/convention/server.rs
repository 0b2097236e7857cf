//! `Convention<Server>`: the options that only a server has.

use std::{net::SocketAddr, sync::Arc};

use ::http::request;

use super::{
    both_sides::Convention,
    options::{ServerOptions, SideOptions},
    parties::{forwarded::TrustedProxies, scheme::HttpScheme},
    route::Route,
    side::Server,
};

impl Convention<Server> {
    /// Creates the convention of a server with all defaults.
    pub fn server() -> Self {
        Self::new()
    }

    /// Finds the route of a request: `http.route`.
    ///
    /// The hook goes before the router. If it returns `None`, the other sources of a [`Route`] count.
    ///
    /// # Cardinality
    ///
    /// The route is a metric label. Return templates from a closed set.
    #[must_use]
    pub fn with_route<F>(self, route: F) -> Self
    where
        F: Fn(&request::Parts) -> Option<Route> + Send + Sync + 'static,
    {
        self.set_server(|server| server.route = Some(Arc::new(route)))
    }

    /// Finds the socket peer of a request: `network.peer.address`, `network.peer.port`, and
    /// `client.address` without trusted proxies.
    ///
    /// If the hook returns `None`, axum's `ConnectInfo<SocketAddr>` (feature `axum`) and tonic's
    /// `TcpConnectInfo` (feature `tonic`) count.
    #[must_use]
    pub fn with_peer<F>(self, peer: F) -> Self
    where
        F: Fn(&request::Parts) -> Option<SocketAddr> + Send + Sync + 'static,
    {
        self.set_server(|server| server.peer = Some(Arc::new(peer)))
    }

    /// Trusts proxies to forward the original host, scheme and caller. Default: none.
    #[must_use]
    pub fn with_trusted_proxies(self, proxies: TrustedProxies) -> Self {
        self.set_server(|server| server.trusted = Some(proxies))
    }

    /// Makes the server a public endpoint: its callers do not belong to its traces.
    ///
    /// Each request starts a new trace, and its root span *links* to the context that the caller sent.
    /// The caller's baggage is dropped. A request that the filter excludes takes nothing from its
    /// caller. A [`PropagationLayer`](crate::PropagationLayer) without a span layer inside has no root
    /// span, so the caller's span stays the parent.
    #[must_use]
    pub fn with_public_endpoint(self) -> Self {
        self.set_server(|server| server.public_endpoint = true)
    }

    /// Sets the scheme of the server: `url.scheme`. Default: [`HttpScheme::Http`].
    ///
    /// Choose [`HttpScheme::Https`] for a server that terminates TLS itself. The scheme in a request's
    /// URI does not count because a caller can write any. A
    /// [trusted proxy](Self::with_trusted_proxies) goes before this option.
    #[must_use]
    pub fn with_scheme(self, scheme: HttpScheme) -> Self {
        self.set_server(|server| server.scheme = scheme)
    }

    /// Sends the id of the trace to callers, in the response header `Server-Timing`. Default: off.
    ///
    /// The header is `Server-Timing: traceparent;desc="00-<trace id>-<span id>-<flags>"` with the
    /// server's span, beside `Access-Control-Expose-Headers: Server-Timing`, so that scripts of other
    /// origins may read it. It is absent if the server has no span of its own.
    #[must_use]
    pub fn with_server_timing(self) -> Self {
        self.set_server(|server| server.server_timing = true)
    }

    fn set_server(self, change: impl FnOnce(&mut ServerOptions)) -> Self {
        self.set(|options| {
            if let SideOptions::Server(server) = &mut options.side {
                change(server);
            }
        })
    }
}
