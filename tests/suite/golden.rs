//! The golden telemetry: every span, instrument, unit, boundary and attribute for a fixed set of
//! requests. It is public API, so a change needs a line under *Telemetry* in the changelog.
//!
//! `UPDATE_GOLDEN=1 cargo test --all-features golden` updates it.

use std::{collections::BTreeMap, fmt::Write, io};

use futures_util::FutureExt;
use http::{HeaderName, Request, Response, Version};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_telemetry::{
    AttemptsLayer, Convention, CountedRequestBody, RequestBodyLayer, Route, Server, TrustedProxies,
    UrlTemplate,
};

use crate::{
    golden_file,
    support::{AnyConvention, Script, Step::*, Telemetry},
};

const GOLDEN: &str = "tests/suite/golden/telemetry.txt";

#[test]
fn telemetry_equals_the_golden_file() {
    let mut text = String::new();
    let sides: [(&str, AnyConvention); 2] =
        [("server", server().into()), ("client", Convention::client().into())];
    for (side, convention) in sides {
        let telemetry = Telemetry::new();
        let mut service = telemetry.stack(convention).layer(service_fn(answer));
        for request in requests() {
            let Ok(response) = service.call(request).now_or_never().unwrap() else { continue };
            let _ = response.into_body().collect().now_or_never();
        }
        // Sends the same request twice within one call, as a retry does.
        let mut twice = AttemptsLayer::new().layer(service_fn(|_: Request<()>| {
            let mut attempt = || {
                let request = Request::get("https://example.com/again").body(String::new());
                let answer = service.call(request.unwrap()).now_or_never().unwrap().unwrap();
                answer.into_body().collect().now_or_never()
            };
            let _ = (attempt(), attempt());
            std::future::ready(Ok::<_, io::Error>(()))
        }));
        twice.call(Request::new(())).now_or_never();
        writeln!(text, "=== {side} ===\n").unwrap();
        instruments(&telemetry, &mut text);
        let scope = telemetry.spans().remove(0).instrumentation_scope;
        writeln!(text, "scope {} {:?}\n", scope.name(), scope.schema_url().unwrap()).unwrap();
        writeln!(text, "{}", telemetry.text()).unwrap();
    }
    opt_in(&mut text);
    golden_file::assert_equal(GOLDEN, &text);
}

/// Writes each instrument of a series.
fn instruments(telemetry: &Telemetry, text: &mut String) {
    let points = telemetry.points();
    let points: BTreeMap<_, _> = points.iter().map(|p| (p.name.clone(), p)).collect();
    for point in points.into_values() {
        writeln!(text, "instrument {} [{}] {}", point.name, point.unit, point.description).unwrap();
        writeln!(text, "    boundaries = {:?}", point.bounds).unwrap();
    }
}

/// Writes what `with_counted_body_sizes` and `with_time_to_first_byte` add.
fn opt_in(text: &mut String) {
    let sides: [(&str, AnyConvention); 2] =
        [("server", server().into()), ("client", Convention::client().into())];
    for (side, convention) in sides {
        let telemetry = Telemetry::new();
        let layer = telemetry.metrics(convention).with_counted_body_sizes();
        let mut service = ServiceBuilder::new()
            .layer(layer.with_time_to_first_byte())
            .layer(RequestBodyLayer::new())
            .service(service_fn(|request: Request<CountedRequestBody<String>>| async {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                answer(Request::from_parts(head, String::from_utf8_lossy(&body).into_owned())).await
            }));
        for (path, content_type) in
            [("/users/7", "text/plain"), ("/shop.Orders/Place", "application/grpc")]
        {
            let request = Request::post(format!("https://example.com:8443{path}"));
            let request = request.header("content-type", content_type).body(String::from("body"));
            let response = service.call(request.unwrap()).now_or_never().unwrap().unwrap();
            let _ = response.into_body().collect().now_or_never();
        }
        writeln!(text, "=== opt-in, {side} ===\n").unwrap();
        instruments(&telemetry, text);
        writeln!(text, "\n{}", telemetry.text()).unwrap();
    }
}

fn server() -> Convention<Server> {
    Convention::server()
        .with_peer(|_| Some("192.0.2.5:4711".parse().unwrap()))
        .with_trusted_proxies(TrustedProxies::count(1))
        .with_route(|head| {
            head.uri.path().starts_with("/users/").then(|| Route::new("/users/{id}"))
        })
        .with_request_headers([HeaderName::from_static("x-tenant")])
        .with_response_headers([HeaderName::from_static("x-answer")])
}

fn requests() -> Vec<Request<String>> {
    let request = |method: &str, path: &str| {
        Request::builder().method(method).uri(format!("https://example.com:8443{path}"))
    };
    let build = |builder: http::request::Builder| builder.body(String::from("body")).unwrap();
    vec![
        build(
            request("GET", "/users/7?q=1&sig=s3cret")
                .header("user-agent", "curl/8")
                .header("x-tenant", "a"),
        ),
        build(request("POST", "/users/7").header("content-length", "4").version(Version::HTTP_2)),
        build(
            request("GET", "/forwarded")
                .header("forwarded", "for=192.0.2.60;proto=http;host=shop.example"),
        ),
        build(request("HEAD", "/users/7")),
        build(request("BREW", "/missing")),
        build(request("GET", "/fail")),
        build(request("GET", "/error")),
        build(request("GET", "/broken")),
        build(request("GET", "/half")),
        build(request("GET", "/events")),
        build(request("GET", "/users/7").extension(UrlTemplate::new("/users/{id}"))),
        build(request("POST", "/shop.Orders/Place").header("content-type", "application/grpc")),
        build(request("POST", "/shop.Orders/Find").header("content-type", "application/grpc")),
        build(request("POST", "/shop.Orders/Fail").header("content-type", "application/grpc")),
        build(request("POST", "/shop.Orders/Missing").header("content-type", "application/grpc")),
        build(request("POST", "/shop.Orders/Half").header("content-type", "application/grpc")),
    ]
}

async fn answer(request: Request<String>) -> Result<Response<Script>, io::Error> {
    let response = Response::builder().header("x-answer", "42");
    let steps: &[_] = match request.uri().path() {
        "/error" => return Err(io::ErrorKind::ConnectionReset.into()),
        "/broken" => &[Data("first"), Error],
        "/half" | "/events" | "/shop.Orders/Half" => &[Data("first"), Pending],
        "/shop.Orders/Place" => &[Data("first"), Status("0")],
        "/shop.Orders/Find" => &[Status("5")],
        "/shop.Orders/Fail" => &[Data("first"), Status("13")],
        "/shop.Orders/Missing" => &[Status("12")],
        _ => &[Data("first"), Data("last")],
    };
    let (status, kind) = match request.uri().path() {
        "/missing" => (404, "text/plain"),
        "/fail" => (500, "text/plain"),
        "/events" => (200, "text/event-stream"),
        path if path.starts_with("/shop.") => (200, "application/grpc"),
        _ => (200, "text/plain"),
    };
    Ok(response.status(status).header("content-type", kind).body(Script::new(steps)).unwrap())
}
