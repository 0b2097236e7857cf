//! Connections to a receiver: TCP, or TLS above it.

use std::{
    error, fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        self, Client,
        connect::{
            HttpConnector,
            dns::{GaiAddrs, GaiFuture, GaiResolver, Name},
        },
    },
    rt::{TokioExecutor, TokioTimer},
};
use tower_service::Service;

use crate::setup::settings::{Destination, OtlpProtocol};

/// Sends a request and returns the head of its response.
pub(super) type Send = dyn Fn(Request<Full<Bytes>>) -> Sent + std::marker::Send + Sync;

pub(super) type Sent =
    Pin<Box<dyn Future<Output = Result<Response<Incoming>, legacy::Error>> + std::marker::Send>>;

/// Returns a client that keeps its connections alive.
pub(super) fn client(destination: &Destination) -> Arc<Send> {
    let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
    tcp.set_connect_timeout(Some(destination.timeout));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let is_grpc = destination.protocol == OtlpProtocol::Grpc;
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).timer(TokioTimer::new()).http2_only(is_grpc);
    #[cfg(feature = "setup-tls")]
    if let Some(tls) = &destination.tls {
        let tls = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls.as_ref().clone())
            .https_only();
        let connector = match is_grpc {
            true => tls.enable_http2().wrap_connector(tcp),
            false => tls.enable_all_versions().wrap_connector(tcp),
        };
        let client = builder.build(connector);
        return Arc::new(move |request| Box::pin(client.request(request)));
    }
    let client = builder.build(tcp);
    Arc::new(move |request| Box::pin(client.request(request)))
}

/// The system's resolver, with errors that can be told from other errors of a connection.
#[derive(Clone)]
struct Resolver(GaiResolver);

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = NoSuchHost;
    type Future = Resolving;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoSuchHost>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Resolving {
        Resolving(self.0.call(name))
    }
}

struct Resolving(GaiFuture);

impl Future for Resolving {
    type Output = Result<GaiAddrs, NoSuchHost>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|_| NoSuchHost)
    }
}

/// The host's name has no address.
#[derive(Debug)]
pub(super) struct NoSuchHost;

impl fmt::Display for NoSuchHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such host")
    }
}

impl error::Error for NoSuchHost {}
