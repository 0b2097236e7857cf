//! The bytes of request bodies and the first byte of responses, with the servers and clients of axum,
//! tonic and hyper.

use std::{collections::BTreeMap, future::ready, net::SocketAddr};

use axum::{Router, body::Body, routing::post};
use http::Request;
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_telemetry::{Convention, RequestBodyLayer, TelemetryLayer};

use crate::support::{Script, Step::*, Telemetry, eventually};

fn layer(
    telemetry: &Telemetry,
    convention: impl Into<crate::support::AnyConvention>,
) -> TelemetryLayer {
    telemetry.stack(convention).with_counted_body_sizes().with_time_to_first_byte()
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A router in which some middleware takes only axum's own body.
async fn axum_server(telemetry: &Telemetry) -> SocketAddr {
    let app = Router::new()
        .route("/all", post(|body: String| ready(body.len().to_string())))
        .route("/none", post(|| ready("none")))
        .layer(axum::middleware::from_fn(
            |request: axum::extract::Request, next: axum::middleware::Next| next.run(request),
        ))
        .layer(RequestBodyLayer::new())
        .layer(layer(telemetry, Convention::server()));
    let (listener, address) = listener().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// hyper without a router.
async fn hyper_server(telemetry: &Telemetry) -> SocketAddr {
    let service = ServiceBuilder::new()
        .layer(layer(telemetry, Convention::server()))
        .layer(RequestBodyLayer::new())
        .service(service_fn(|request: Request<_>| async move {
            let length = match request.uri().path() {
                "/all" => BodyExt::collect(request.into_body()).await?.to_bytes().len(),
                _ => 0,
            };
            Ok::<_, hyper::Error>(http::Response::new(Body::from(length.to_string())))
        }));
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            tokio::spawn(async move {
                http.serve_connection(TokioIo::new(stream), service).await.map_err(drop)
            });
        }
    });
    address
}

fn size(telemetry: &Telemetry, name: &str) -> Option<f64> {
    telemetry.points_of(name).iter().map(|point| point.sum).reduce(|sum, size| sum + size)
}

#[tokio::test]
async fn servers_and_clients_of_hyper_and_axum() {
    for (is_axum, is_http2, path, expected) in [
        (true, false, "/all", 16.0),
        (true, true, "/all", 16.0),
        (true, false, "/none", 0.0),
        (true, true, "/none", 0.0),
        (false, false, "/all", 16.0),
        (false, true, "/all", 16.0),
        (false, false, "/none", 0.0),
        (false, true, "/none", 0.0),
    ] {
        let row = format!("{is_axum} {is_http2} {path}");
        let telemetry = Telemetry::new();
        let address = match is_axum {
            true => axum_server(&telemetry).await,
            false => hyper_server(&telemetry).await,
        };
        let client = Client::builder(TokioExecutor::new()).http2_only(is_http2).build_http::<_>();
        let client = ServiceBuilder::new()
            .layer(layer(&telemetry, Convention::client()))
            .layer(RequestBodyLayer::new())
            .service(client);
        let body = Script::new(&[Data("0123456789"), Data("01234"), Data("0")]);
        let request = Request::post(format!("http://{address}{path}")).body(body).unwrap();
        let response = client.oneshot(request).await.unwrap();
        assert!(response.into_body().collect().await.is_ok(), "{row}");
        eventually("the end of the exchange", || telemetry.spans().len() == 2).await;
        assert_eq!(size(&telemetry, "http.server.request.body.size"), Some(expected), "{row}");
        let sent = size(&telemetry, "http.client.request.body.size").unwrap();
        assert!(if path == "/all" { sent == 16.0 } else { sent <= 16.0 }, "{row} {sent}");
        for side in ["server", "client"] {
            let whole = telemetry.points_of(&format!("{side}.request.duration"));
            let first = telemetry.points_of(&format!("{side}.request.time_to_first_byte"));
            assert_eq!((first.len(), first[0].count), (1, 1), "{row}");
            assert!(first[0].sum > 0.0 && first[0].sum <= whole[0].sum, "{row}");
            assert_eq!(first[0].labels, whole[0].labels, "{row}");
            assert_eq!(first[0].bounds, whole[0].bounds, "{row}");
        }
    }
}

#[tokio::test]
async fn servers_and_clients_of_tonic() {
    let telemetry = Telemetry::new();
    let (listener, address) = listener().await;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("shop", tonic_health::ServingStatus::Serving).await;
    let server = Server::builder()
        .layer(layer(&telemetry, Convention::server()))
        .layer(RequestBodyLayer::new())
        .add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let channel = ServiceBuilder::new()
        .layer(layer(&telemetry, Convention::client()))
        .layer(RequestBodyLayer::new())
        .map_request(|request: Request<_>| request.map(tonic::body::Body::new))
        .service(channel);
    let mut client = HealthClient::new(channel);
    let request = || HealthCheckRequest { service: "shop".to_owned() };
    client.check(request()).await.unwrap();
    // A stream that is dropped after its first message.
    let mut stream = client.watch(request()).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    drop(stream);
    // A call that has only a head: its status is in it.
    client.check(HealthCheckRequest { service: "unknown".to_owned() }).await.unwrap_err();
    drop(client);
    eventually("the end of the calls", || telemetry.spans().len() == 6).await;
    // Five bytes before each message.
    let sent = f64::from((5 + 2 + 4) * 2 + 5 + 2 + 7);
    let received = f64::from((5 + 2) * 2);
    for side in ["server", "client"] {
        let of = |name: &str| telemetry.points_of(&format!("{side}.{name}"));
        assert_eq!(size(&telemetry, &format!("{side}.request.body.size")), Some(sent), "{side}");
        let size = size(&telemetry, &format!("{side}.response.body.size"));
        assert_eq!(size, Some(received), "{side}");
        let series = |name| {
            let points = of(name);
            points
                .iter()
                .map(|point| (point.labels.clone(), point.count))
                .collect::<BTreeMap<_, _>>()
        };
        assert_eq!(series("call.time_to_first_byte"), series("call.duration"), "{side}");
        assert_eq!(series("call.time_to_first_byte").len(), 3, "{side}");
    }
}
