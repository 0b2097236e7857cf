//! One span per exchange.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SpanData;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_telemetry::{Convention, Route};

use crate::support::{AnyConvention, Telemetry, get, hello};

#[tokio::test]
async fn nested_layers_record_an_exchange_once() {
    let server: fn() -> AnyConvention = || Convention::server().into();
    for convention in [server, || Convention::client().into()] {
        let telemetry = Telemetry::new();
        let service = telemetry.stack(convention()).layer(service_fn(hello));
        let service = telemetry.stack(convention()).layer(service);
        service.oneshot(get("http://a/")).await.unwrap();
        assert_eq!(telemetry.spans().len(), 1);
        assert_eq!(telemetry.duration().count, 1);

        // Also if single layers surround the combined layer.
        let telemetry = Telemetry::new();
        let service = telemetry.stack(convention()).layer(service_fn(hello));
        let service = telemetry.metrics(convention()).layer(service);
        let service = telemetry.span(convention()).layer(service);
        service.oneshot(get("http://a/")).await.unwrap();
        assert_eq!(telemetry.spans().len(), 1);
        assert_eq!(telemetry.duration().count, 1);
    }
}

/// No provider is installed in the process of these tests.
#[tokio::test]
async fn a_layer_without_providers_leaves_the_exchange_to_an_inner_one() {
    use tower_telemetry::TelemetryLayer;
    let telemetry = Telemetry::new();
    let service = telemetry.stack(Convention::server()).layer(service_fn(hello));
    let mut service = TelemetryLayer::server().layer(service);
    for _ in 0..300 {
        service.ready().await.unwrap().call(get("http://a/")).await.unwrap();
    }
    assert_eq!(telemetry.spans().len(), 300);
    assert_eq!(telemetry.duration().count, 300);
}

#[tokio::test]
async fn a_call_through_a_client_is_a_new_exchange() {
    // A proxy forwards the request it received, with its extensions, to a server in this process.
    let telemetry = Telemetry::new();
    let backend = service_fn(|request: Request<String>| {
        Route::new("/backend").announce(request.extensions());
        hello(request)
    });
    let backend = telemetry.stack(Convention::server()).layer(backend);
    let client = telemetry.stack(Convention::client()).layer(backend);
    let proxy = service_fn(move |request: Request<String>| {
        let client = client.clone();
        async move {
            let frontend = request.extensions().clone();
            client.oneshot(request).await.unwrap();
            Route::new("/frontend").announce(&frontend);
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let frontend = telemetry.stack(Convention::server()).layer(proxy);
    frontend.oneshot(get("http://a/")).await.unwrap();
    let spans = telemetry.spans();
    let kinds: Vec<_> = spans.iter().map(|span| span.span_kind.clone()).collect();
    assert_eq!(kinds, [SpanKind::Server, SpanKind::Client, SpanKind::Server]);
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["GET /backend", "GET", "GET /frontend"]);
    assert_eq!(spans[0].parent_span_id, spans[1].span_context.span_id());
    assert_eq!(spans[1].parent_span_id, spans[2].span_context.span_id());
    assert_eq!(telemetry.active(), 0);
}

/// A server in this process receives a client's request and forwards it unchanged to another
/// client.
#[tokio::test]
async fn a_server_between_two_clients_makes_three_exchanges() {
    // The outermost telemetry is one combined layer, or one layer per signal.
    for is_combined in [true, false] {
        let telemetry = Telemetry::new();
        let parent = Arc::new(Mutex::new(String::new()));
        let seen = parent.clone();
        let backend = service_fn(move |request: Request<String>| {
            let header = request.headers()["traceparent"].to_str().unwrap();
            header.clone_into(&mut seen.lock().unwrap());
            hello(request)
        });
        let service = telemetry.stack(Convention::client()).layer(backend);
        let service = telemetry.stack(Convention::server()).layer(service);
        let client = Convention::client();
        let request = get("http://a/");
        let called = match is_combined {
            true => telemetry.stack(client).layer(service).oneshot(request).await.map(drop),
            false => {
                let service = Telemetry::propagation(client.clone()).layer(service);
                let service = telemetry.metrics(client.clone()).layer(service);
                telemetry.span(client).layer(service).oneshot(request).await.map(drop)
            }
        };
        called.unwrap();
        let spans = three_exchanges(&telemetry);
        let sent = spans[0].span_context.span_id().to_string();
        assert!(parent.lock().unwrap().contains(&sent), "the inner client must send its own span");
    }
}

fn three_exchanges(telemetry: &Telemetry) -> Vec<SpanData> {
    let spans = telemetry.spans();
    let kinds: Vec<_> = spans.iter().map(|span| span.span_kind.clone()).collect();
    assert_eq!(kinds, [SpanKind::Client, SpanKind::Server, SpanKind::Client]);
    assert_eq!(spans[0].parent_span_id, spans[1].span_context.span_id());
    assert_eq!(spans[1].parent_span_id, spans[2].span_context.span_id());
    let durations = telemetry.points_of("request.duration");
    assert_eq!(durations.iter().map(|point| point.count).sum::<u64>(), 3);
    spans
}

#[tokio::test]
async fn a_new_request_is_a_new_exchange() {
    let telemetry = Telemetry::new();
    let inner = telemetry.stack(Convention::server()).layer(service_fn(hello));
    let outer = service_fn(move |_: Request<String>| {
        let inner = inner.clone();
        async move {
            inner.oneshot(get("/inner")).await.unwrap();
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let outer = telemetry.stack(Convention::server()).layer(outer);
    outer.oneshot(get("/outer")).await.unwrap();
    let spans = telemetry.spans();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0].parent_span_id, spans[1].span_context.span_id());
}

/// A retry clones the request's extensions. Each attempt must still be recorded.
#[tokio::test]
async fn each_attempt_is_an_exchange() {
    use tower::retry::{Policy, RetryLayer};

    #[derive(Clone)]
    struct Twice(usize);

    impl<R> Policy<Request<String>, R, Infallible> for Twice {
        type Future = std::future::Ready<()>;

        fn retry(
            &mut self,
            _: &mut Request<String>,
            _: &mut Result<R, Infallible>,
        ) -> Option<Self::Future> {
            self.0 = self.0.checked_sub(1)?;
            Some(std::future::ready(()))
        }

        fn clone_request(&mut self, request: &Request<String>) -> Option<Request<String>> {
            Some(request.clone())
        }
    }

    let telemetry = Telemetry::new();
    let service = telemetry.stack(Convention::client()).layer(service_fn(hello));
    let service = RetryLayer::new(Twice(2)).layer(service);
    service.oneshot(get("http://a/")).await.unwrap();
    assert_eq!(telemetry.spans().len(), 3);
    let duration = telemetry.points_of("request.duration");
    assert_eq!(duration.iter().map(|point| point.count).sum::<u64>(), 3);
}

/// The same layer wraps a router and a nested router.
#[cfg(feature = "axum")]
#[tokio::test]
async fn nested_routers_record_an_exchange_once() {
    use axum::{Router, body::Body, routing::get};
    let telemetry = Telemetry::new();
    let inner = Router::new()
        .route("/users/{id}", get(|| async { "user" }))
        .layer(telemetry.stack(Convention::server()));
    let outer = Router::new().nest("/api", inner).layer(telemetry.stack(Convention::server()));
    let request = Request::get("/api/users/7").body(Body::empty()).unwrap();
    outer.oneshot(request).await.unwrap();
    let spans = telemetry.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].name, "GET /api/users/{id}");
    assert_eq!(telemetry.duration().count, 1);
}
