//! `TelemetryLayer` emits the same telemetry as the three single layers nested.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use futures_util::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, service_fn};
use tower_telemetry::{Convention, Route};

use crate::support::{AnyConvention, Script, Step::*, Telemetry};

/// Sends many kinds of requests through the combined layer or the nested ones. Returns the
/// telemetry as text, and the headers that the service received.
fn telemetry(convention: AnyConvention, nested: bool) -> (String, Vec<HeaderMap>) {
    let telemetry = Telemetry::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn({
        let seen = Arc::clone(&seen);
        move |request: Request<String>| {
            let mut headers = request.headers().clone();
            // Ids differ between runs, their length doesn't.
            if let Some(parent) = headers.get_mut("traceparent") {
                *parent = parent.len().to_string().parse().unwrap();
            }
            seen.lock().unwrap().push(headers);
            async move {
                let body = match request.uri().path() {
                    "/error" => Script::new(&[Data("ab"), Error]),
                    "/half" => Script::new(&[Data("ab"), Pending]),
                    "/shop.Orders/Find" => Script::new(&[Data("ab"), Status("5")]),
                    "/shop.Orders/Fail" => Script::new(&[Status("13")]),
                    _ => Script::new(&[Data("abcd"), Trailers]),
                };
                let status = match request.uri().path() {
                    "/missing" => 404,
                    "/fail" => 500,
                    _ => 200,
                };
                Route::new("/late").announce(request.extensions());
                Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
            }
        }
    });
    let exchange = |service: &mut dyn FnMut(Request<String>)| {
        for path in
            ["/", "/error", "/half", "/missing", "/fail", "/shop.Orders/Find", "/shop.Orders/Fail"]
        {
            for (method, traced) in
                [("GET", true), ("POST", false), ("HEAD", true), ("BREW", false)]
            {
                let uri = format!("http://example.com{path}?q=1&sig=s");
                let mut request = Request::builder().method(method).uri(uri);
                if traced {
                    request = request
                        .header(
                            "traceparent",
                            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                        )
                        .header("baggage", "a=b");
                }
                if path.starts_with("/shop.") {
                    request = request.header("content-type", "application/grpc");
                }
                service(request.header("user-agent", "test").body(String::new()).unwrap());
            }
        }
    };
    macro_rules! run {
        ($service:expr) => {{
            let mut service = $service;
            exchange(&mut |request| {
                let response = service.call(request).now_or_never().unwrap().unwrap();
                let _ = response.into_body().collect().now_or_never();
            });
        }};
    }
    match (nested, convention.side()) {
        (false, _) => run!(telemetry.stack(convention).layer(service)),
        (true, tower_telemetry::Side::Server) => {
            let service = telemetry.metrics(convention.clone()).layer(service);
            let service = telemetry.span(convention.clone()).layer(service);
            run!(Telemetry::propagation(convention).layer(service));
        }
        (true, _) => {
            let service = Telemetry::propagation(convention.clone()).layer(service);
            let service = telemetry.metrics(convention.clone()).layer(service);
            run!(telemetry.span(convention).layer(service));
        }
    }
    let seen = seen.lock().unwrap().clone();
    (telemetry.text(), seen)
}

#[test]
fn the_stack_equals_the_nest() {
    for convention in [
        Convention::server().into(),
        Convention::client().into(),
        Convention::server().with_public_endpoint().with_handler_labels().into(),
        Convention::server().with_filter(|head| head.method != "GET").into(),
        AnyConvention::from(Convention::client().with_end_at_head(|_| true)),
    ] {
        let (stack, nest) = (telemetry(convention.clone(), false), telemetry(convention, true));
        assert!(
            stack.0.contains("span") && stack.0.contains("metric"),
            "the compared telemetry is not empty"
        );
        assert_eq!(stack.0, nest.0);
        assert_eq!(stack.1, nest.1);
    }
}
