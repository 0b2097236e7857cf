//! Each attempt has a span of its own, and all except the first have a resend count.

use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client as HyperClient, rt::TokioExecutor};
use tower::{
    Layer, ServiceBuilder, ServiceExt,
    retry::{Policy, RetryLayer},
};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_telemetry::{
    AttemptsLayer,
    integrations::{ReqwestClient, TelemetryMiddleware},
};

use super::{Server, builder, layer, plain};
use crate::support::{Telemetry, attribute};

/// Retries while the server is unavailable.
#[derive(Clone)]
pub(super) struct Unavailable;

impl<B: Clone, R, E> Policy<http::Request<B>, http::Response<R>, E> for Unavailable {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut http::Request<B>,
        answer: &mut Result<http::Response<R>, E>,
    ) -> Option<Self::Future> {
        let status = answer.as_ref().ok()?.status();
        (status == http::StatusCode::SERVICE_UNAVAILABLE).then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &http::Request<B>) -> Option<http::Request<B>> {
        Some(request.clone())
    }
}

/// Checks the status and the resend count of each attempt's span, and that the attempt sent the id
/// of its own span.
#[track_caller]
fn check(telemetry: &Telemetry, server: &Server, statuses: &[&str]) {
    let mut spans = telemetry.spans();
    spans.sort_by_key(|span| span.start_time);
    assert_eq!(spans.len(), statuses.len());
    let parents = server.parents();
    for (i, (span, status)) in spans.iter().zip(statuses).enumerate() {
        let count = (i > 0).then(|| i.to_string());
        assert_eq!(attribute(span, "http.response.status_code").as_deref(), Some(*status));
        assert_eq!(attribute(span, "http.request.resend_count").as_deref(), count.as_deref());
        assert_eq!(span.span_context.span_id().to_string(), parents[i]);
    }
    let points = telemetry.points_of("request.duration");
    assert_eq!(points.iter().map(|point| point.count).sum::<u64>(), statuses.len() as u64);
    assert_eq!(telemetry.active(), 0);
}

#[tokio::test]
async fn retries_of_tower_are_counted() {
    let (server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let client = ServiceBuilder::new()
        .layer(AttemptsLayer::new())
        .layer(RetryLayer::new(Unavailable))
        .layer(layer(&telemetry))
        .service(client);
    let request =
        || http::Request::get(format!("http://{address}/flaky")).body(Empty::new()).unwrap();
    let answer = client.clone().oneshot(request()).await.unwrap();
    answer.into_body().collect().await.unwrap();
    check(&telemetry, &server, &["503", "503", "200"]);

    // The next call starts without a count.
    client.oneshot(request()).await.unwrap().into_body().collect().await.unwrap();
    let last = telemetry.spans().pop().unwrap();
    assert_eq!(attribute(&last, "http.request.resend_count"), None);
}

#[tokio::test]
async fn redirects_of_tower_http_are_counted() {
    let (server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let client = ServiceBuilder::new()
        .layer(AttemptsLayer::new())
        .layer(FollowRedirectLayer::new())
        .layer(layer(&telemetry))
        .service(client);
    let uri = format!("http://{address}/redirect/elsewhere/ok");
    let request = http::Request::get(uri).body(Empty::new()).unwrap();
    client.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    check(&telemetry, &server, &["302", "302", "200"]);
    let span = &telemetry.spans()[0];
    assert_eq!(attribute(span, "network.peer.port").unwrap(), address.port().to_string());
    assert_eq!(attribute(span, "network.protocol.version").as_deref(), Some("1.1"));
    // Each span has the host of its own hop.
    let mut spans = telemetry.spans();
    spans.sort_by_key(|span| span.start_time);
    let of =
        |key| spans.iter().map(|s| attribute(s, key).unwrap().into_owned()).collect::<Vec<_>>();
    assert_eq!(of("server.address"), ["127.0.0.1", "127.0.0.1", "localhost"]);
    assert!(of("url.full")[2].starts_with("http://localhost:"));
}

#[tokio::test]
async fn redirects_around_reqwest_are_counted() {
    let (server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let inner = builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let layers = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(layer(&telemetry));
    let client = ReqwestClient::with_layer(inner, layers.into_inner());
    let answer = client.get(format!("http://{address}/redirect/ok")).send().await.unwrap();
    assert_eq!(answer.url().path(), "/ok");
    assert_eq!(answer.text().await.unwrap(), "ok");
    check(&telemetry, &server, &["302", "200"]);
}

#[tokio::test]
async fn redirects_inside_reqwest_are_one_span_with_the_requested_url() {
    let (server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
    let url = format!("http://{address}/redirect/ok");
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.url().path(), "/ok");
    answer.bytes().await.unwrap();
    let spans = telemetry.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(attribute(&spans[0], "url.full").as_deref(), Some(&*url));
    let parents = server.parents();
    assert_eq!(parents, [spans[0].span_context.span_id().to_string(), parents[0].clone()]);
}

#[tokio::test]
async fn retries_of_reqwest_retry_are_counted() {
    let (server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let policy = reqwest_retry::policies::ExponentialBackoff::builder()
        .retry_bounds(std::time::Duration::ZERO, std::time::Duration::ZERO)
        .build_with_max_retries(5);
    let client = reqwest_middleware::ClientBuilder::new(plain())
        .with(reqwest_retry::RetryTransientMiddleware::new_with_policy(policy))
        .with(TelemetryMiddleware::with_layer(layer(&telemetry)))
        .build();
    let answer = client.get(format!("http://{address}/flaky")).send().await.unwrap();
    assert_eq!(answer.url().path(), "/flaky");
    assert_eq!(answer.text().await.unwrap(), "at last");
    check(&telemetry, &server, &["503", "503", "200"]);
    client.get(format!("http://{address}/ok")).send().await.unwrap().bytes().await.unwrap();
    let last = telemetry.spans().pop().unwrap();
    assert_eq!(attribute(&last, "http.request.resend_count"), None);
}

#[tokio::test]
async fn nested_layers_count_in_any_order() {
    let (server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let client = ServiceBuilder::new()
        .layer(AttemptsLayer::new())
        .layer(RetryLayer::new(Unavailable))
        .layer(telemetry.metrics(tower_telemetry::Convention::client()))
        .layer(telemetry.span(tower_telemetry::Convention::client()))
        .layer(tower_telemetry::PropagationLayer::client())
        .service(client);
    let request = http::Request::get(format!("http://{address}/flaky")).body(Empty::new()).unwrap();
    client.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    check(&telemetry, &server, &["503", "503", "200"]);
}

#[tokio::test]
async fn retries_without_an_attempts_layer_have_no_count() {
    let (_server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let client = RetryLayer::new(Unavailable).layer(layer(&telemetry).layer(client));
    let request = http::Request::get(format!("http://{address}/flaky")).body(Empty::new()).unwrap();
    client.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(telemetry.spans().len(), 3);
    assert!(telemetry.spans().iter().all(|s| attribute(s, "http.request.resend_count").is_none()));
}
