//! Connections of an axum server, opened and closed in every way.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{Router, extract::ConnectInfo, routing::get};
use http::{Request, header::CONNECTION};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::Bytes,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt;
use tonic::{
    service::interceptor::InterceptedService,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::Layer;
use tower_telemetry::resources::ServerConnectionsLayer;

use crate::support::{Metrics, QUIET};

/// A server that answers with the address of its caller.
async fn server(metrics: &Metrics) -> SocketAddr {
    let app = Router::new().route(
        "/",
        get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }),
    );
    let make_service = app.into_make_service_with_connect_info::<SocketAddr>();
    let layer = ServerConnectionsLayer::new().with_meter_provider(&metrics.provider).with_port(80);
    let make_service = layer.layer(make_service);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, make_service).await });
    address
}

/// Collects until as many connections are open.
async fn wait_for_open(metrics: &Metrics, open: f64) -> BTreeMap<String, f64> {
    let start = Instant::now();
    loop {
        let values = metrics.collect();
        let now = values.get("http.server.open_connections{server.port=80} up-down {connection}");
        if now == Some(&open) {
            return values;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{now:?} of {open} are open");
        tokio::task::yield_now().await;
    }
}

fn request() -> http::request::Builder {
    Request::get("http://127.0.0.1/")
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Http1,
    Http1ServerCloses,
    Http2,
    Reset,
    Silent,
}

async fn connect_and_close(address: SocketAddr, way: Way) {
    let stream = TcpStream::connect(address).await.unwrap();
    let local = stream.local_addr().unwrap().to_string();
    match way {
        Way::Silent => drop(stream),
        Way::Reset => {
            stream.set_zero_linger().unwrap();
            let (mut sender, connection) =
                http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.unwrap();
            let connection = tokio::spawn(connection);
            let request = request().body(Empty::new()).unwrap();
            let response = sender.send_request(request).await.unwrap();
            drop(response);
            connection.abort();
        }
        Way::Http1 | Way::Http1ServerCloses => {
            let (mut sender, connection) =
                http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.unwrap();
            let connection = tokio::spawn(connection);
            let closes = matches!(way, Way::Http1ServerCloses);
            for _ in 0..if closes { 1 } else { 2 } {
                let mut request = request();
                if closes {
                    request = request.header(CONNECTION, "close");
                }
                let response = sender.send_request(request.body(Empty::new()).unwrap());
                let body = response.await.unwrap().into_body().collect().await.unwrap();
                assert_eq!(body.to_bytes(), local);
            }
            if closes {
                connection.await.unwrap().unwrap();
            }
            // Else the client closes, when its sender is dropped.
        }
        Way::Http2 => {
            let io = TokioIo::new(stream);
            let (mut sender, connection) =
                http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            for _ in 0..2 {
                let request = request().body(Empty::new()).unwrap();
                let response = sender.send_request(request).await.unwrap();
                let body = response.into_body().collect().await.unwrap();
                assert_eq!(body.to_bytes(), local);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_are_opened_and_closed() {
    let _not_quiet = QUIET.read().await;
    let metrics = Metrics::new();
    let address = server(&metrics).await;
    let ways = [Way::Http1, Way::Http1ServerCloses, Way::Http2, Way::Reset, Way::Silent];
    for _ in 0..10 {
        let connections: Vec<_> = (0..100)
            .map(|n| tokio::spawn(connect_and_close(address, ways[n % ways.len()])))
            .collect();
        for connection in connections {
            connection.await.unwrap();
        }
    }
    // All have been accepted, once as many have ended.
    let start = Instant::now();
    let values = loop {
        let values = wait_for_open(&metrics, 0.0).await;
        if values["http.server.connection.duration{server.port=80} histogram s"] >= 1000.0 {
            break values;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{values:?}");
    };
    let expected = [
        ("http.server.connection.duration{server.port=80} histogram s", 1000.0),
        ("http.server.open_connections{server.port=80} up-down {connection}", 0.0),
    ]
    .map(|(line, value)| (line.to_owned(), value));
    assert_eq!(values.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_connections_are_counted_while_they_are_open() {
    let _not_quiet = QUIET.read().await;
    let metrics = Metrics::new();
    let address = server(&metrics).await;
    let mut streams = Vec::new();
    for open in 1..=5 {
        streams.push(TcpStream::connect(address).await.unwrap());
        wait_for_open(&metrics, f64::from(open)).await;
    }
    for open in (0..5).rev() {
        streams.pop();
        wait_for_open(&metrics, f64::from(open)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_tonic_are_counted() {
    let _not_quiet = QUIET.read().await;
    let metrics = Metrics::new();
    let layer = ServerConnectionsLayer::new().with_meter_provider(&metrics.provider).with_port(80);
    let incoming = TcpIncoming::from(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = incoming.local_addr().unwrap();
    let incoming = incoming.map(move |io| io.map(|io| layer.wrap_io(io)));
    // The address of the caller is still known.
    let has_peer = |request: tonic::Request<()>| match request.remote_addr() {
        Some(_) => Ok(request),
        None => Err(tonic::Status::internal("no address")),
    };
    let (_, health) = tonic_health::server::health_reporter();
    let health = InterceptedService::new(health, has_peer);
    tokio::spawn(Server::builder().add_service(health).serve_with_incoming(incoming));
    for ended in 0..3 {
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut client = HealthClient::new(channel.connect().await.unwrap());
        for _ in 0..2 {
            client.check(HealthCheckRequest::default()).await.unwrap();
        }
        wait_for_open(&metrics, 1.0).await;
        drop(client);
        let values = wait_for_open(&metrics, 0.0).await;
        let line = "http.server.connection.duration{server.port=80} histogram s";
        assert_eq!(values[line], f64::from(ended) + 1.0);
    }
}

#[test]
fn a_guard_is_a_connection() {
    let metrics = Metrics::new();
    let layer = ServerConnectionsLayer::new().with_meter_provider(&metrics.provider);
    let (first, second) = (layer.open(), layer.open());
    assert_eq!(metrics.values()["http.server.open_connections{}"], 2.0);
    drop(first);
    let values = metrics.values();
    assert_eq!(values["http.server.open_connections{}"], 1.0);
    assert_eq!(values["http.server.connection.duration{}"], 1.0);
    drop(second);
    assert_eq!(metrics.values()["http.server.open_connections{}"], 0.0);
}
