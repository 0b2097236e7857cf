//! Redirects: each hop is told by its own telemetry, and asked by its own rules.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client as HyperClient, rt::TokioExecutor};
use opentelemetry::{Context, KeyValue, baggage::BaggageExt, trace::FutureExt};
use tower::{ServiceBuilder, ServiceExt, retry::RetryLayer};
use tower_http::follow_redirect::{
    FollowRedirectLayer,
    policy::{Limited, PolicyExt, clone_body_fn},
};
use tower_telemetry::{
    RequestBodySize, TelemetryLayer, UrlTemplate,
    integrations::{ReqwestClient, redirects_to},
};

use super::{Server, attempts::Unavailable, builder, layer, plain};
use crate::support::{Point, Telemetry, attribute};

type Body = Full<Bytes>;

/// Sends a request through redirects and retries outside of the telemetry.
async fn send(layer: TelemetryLayer, request: Request<Body>) {
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Body>();
    let policy = clone_body_fn(|body: &Body| Some(body.clone()));
    let redirects = FollowRedirectLayer::with_policy(
        policy.and::<_, Body, hyper_util::client::legacy::Error>(Limited::default()),
    );
    let client = ServiceBuilder::new()
        .layer(redirects)
        .layer(RetryLayer::new(Unavailable))
        .layer(layer)
        .service(client);
    client.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
}

/// The attribute of each span, in the order of their starts.
fn each(telemetry: &Telemetry, key: &str) -> Vec<Option<String>> {
    let mut spans = telemetry.spans();
    spans.sort_by_key(|span| span.start_time);
    spans.iter().map(|span| attribute(span, key).map(|value| value.into_owned())).collect()
}

#[tokio::test]
async fn templates() {
    let (_server, address) = Server::start().await;
    let constant = UrlTemplate::new("/{what}");
    let one = Some("/{what}");
    let rows: [(&str, &[Option<&str>]); 6] = [
        ("/ok", &[one]),
        ("/redirect/users/1", &[one, None]),
        ("/redirect/redirect/users/1", &[one, None, None]),
        ("/redirect/flaky/1", &[one, None, None, None]),
        ("/elsewhere/ok", &[one, None]),
        // A retry is the same request again.
        ("/flaky/2", &[one, one, one]),
    ];
    for (path, expected) in rows {
        let telemetry = Telemetry::new();
        let request = Request::get(format!("http://{address}{path}"));
        let request = request.extension(constant.clone()).body(Body::default()).unwrap();
        send(layer(&telemetry), request).await;
        let expected: Vec<_> = expected.iter().map(|text| text.map(String::from)).collect();
        assert_eq!(each(&telemetry, "url.template"), expected, "{path}");
    }
}

#[tokio::test]
async fn body_sizes() {
    let (_server, address) = Server::start().await;
    let rows = [
        (Method::POST, "/ok", 1),
        // A `GET` without a body follows.
        (Method::POST, "/see-other/ok", 1),
        (Method::PUT, "/see-other/ok", 1),
        (Method::POST, "/redirect/ok", 1),
        // The same body again.
        (Method::POST, "/temporary/ok", 2),
    ];
    for (method, path, count) in rows {
        let telemetry = Telemetry::new();
        let request = Request::builder().method(&method).uri(format!("http://{address}{path}"));
        let request = request.extension(RequestBodySize::new(5)).body(Body::from("hello")).unwrap();
        send(layer(&telemetry), request).await;
        let points = telemetry.points_of("request.body.size");
        let sum = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>();
        let counted = (sum(|point| point.count as f64), sum(|point| point.sum));
        assert_eq!(counted, (f64::from(count), f64::from(5 * count)), "{method} {path}");
        let label = format!("String(({:?}))", method.as_str());
        assert!(points.iter().all(|point| point.labels["http.request.method"] == label));
    }
}

/// The fragment is not sent, and is a part of `url.full` all the same.
#[tokio::test]
async fn fragments() {
    let (_server, address) = Server::start().await;
    let rows = [
        ("/ok", "/ok"),
        ("/ok#top", "/ok#top"),
        ("/ok?a=b#top", "/ok?a=b#top"),
        ("/ok#sig=s3cret&a=b", "/ok#sig=REDACTED&a=b"),
        ("/ok#", "/ok#"),
    ];
    for (asked, recorded) in rows {
        let telemetry = Telemetry::new();
        let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
        let answer = client.get(format!("http://{address}{asked}")).send().await.unwrap();
        answer.bytes().await.unwrap();
        let expected = Some(format!("http://{address}{recorded}"));
        assert_eq!(each(&telemetry, "url.full"), [expected]);
    }
    // An error tells the URL as it does without telemetry.
    let client = ReqwestClient::with_layer(plain(), layer(&Telemetry::new()));
    let sending = client.get(format!("http://{address}/never#top"));
    let error = sending.timeout(Duration::from_millis(30)).send().await.unwrap_err();
    assert_eq!(error.url().unwrap().fragment(), Some("top"));

    let telemetry = Telemetry::new();
    let inner = builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let layers = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(layer(&telemetry));
    let client = ReqwestClient::with_layer(inner, layers.into_inner());
    let url = format!("http://{address}/redirect/ok#top");
    client.get(&url).send().await.unwrap().bytes().await.unwrap();
    let hop = format!("http://{address}/ok");
    assert_eq!(each(&telemetry, "url.full"), [Some(url), Some(hop)]);
}

