//! Places that take only one type of response body.

use std::convert::Infallible;

use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use http_body_util::BodyExt;
use opentelemetry::trace::SpanKind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    util::{BoxCloneService, option_layer},
};
use tower_telemetry::{Convention, integrations::RouteLayer};

use crate::support::{Telemetry, attribute, eventually};

fn router() -> Router {
    Router::new().route("/users/{id}", get(|| async { "Ada" })).route_layer(RouteLayer::new())
}

async fn ask<S>(service: S) -> String
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let request = Request::get("/users/7").body(Body::empty()).unwrap();
    let answer = service.oneshot(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[track_caller]
fn check(telemetry: &Telemetry) {
    let span = telemetry.span_of(SpanKind::Server);
    assert_eq!(span.name, "GET /users/{id}");
    assert_eq!(attribute(&span, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(attribute(&span, "error.type"), None);
    assert_eq!((telemetry.duration().count, telemetry.active()), (1, 0));
}

#[tokio::test]
async fn an_optional_layer() {
    for is_on in [true, false] {
        let telemetry = Telemetry::new();
        let layer = telemetry.stack(Convention::server()).map_body(Body::new);
        let layer = option_layer(is_on.then_some(layer));
        let outside = ServiceBuilder::new().layer(layer.clone()).service(router());
        assert_eq!(ask(outside).await, "Ada");
        assert_eq!(telemetry.spans().len(), usize::from(is_on));

        let telemetry = Telemetry::new();
        let layer = telemetry.stack(Convention::server()).map_body(Body::new);
        assert_eq!(ask(router().layer(option_layer(is_on.then_some(layer)))).await, "Ada");
        assert_eq!(telemetry.spans().len(), usize::from(is_on));
        if is_on {
            check(&telemetry);
        }
    }
}

#[tokio::test]
async fn a_boxed_service() {
    let telemetry = Telemetry::new();
    let layer = telemetry.stack(Convention::server()).map_body(Body::new);
    let service: BoxCloneService<Request, Response, Infallible> =
        BoxCloneService::new(layer.layer(router()));
    assert_eq!(ask(service).await, "Ada");
    check(&telemetry);
}

#[tokio::test]
async fn a_served_router() {
    let telemetry = Telemetry::new();
    let layer = telemetry.stack(Convention::server()).map_body(Body::new);
    let service = layer.layer(router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async {
        axum::serve(listener, axum::ServiceExt::<Request>::into_make_service(service)).await
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /users/7 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("\r\n\r\nAda"), "{answer}");
    eventually("the span", || telemetry.spans().len() == 1).await;
    check(&telemetry);
}
