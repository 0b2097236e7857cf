//! Handlers read the labels of their exchange, for measurements of their own.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use futures_util::FutureExt;
use http::{Method, Request, Response};
use opentelemetry::KeyValue;
use tower::{Layer, ServiceExt, layer::layer_fn, service_fn, util::BoxCloneService};
use tower_telemetry::{Convention, Labels, Protocol, Route, UrlTemplate};

use crate::support::{AnyConvention, Telemetry, get};

/// Returns the labels that a handler reads, each as `key=value`.
fn text(labels: &[KeyValue]) -> String {
    let labels = labels.iter().map(|label| format!("{}={}", label.key, label.value.as_str()));
    labels.collect::<Vec<_>>().join(" ")
}

fn handler(
    seen: &Arc<Mutex<String>>,
) -> BoxCloneService<Request<String>, Response<String>, Infallible> {
    let seen = Arc::clone(seen);
    BoxCloneService::new(service_fn(move |request: Request<String>| {
        let seen = Arc::clone(&seen);
        async move {
            Route::new("/announced").announce(request.extensions());
            let labels = Labels::current_with([KeyValue::new("outcome", "placed")]);
            *seen.lock().unwrap() = text(&labels);
            Ok(Response::new(String::new()))
        }
    }))
}

/// Returns what a handler reads under a layer of this convention.
fn read(convention: impl Into<AnyConvention>, request: Request<String>) -> String {
    let telemetry = Telemetry::new();
    let seen = Arc::default();
    let service = telemetry.stack(convention).layer(handler(&seen));
    let _ = service.oneshot(request).now_or_never().unwrap().unwrap();
    Arc::into_inner(seen).expect("the service was dropped").into_inner().unwrap()
}

fn request(method: &str, path: &str) -> Request<String> {
    let mut request = get(path);
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
    request
}

fn call(path: &str) -> Request<String> {
    let mut request = request("POST", path);
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    request
}

#[test]
fn servers() {
    let server = || Convention::server().with_handler_labels();
    let routed = || server().with_route(|_| Some(Route::new("/users/{id}")));
    let grpc = || server().with_protocol(Protocol::Grpc);
    let announced = "http.route=/announced outcome=placed";
    for (convention, request, expected) in [
        (Convention::server(), get("/users/7"), "outcome=placed".to_owned()),
        (
            routed(),
            get("/users/7"),
            "http.request.method=GET http.route=/users/{id} outcome=placed".to_owned(),
        ),
        // The router runs later, and announces its route.
        (server(), get("/users/7"), format!("http.request.method=GET {announced}")),
        (
            server(),
            request("INVENTED", "/users/7"),
            format!("http.request.method=_OTHER {announced}"),
        ),
        // A label replaces one of the same key.
        (
            routed().with_request_labels(|_| vec![KeyValue::new("tenant", "a")]),
            get("/users/7"),
            "http.request.method=GET http.route=/users/{id} tenant=a outcome=placed".to_owned(),
        ),
        (
            routed().with_request_labels(|_| vec![KeyValue::new("outcome", "hook")]),
            get("/users/7"),
            "http.request.method=GET http.route=/users/{id} outcome=placed".to_owned(),
        ),
        (grpc(), call("/a.B/C"), format!("rpc.system.name=grpc rpc.method=a.B/C {announced}")),
        (
            grpc().with_known_services(["a.B"]),
            call("/x.Y/Z"),
            format!("rpc.system.name=grpc rpc.method=_OTHER {announced}"),
        ),
        // Nothing has shown yet that the server serves gRPC.
        (server(), call("/a.B/C"), format!("http.request.method=POST {announced}")),
    ] {
        let name = format!("{} {}", request.method(), request.uri());
        let expected = match expected.starts_with("rpc") {
            true => expected.replace("http.route=/announced ", ""),
            false => expected,
        };
        assert_eq!(read(convention, request), expected, "{name}");
    }
}

#[test]
fn clients() {
    let client = || Convention::client().with_handler_labels();
    let mut templated = get("http://example.com/users/7");
    templated.extensions_mut().insert(UrlTemplate::new("/users/{id}"));
    for (request, expected) in [
        (templated, "http.request.method=GET url.template=/users/{id} outcome=placed"),
        (get("http://example.com/users/7"), "http.request.method=GET outcome=placed"),
        (call("http://example.com/a.B/C"), "rpc.system.name=grpc rpc.method=a.B/C outcome=placed"),
    ] {
        assert_eq!(read(client(), request), expected);
    }
}

/// An outer layer does not know the route, and its labels are those of the exchange.
#[test]
fn an_inner_layer_adds_the_route() {
    let telemetry = Telemetry::new();
    let seen = Arc::default();
    let server = || Convention::server().with_handler_labels();
    let inner = telemetry.metrics(server().with_route(|_| Some(Route::new("/inner"))));
    let service = telemetry.span(server()).layer(inner.layer(handler(&seen)));
    let _ = service.oneshot(get("/")).now_or_never().unwrap().unwrap();
    assert_eq!(*seen.lock().unwrap(), "http.request.method=GET http.route=/inner outcome=placed");
}

#[test]
fn single_labels_are_found() {
    let telemetry = Telemetry::new();
    let convention = Convention::server().with_handler_labels();
    let service = telemetry.stack(convention).layer(service_fn(|_: Request<String>| async {
        let labels = Labels::current().unwrap();
        assert_eq!(labels.get("http.request.method"), Some("GET".into()));
        assert_eq!(labels.get("tenant"), None);
        labels.add(KeyValue::new("tenant", 7));
        assert_eq!(labels.get("tenant"), Some(7.into()));
        assert_eq!(text(&labels.to_vec()), "http.request.method=GET tenant=7");
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    service.oneshot(get("/")).now_or_never().unwrap().unwrap();
    // The labels of the request are not added to its metrics once more.
    let labels = telemetry.duration().labels;
    assert_eq!(labels["tenant"], "I64(7)");
    assert_eq!(labels.keys().filter(|key| *key == "http.request.method").count(), 1);
}

/// A middleware in front of the router reads labels of calls whose methods callers invent.
#[test]
fn invented_methods_are_bounded() {
    let telemetry = Telemetry::new();
    let methods = Arc::new(Mutex::new(BTreeSet::new()));
    let read = Arc::clone(&methods);
    let middleware = layer_fn(move |_: ()| {
        let read = Arc::clone(&read);
        service_fn(move |_: Request<String>| {
            let method = Labels::current().unwrap().get("rpc.method").unwrap();
            read.lock().unwrap().insert(method.as_str().into_owned());
            async { Ok::<_, Infallible>(Response::new(String::new())) }
        })
    });
    let convention = Convention::server().with_protocol(Protocol::Grpc).with_handler_labels();
    let service = telemetry.stack(convention).layer(middleware.layer(()));
    for i in 0..1000 {
        let _ = service.clone().oneshot(call(&format!("/a.B/{i}"))).now_or_never().unwrap();
    }
    let methods = methods.lock().unwrap();
    assert!(methods.contains("_OTHER") && methods.len() == 101, "{}", methods.len());
}
