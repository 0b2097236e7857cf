//! The other end of a gRPC connection.

use hyper_util::{
    client::legacy::Client as HyperClient,
    rt::{TokioExecutor, TokioIo},
};
use opentelemetry::trace::SpanKind;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{Layer, service_fn};
use tower_telemetry::{CallSpanLayer, Convention};

use crate::support::{Telemetry, attribute, eventually};

fn request() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

/// hyper-util's client tells the peer of a gRPC call, too.
#[tokio::test]
async fn of_a_grpc_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(health).serve_with_incoming(incoming));

    let telemetry = Telemetry::new();
    let client = HyperClient::builder(TokioExecutor::new()).http2_only(true).build_http();
    let client = telemetry.stack(Convention::client()).layer(client);
    let client = CallSpanLayer::client().with_tracer_provider(&telemetry.tracers).layer(client);
    let origin = format!("http://{address}").parse().unwrap();
    HealthClient::with_origin(client, origin).check(request()).await.unwrap();
    let span = telemetry.span_of(SpanKind::Client);
    assert_eq!(attribute(&span, "network.peer.address").as_deref(), Some("127.0.0.1"));
    let port = address.port().to_string();
    assert_eq!(attribute(&span, "network.peer.port").as_deref(), Some(&*port));

    // The span around a call has the name of its method.
    let around = telemetry.span_of(SpanKind::Internal);
    assert_eq!(span.parent_span_id, around.span_context.span_id());
    assert_eq!(around.name, "grpc.health.v1.Health/Check");
    assert_eq!(attribute(&around, "rpc.status_code").as_deref(), Some("OK"));
}

/// The address of a server on a unix socket is the path, and never an authority that was made up.
#[cfg(unix)]
#[tokio::test]
async fn on_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("tower-telemetry-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let (server, client) = (Telemetry::new(), Telemetry::new());
    let (_reporter, health) = tonic_health::server::health_reporter();
    let router = Server::builder().layer(server.stack(Convention::server())).add_service(health);
    tokio::spawn(router.serve_with_incoming(UnixListenerStream::new(listener)));

    let socket = path.clone();
    let connector = service_fn(move |_: http::Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://made.up:50051");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    let convention = Convention::client().with_unix_socket(&path);
    let channel = client.stack(convention).layer(channel);
    HealthClient::new(channel).check(request()).await.unwrap();
    std::fs::remove_file(&path).unwrap();

    let both = || server.spans().len() == 1 && client.spans().len() == 1;
    eventually("a span on each side", both).await;
    let span = server.span_of(SpanKind::Server);
    assert_eq!(attribute(&span, "rpc.method").as_deref(), Some("grpc.health.v1.Health/Check"));
    assert_eq!(attribute(&span, "server.address"), None);
    assert_eq!(attribute(&span, "server.port"), None);
    let span = client.span_of(SpanKind::Client);
    assert_eq!(attribute(&span, "server.address").as_deref(), path.to_str());
    assert_eq!(attribute(&span, "server.port"), None);
    let label = client.points_of("call.duration")[0].labels["server.address"].clone();
    assert_eq!(label, format!("String(({path:?}))"));
}
