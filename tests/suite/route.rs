//! `http.route` with axum, for layers inside and outside of the router.

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use futures_util::FutureExt;
use http::{Request, StatusCode};
use opentelemetry::trace::SpanKind;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_telemetry::{Convention, Route, integrations::RouteLayer};

use crate::support::{EXPECTED_PANIC, Telemetry, attribute, expect_panics};

async fn panics() {
    panic!("{EXPECTED_PANIC}")
}

fn router() -> Router {
    let inner = Router::new().route("/users/{id}", get(|| async { "user" }));
    let raw = Router::new().route("/f/{x}", get(|| async { "raw" })).route_layer(RouteLayer::new());
    Router::new()
        .route("/items/{id}", get(|| async { "item" }))
        .route("/items", post(|| async { "made" }))
        .route("/panic/{id}", get(panics))
        .route("/never/{id}", get(std::future::pending::<()>))
        .nest("/api/{version}", inner)
        .nest_service("/raw", raw)
        .route_layer(RouteLayer::new())
        .fallback(|| async { StatusCode::NOT_FOUND })
}

/// Calls a service, and checks the route on the span and on the metric.
#[track_caller]
fn check<S, B>(
    telemetry: &Telemetry,
    service: S,
    request: (&str, &str),
    expected: (u16, Option<&str>),
) where
    S: Service<Request<Body>, Response = http::Response<B>>,
{
    let (method, path) = request;
    let (status, route) = expected;
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let call = service.oneshot(request);
    let response = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call.now_or_never()));
    if let Ok(Some(Ok(response))) = response {
        assert_eq!(response.status(), status, "{method} {path}");
    }
    let span = telemetry.span_of(SpanKind::Server);
    assert_eq!(attribute(&span, "http.route").as_deref(), route, "{method} {path}");
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    assert_eq!(span.name, name);
    let label = telemetry.duration().labels.get("http.route").cloned();
    // A method that the route does not handle says nothing about the route.
    let route = route.filter(|_| status != 405);
    assert_eq!(label, route.map(|route| format!("String(({route:?}))")));
}

#[test]
fn the_route_is_known_inside_the_router() {
    expect_panics();
    for (method, path, status, route) in [
        ("GET", "/items/1", 200, Some("/items/{id}")),
        ("POST", "/items/1", 405, Some("/items/{id}")),
        ("POST", "/items", 200, Some("/items")),
        ("GET", "/api/v1/users/7", 200, Some("/api/{version}/users/{id}")),
        ("GET", "/api/v1/unknown", 404, None),
        ("GET", "/raw/f/1", 200, Some("/raw/f/{x}")),
        ("GET", "/raw/unknown", 404, None),
        ("GET", "/unknown", 404, None),
        ("GET", "/panic/1", 0, Some("/panic/{id}")),
        ("GET", "/never/1", 0, Some("/never/{id}")),
    ] {
        let telemetry = Telemetry::new();
        let service = router().layer(telemetry.stack(Convention::server()));
        check(&telemetry, service, (method, path), (status, route));
    }
}

#[test]
fn the_route_is_known_outside_the_router() {
    expect_panics();
    for (method, path, status, route) in [
        ("GET", "/items/1", 200, Some("/items/{id}")),
        ("POST", "/items/1", 405, Some("/items/{id}")),
        ("GET", "/api/v1/users/7", 200, Some("/api/{version}/users/{id}")),
        ("GET", "/api/v1/unknown", 404, None),
        ("GET", "/raw/f/1", 200, Some("/raw/f/{x}")),
        ("GET", "/unknown", 404, None),
        ("GET", "/panic/1", 0, Some("/panic/{id}")),
        ("GET", "/never/1", 0, Some("/never/{id}")),
    ] {
        let telemetry = Telemetry::new();
        let service = ServiceBuilder::new()
            .layer(telemetry.stack(Convention::server()))
            .layer(tower_http::cors::CorsLayer::new())
            .concurrency_limit(1)
            .service(router());
        check(&telemetry, service, (method, path), (status, route));
    }
}

#[test]
fn the_route_is_known_to_nested_layers_outside_the_router() {
    let telemetry = Telemetry::new();
    let service = telemetry.metrics(Convention::server()).layer(router());
    let service = telemetry.span(Convention::server()).layer(service);
    check(&telemetry, service, ("GET", "/items/1"), (200, Some("/items/{id}")));
}

#[test]
fn the_route_is_known_without_axum() {
    let by_request = Convention::server().with_route(|head| {
        head.uri.path().starts_with("/items/").then(|| Route::new("/items/:id"))
    });
    let told = service_fn(|request: Request<Body>| async move {
        Route::new("/told").announce(request.extensions());
        Route::new("/too-late").announce(request.extensions());
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty()))
    });
    let responded = service_fn(|_: Request<Body>| async {
        let mut response = http::Response::new(Body::empty());
        response.extensions_mut().insert(Route::new("/responded"));
        Ok::<_, std::convert::Infallible>(response)
    });
    macro_rules! check {
        ($convention:expr, $service:expr, $path:literal, $route:expr) => {
            let telemetry = Telemetry::new();
            let service = telemetry.stack($convention).layer($service);
            check(&telemetry, service, ("GET", $path), (200, $route));
        };
    }
    check!(by_request.clone(), told, "/items/7", Some("/items/:id"));
    check!(by_request, told, "/other", Some("/told"));
    check!(Convention::server(), responded, "/", Some("/responded"));
}

#[test]
fn connect_info_is_the_peer() {
    let telemetry = Telemetry::new();
    let service = router().layer(telemetry.span(Convention::server()));
    let mut request = Request::get("/items/1").body(Body::empty()).unwrap();
    let peer: std::net::SocketAddr = "[2001:db8::1]:4711".parse().unwrap();
    request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
    service.oneshot(request).now_or_never().unwrap().unwrap();
    let span = telemetry.span_of(SpanKind::Server);
    assert_eq!(attribute(&span, "client.address").as_deref(), Some("2001:db8::1"));
    assert_eq!(attribute(&span, "network.peer.address").as_deref(), Some("2001:db8::1"));
    assert_eq!(attribute(&span, "network.peer.port").as_deref(), Some("4711"));
}
