//! A timeout inside of a client's layer is an error, and one outside is a drop.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client as HyperClient, rt::TokioExecutor};
use opentelemetry::trace::{SpanKind, Status};
use tonic::transport::Endpoint;
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, timeout::TimeoutLayer};
use tower_telemetry::integrations::ReqwestClient;

use super::{Server, layer, plain};
use crate::support::{Telemetry, attribute};

const SHORT: Duration = Duration::from_millis(30);

#[track_caller]
fn check(telemetry: &Telemetry, instrument: &str, expected: Option<&str>) {
    let span = telemetry.span_of(SpanKind::Client);
    assert_eq!(attribute(&span, "error.type").as_deref(), expected);
    assert_eq!(matches!(span.status, Status::Error { .. }), expected.is_some());
    let points = telemetry.points_of(instrument);
    assert_eq!((points.len(), points[0].count), (1, 1));
    let label = points[0].labels.get("error.type").cloned();
    assert_eq!(label, expected.map(|kind| format!("String(({kind:?}))")));
}

#[tokio::test]
async fn of_tower() {
    let (_server, address) = Server::start().await;
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let request = || Request::get(format!("http://{address}/never")).body(Empty::new()).unwrap();

    let telemetry = Telemetry::new();
    let inside = ServiceBuilder::new().layer(layer(&telemetry)).layer(TimeoutLayer::new(SHORT));
    let error: BoxError = inside.service(client.clone()).oneshot(request()).await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>());
    check(&telemetry, "request.duration", Some("timeout"));

    let telemetry = Telemetry::new();
    let outside = ServiceBuilder::new().layer(TimeoutLayer::new(SHORT)).layer(layer(&telemetry));
    let error: BoxError = outside.service(client).oneshot(request()).await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>());
    check(&telemetry, "request.duration", None);
}

#[tokio::test]
async fn of_reqwest() {
    let (_server, address) = Server::start().await;
    for path in ["never", "endless"] {
        let telemetry = Telemetry::new();
        let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
        let sending = client.get(format!("http://{address}/{path}")).timeout(SHORT).send();
        let body = async { sending.await?.bytes().await };
        assert!(body.await.unwrap_err().is_timeout());
        check(&telemetry, "request.duration", Some("timeout"));

        let telemetry = Telemetry::new();
        let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
        let sending = client.get(format!("http://{address}/{path}")).send();
        let body = async { sending.await?.bytes().await };
        tokio::time::timeout(SHORT, body).await.unwrap_err();
        check(&telemetry, "request.duration", None);
    }
}

#[tokio::test]
async fn of_tonic() {
    let (_server, address) = Server::start().await;
    let endpoint = Endpoint::new(format!("http://{address}")).unwrap();
    let request = || {
        Request::post(format!("http://{address}/never/once"))
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::empty())
            .unwrap()
    };
    let telemetry = Telemetry::new();
    let inside = endpoint.clone().timeout(SHORT).connect().await.unwrap();
    layer(&telemetry).layer(inside).oneshot(request()).await.unwrap_err();
    check(&telemetry, "call.duration", Some("timeout"));

    let telemetry = Telemetry::new();
    let channel = endpoint.connect().await.unwrap();
    let outside = ServiceBuilder::new().layer(TimeoutLayer::new(SHORT)).layer(layer(&telemetry));
    let answer = outside.service(channel).oneshot(request()).await;
    assert!(answer.map(|answer| drop(answer.into_body().boxed_unsync())).is_err());
    check(&telemetry, "call.duration", Some("CANCELLED"));
}