fn context() -> Context {
    Context::new().with_baggage([KeyValue::new("user", "4711")])
}

fn only_ours(telemetry: &Telemetry) -> TelemetryLayer {
    layer(telemetry).with_destinations(|head| head.uri.host() == Some("127.0.0.1"))
}

/// Returns the headers of a request that must not reach a third party.
fn private(headers: &HeaderMap) -> Vec<&str> {
    let names = ["authorization", "baggage", "traceparent"];
    names.into_iter().filter(|name| headers.contains_key(*name)).collect()
}

/// A redirect layer outside asks for each hop.
#[tokio::test]
async fn context_stays_away_from_third_parties() {
    let all = &["authorization", "baggage", "traceparent"][..];
    // The redirect layer itself drops the authorization, for good.
    let rows: [(&str, &[&[&str]]); 3] = [
        ("/ok", &[all]),
        ("/redirect/ok", &[all, all]),
        ("/redirect/elsewhere/ok", &[all, all, &[]]),
    ];
    for (path, expected) in rows {
        let (server, address) = Server::start().await;
        let telemetry = Telemetry::new();
        let client = HyperClient::builder(TokioExecutor::new()).build_http::<Body>();
        let client = ServiceBuilder::new()
            .layer(FollowRedirectLayer::new())
            .layer(only_ours(&telemetry))
            .service(client);
        let request = Request::get(format!("http://{address}{path}"))
            .header("authorization", "Bearer s3cret")
            .body(Body::default())
            .unwrap();
        let answer = client.oneshot(request).with_context(context()).await.unwrap();
        answer.into_body().collect().await.unwrap();
        let seen = server.seen.lock().unwrap();
        let seen: Vec<_> = seen.iter().map(|(_, headers)| private(headers)).collect();
        assert_eq!(seen, expected, "{path}");
    }
}

/// Counts the warnings of this crate.
struct Warnings(AtomicUsize);

impl log::Log for Warnings {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let is_ours = record.target().starts_with("tower_telemetry");
        if is_ours && record.args().to_string().contains("redirects_to") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// reqwest's own redirects can't be seen before they are followed. A third party is warned of, once.
#[tokio::test]
async fn redirects_inside_reqwest_are_warned_of() {
    static WARNINGS: Warnings = Warnings(AtomicUsize::new(0));
    log::set_logger(&WARNINGS).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let (_server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let rows = [
        ("/ok", true, 0),
        ("/redirect/ok", true, 0),
        ("/elsewhere/ok", false, 0),
        ("/elsewhere/ok", true, 1),
        ("/elsewhere/ok", true, 1),
    ];
    for (path, is_limited, warnings) in rows {
        let layer = if is_limited { only_ours(&telemetry) } else { layer(&telemetry) };
        let client = ReqwestClient::with_layer(plain(), layer);
        client.get(format!("http://{address}{path}")).send().await.unwrap();
        assert_eq!(WARNINGS.0.load(Ordering::Relaxed), warnings, "{path} {is_limited}");
    }
}

/// reqwest's own redirects stop where the rule says so.
#[tokio::test]
async fn redirects_inside_reqwest_are_limited() {
    let limited = || redirects_to(|url| url.host_str() == Some("127.0.0.1"));
    let rows =
        [("/redirect/ok", 200, 2), ("/elsewhere/ok", 302, 1), ("/redirect/elsewhere/ok", 302, 2)];
    for (path, status, hops) in rows {
        let (server, address) = Server::start().await;
        let telemetry = Telemetry::new();
        let inner = builder().redirect(limited()).build().unwrap();
        let client = ReqwestClient::with_layer(inner, only_ours(&telemetry));
        let sending = client.get(format!("http://{address}{path}")).send().with_context(context());
        assert_eq!(sending.await.unwrap().status(), status, "{path}");
        let seen = server.seen.lock().unwrap();
        assert_eq!(seen.len(), hops, "{path}");
        assert!(seen.iter().all(|(_, headers)| private(headers) == ["baggage", "traceparent"]));
    }
    let (server, address) = Server::start().await;
    let client = builder().redirect(limited()).build().unwrap();
    let client = ReqwestClient::with_layer(client, layer(&Telemetry::new()));
    let error = client.get(format!("http://{address}/loop")).send().await.unwrap_err();
    assert!(error.is_redirect(), "{error:?}");
    let plain = ReqwestClient::with_layer(plain(), layer(&Telemetry::new()));
    let hops = server.seen.lock().unwrap().len();
    plain.get(format!("http://{address}/loop")).send().await.unwrap_err();
    assert_eq!(server.seen.lock().unwrap().len(), 2 * hops, "as many as reqwest's default");
}
