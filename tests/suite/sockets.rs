//! Ends of exchanges over real sockets, with axum and with a plain tower service on hyper, over
//! HTTP/1.1 and HTTP/2.

use std::{
    convert::Infallible, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration,
};

use axum::{Router, body::Body, routing::any};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use opentelemetry::trace::{SpanKind, Status};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tower::{Layer, service_fn};
use tower_telemetry::Convention;

use crate::support::{EXPECTED_PANIC, Telemetry, attribute, eventually, expect_panics, seconds};

#[derive(Debug, Clone, Copy)]
enum Server {
    Axum,
    Hyper,
}

/// The behaviour of the client.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Client {
    ReadsAll,
    GoesBeforeTheHead,
    GoesInMidBody,
}

use Client::*;

type Rows = &'static [(Method, &'static str, Client, u16, Option<&'static str>)];

const ROWS: Rows = &[
    (Method::GET, "/text", ReadsAll, 200, None),
    (Method::GET, "/stream", ReadsAll, 200, None),
    (Method::HEAD, "/text", ReadsAll, 200, None),
    (Method::GET, "/empty", ReadsAll, 204, None),
    (Method::GET, "/missing", ReadsAll, 404, None),
    (Method::GET, "/never", GoesBeforeTheHead, 0, Some("cancelled")),
    (Method::GET, "/endless", GoesInMidBody, 200, Some("cancelled")),
    (Method::GET, "/events", GoesInMidBody, 200, None),
    (Method::GET, "/panic", ReadsAll, 0, Some("panic")),
    (Method::GET, "/broken", ReadsAll, 200, Some("broken_pipe")),
];

const UPGRADE: Rows = &[(Method::GET, "/upgrade", ReadsAll, 101, None)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanges_of_axum_end_over_http1() {
    run(Server::Axum, Version::HTTP_11, ROWS).await;
    run(Server::Axum, Version::HTTP_11, UPGRADE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanges_of_axum_end_over_http2() {
    run(Server::Axum, Version::HTTP_2, ROWS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanges_of_hyper_end_over_http1() {
    run(Server::Hyper, Version::HTTP_11, ROWS).await;
    run(Server::Hyper, Version::HTTP_11, UPGRADE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanges_of_hyper_end_over_http2() {
    run(Server::Hyper, Version::HTTP_2, ROWS).await;
}

async fn run(server: Server, version: Version, rows: Rows) {
    expect_panics();
    for (method, path, client, status, error_type) in rows {
        let what = format!("{server:?} {version:?} {method} {path} {client:?}");
        let telemetry = Telemetry::new();
        let entered = Arc::new(Notify::new());
        let address = serve(server, &telemetry, Arc::clone(&entered)).await;
        let exchange = exchange(address, version, method, path, *client, &entered);
        tokio::time::timeout(Duration::from_secs(20), exchange).await.expect(&what);

        eventually(&what, || telemetry.spans().len() == 1).await;
        eventually(&what, || telemetry.active() == 0).await;
        let span = telemetry.span_of(SpanKind::Server);
        assert_eq!(attribute(&span, "error.type").as_deref(), *error_type, "{what}");
        let is_error = matches!(span.status, Status::Error { .. });
        assert_eq!(is_error, error_type.is_some(), "{what}");
        let code = attribute(&span, "http.response.status_code");
        let code = code.map_or(0, |code| code.parse().unwrap());
        assert_eq!(code, *status, "{what}");
        let expected = if version == Version::HTTP_2 { "2" } else { "1.1" };
        assert_eq!(attribute(&span, "network.protocol.version").as_deref(), Some(expected));
        let duration = telemetry.duration();
        assert_eq!((duration.count, duration.sum), (1, seconds(&span)), "{what}");
    }
}

/// Runs the client's part of one exchange.
async fn exchange(
    address: SocketAddr,
    version: Version,
    method: &Method,
    path: &str,
    client: Client,
    entered: &Notify,
) {
    let (mut send, connection) = connect(address, version).await;
    let uri = match version {
        Version::HTTP_2 => format!("http://{address}{path}"),
        _ => path.to_owned(),
    };
    let request = Request::builder().method(method).uri(uri).header("host", address.to_string());
    let request = request.body(Empty::new()).unwrap();
    let response = send(request);
    match client {
        GoesBeforeTheHead => {
            let response = tokio::spawn(response);
            entered.notified().await;
            response.abort();
        }
        GoesInMidBody => {
            let mut body = response.await.unwrap().into_body();
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "first");
        }
        ReadsAll => {
            if let Ok(response) = response.await {
                let _ = response.into_body().collect().await;
            }
        }
    }
    connection.abort();
    let _ = connection.await;
}

type Sending = Pin<Box<dyn Future<Output = hyper::Result<Response<hyper::body::Incoming>>> + Send>>;
type Sender = Box<dyn FnMut(Request<Empty<Bytes>>) -> Sending + Send>;

async fn connect(address: SocketAddr, version: Version) -> (Sender, tokio::task::JoinHandle<()>) {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    if version == Version::HTTP_2 {
        let (mut send, connection) =
            conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        let connection = tokio::spawn(async { drop(connection.await) });
        (Box::new(move |request| Box::pin(send.send_request(request))), connection)
    } else {
        let (mut send, connection) = conn::http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(async { drop(connection.with_upgrades().await) });
        (Box::new(move |request| Box::pin(send.send_request(request))), connection)
    }
}

async fn serve(server: Server, telemetry: &Telemetry, entered: Arc<Notify>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stack = telemetry.stack(Convention::server());
    match server {
        Server::Axum => {
            let router = Router::new()
                .route("/{*path}", any(move |request| answer(request, entered)))
                .layer(stack);
            tokio::spawn(async { axum::serve(listener, router).await });
        }
        Server::Hyper => {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let entered = Arc::clone(&entered);
                async { Ok::<_, Infallible>(answer(request.map(Body::new), entered).await) }
            });
            let service = TowerToHyperService::new(stack.layer(service));
            // The task ends with the runtime of the test.
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let service = service.clone();
                    tokio::spawn(async move {
                        auto::Builder::new(TokioExecutor::new())
                            .serve_connection_with_upgrades(TokioIo::new(stream), service)
                            .await
                    });
                }
            });
        }
    }
    address
}

async fn answer(request: Request<Body>, entered: Arc<Notify>) -> Response<Body> {
    let chunk = |text: &'static str| Ok::<_, io::Error>(Bytes::from_static(text.as_bytes()));
    let first = stream::iter([chunk("first")]);
    match request.uri().path() {
        "/text" => Response::new(Body::from("text")),
        "/stream" => Response::new(Body::from_stream(first.chain(stream::iter([chunk("last")])))),
        "/empty" => status(StatusCode::NO_CONTENT),
        "/missing" => status(StatusCode::NOT_FOUND),
        "/never" => {
            entered.notify_one();
            std::future::pending().await
        }
        "/endless" => Response::new(Body::from_stream(first.chain(stream::pending()))),
        "/events" => Response::builder()
            .header("content-type", "text/event-stream")
            .body(Body::from_stream(first.chain(stream::pending())))
            .unwrap(),
        "/panic" => panic!("{EXPECTED_PANIC}"),
        "/broken" => {
            let error = Err(io::ErrorKind::BrokenPipe.into());
            Response::new(Body::from_stream(first.chain(stream::iter([error]))))
        }
        "/upgrade" => {
            tokio::spawn(hyper::upgrade::on(request));
            Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header("connection", "upgrade")
                .header("upgrade", "test")
                .body(Body::empty())
                .unwrap()
        }
        path => unreachable!("no test asks for {path}"),
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
