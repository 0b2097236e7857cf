//! Each failure of a call has a stable `error.type` on span and metric, without an address in it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::trace::{SpanKind, Status};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_telemetry::integrations::{ReqwestClient, TelemetryMiddleware};

use super::{Server, builder, layer, plain};
use crate::support::{Telemetry, attribute, seconds};

/// Checks span and metric of the only call.
#[track_caller]
fn check(telemetry: &Telemetry, error_type: Option<&str>) {
    let span = telemetry.span_of(SpanKind::Client);
    assert_eq!(attribute(&span, "error.type").as_deref(), error_type);
    assert_eq!(matches!(span.status, Status::Error { .. }), error_type.is_some());
    let duration = telemetry.duration();
    let label = duration.labels.get("error.type").cloned();
    assert_eq!(label, error_type.map(|kind| format!("String(({kind:?}))")));
    assert_eq!((duration.count, duration.sum), (1, seconds(&span)));
    assert_eq!(telemetry.active(), 0);
}

/// Returns the address of a port that refuses connections.
async fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Starts a server that closes the connection in the middle of a body.
async fn closing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst").await.unwrap();
    });
    address
}

/// Calls `url` through each kind of client, and checks the `error.type`.
async fn each(url: &str, build: impl Fn() -> reqwest::ClientBuilder, expected: Option<&str>) {
    let telemetry = Telemetry::new();
    let client = ReqwestClient::with_layer(build().build().unwrap(), layer(&telemetry));
    if let Ok(answer) = client.get(url).send().await {
        let _ = answer.bytes().await;
    }
    check(&telemetry, expected);

    let telemetry = Telemetry::new();
    let client = reqwest_middleware::ClientBuilder::new(build().build().unwrap())
        .with(TelemetryMiddleware::with_layer(layer(&telemetry)))
        .build();
    if let Ok(answer) = client.get(url).send().await {
        let _ = answer.bytes().await;
    }
    check(&telemetry, expected);
}

async fn hyper(url: &str, expected: Option<&str>) {
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let telemetry = Telemetry::new();
    let client = layer(&telemetry).layer(client);
    if let Ok(answer) = client.oneshot(get(url)).await {
        let _ = answer.into_body().collect().await;
    }
    check(&telemetry, expected);
}

fn get(url: &str) -> http::Request<Empty<bytes::Bytes>> {
    http::Request::get(url).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn network_failures_have_their_kind() {
    let url = format!("http://{}/", refusing().await);
    each(&url, builder, Some("connection_refused")).await;
    hyper(&url, Some("connection_refused")).await;
    hyper("/a/path/alone", Some("invalid_request")).await;

    // The body is shorter than announced.
    hyper(&format!("http://{}/", closing().await), Some("unexpected_eof")).await;
    let telemetry = Telemetry::new();
    let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
    let url = format!("http://{}/", closing().await);
    client.get(url).send().await.unwrap().bytes().await.unwrap_err();
    check(&telemetry, Some("unexpected_eof"));
}

#[tokio::test]
async fn server_failures_have_their_kind() {
    let (_server, address) = Server::start().await;
    let url = |path: &str| format!("http://{address}/{path}");
    for (status, expected) in
        [("200", None), ("304", None), ("404", Some("404")), ("503", Some("503"))]
    {
        each(&url(&format!("status/{status}")), builder, expected).await;
        hyper(&url(&format!("status/{status}")), expected).await;
    }
    each(&url("broken"), builder, Some("incomplete_message")).await;
    hyper(&url("broken"), Some("incomplete_message")).await;
    let few = || builder().redirect(reqwest::redirect::Policy::limited(2));
    each(&url("loop"), few, Some("redirect")).await;
    let short = || builder().timeout(Duration::from_millis(50));
    each(&url("never"), short, Some("timeout")).await;
    each(&url("endless"), short, Some("timeout")).await;
}

#[tokio::test]
async fn resolver_failures_are_dns() {
    struct Fails;

    impl reqwest::dns::Resolve for Fails {
        fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
            Box::pin(async { Err("no such host".into()) })
        }
    }

    let failing = || builder().dns_resolver(Arc::new(Fails));
    each("http://nowhere.invalid/", failing, Some("dns")).await;

    let resolver = service_fn(|_: hyper_util::client::legacy::connect::dns::Name| async {
        Err::<std::iter::Empty<SocketAddr>, _>(std::io::Error::other("no such host"))
    });
    let connector = HttpConnector::new_with_resolver(resolver);
    let client =
        HyperClient::builder(TokioExecutor::new()).build::<_, Empty<bytes::Bytes>>(connector);
    let telemetry = Telemetry::new();
    let answer = layer(&telemetry).layer(client).oneshot(get("http://nowhere.invalid/")).await;
    assert!(answer.is_err());
    check(&telemetry, Some("dns"));
}

/// An untrusted certificate, and a server without TLS.
#[tokio::test]
async fn tls_failures_have_their_kind() {
    let certificate = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (own, other) = (certificate("localhost"), certificate("localhost"));
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = acceptor.accept(stream).await;
        }
    });
    let trusted = reqwest::Certificate::from_der(other.cert.der()).unwrap();
    let trusting = || builder().tls_certs_only([trusted.clone()]);
    let url = format!("https://localhost:{port}/");
    each(&url, trusting, Some("tls_certificate_invalid")).await;

    let (_server, plain) = Server::start().await;
    let url = format!("https://localhost:{}/", plain.port());
    each(&url, trusting, Some("tls")).await;
}

#[tokio::test]
async fn a_call_cancelled_by_its_caller_is_recorded_without_an_error() {
    let (_server, address) = Server::start().await;
    let url = |path: &str| format!("http://{address}/{path}");
    let soon = Duration::from_millis(30);

    let telemetry = Telemetry::new();
    let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
    assert!(tokio::time::timeout(soon, client.get(url("never")).send()).await.is_err());
    check(&telemetry, None);

    let telemetry = Telemetry::new();
    let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
    drop(client.get(url("endless")).send().await.unwrap());
    check(&telemetry, None);

    let telemetry = Telemetry::new();
    let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
    let mut answer = client.get(url("endless")).send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    tokio::select! {
        _ = answer.chunk() => unreachable!("the stream is endless"),
        () = tokio::time::sleep(soon) => {}
    }
    drop(answer);
    check(&telemetry, None);
}
