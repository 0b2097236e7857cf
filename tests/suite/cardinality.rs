//! Whatever callers send, they create a bounded number of series, and honest series stay exact.

use std::convert::Infallible;

use futures_util::FutureExt;
use http::{Method, Request, Response, Version};
use http_body_util::BodyExt;
use tower::{Layer, Service, service_fn};
use tower_telemetry::{
    AttemptsLayer, Convention, Route, TelemetryLayer,
    observe::{ObserveLayer, Observer},
};

use crate::support::{Point, Script, Step::*, Telemetry};

const METHODS: [&str; 12] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "QUERY", "CONNECT", "TRACE",
    "BREW", "get",
];
const VERSIONS: [Version; 3] = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2];
const STATUSES: [u16; 4] = [200, 404, 405, 500];

/// The way in which the caller ends the exchange.
#[derive(Clone, Copy)]
enum Ends {
    AfterTheBody,
    BeforeTheHead,
    BeforeTheBody,
}

fn layer(telemetry: &Telemetry) -> TelemetryLayer {
    let route = |head: &http::request::Parts| Some(Route::new(head.uri.path().to_owned()));
    telemetry.stack(Convention::server().with_route(route))
}

/// A server that answers with the status in the query.
fn exchange(
    service: &mut impl Service<
        Request<()>,
        Response = Response<impl http_body::Body<Data = bytes::Bytes, Error: std::fmt::Debug>>,
        Error = Infallible,
    >,
    request: Request<()>,
    ends: Ends,
) {
    let call = service.call(request);
    if let Ends::BeforeTheHead = ends {
        return drop(call);
    }
    let response = call.now_or_never().unwrap().unwrap();
    if let Ends::AfterTheBody = ends {
        let _ = response.into_body().collect().now_or_never();
    }
}

async fn answer(request: Request<()>) -> Result<Response<Script>, Infallible> {
    let status = request.uri().query().unwrap().parse::<u16>().unwrap();
    let body = Script::new(&[Data("hello"), Pending]);
    let body = if status == 200 { body } else { Script::new(&[Data("hello")]) };
    Ok(Response::builder().status(status).body(body).unwrap())
}

fn request(method: &str, path: &str, status: u16, version: Version) -> Request<()> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = Request::builder().method(method).uri(format!("{path}?{status}"));
    request.version(version).body(()).unwrap()
}

/// Sends everything that a caller can combine to these routes.
fn attack(telemetry: &Telemetry, service_layer: &TelemetryLayer, routes: std::ops::Range<usize>) {
    let mut service = service_layer.layer(service_fn(answer));
    for route in routes {
        let path = format!("/r{route}");
        for method in METHODS {
            for version in VERSIONS {
                for status in STATUSES {
                    for ends in [Ends::AfterTheBody, Ends::BeforeTheBody, Ends::BeforeTheHead] {
                        exchange(&mut service, request(method, &path, status, version), ends);
                    }
                }
            }
        }
    }
    assert_eq!(telemetry.active(), 0);
}

const PER_ROUTE: u64 = (METHODS.len() * VERSIONS.len() * STATUSES.len() * 3) as u64;

fn label<'a>(point: &'a Point, key: &str) -> &'a str {
    point.labels.get(key).map_or("", |value| value.as_str())
}

fn has_overflow(points: &[Point]) -> bool {
    points.iter().any(|point| point.labels.contains_key("otel.metric.overflow"))
}

#[test]
fn a_hostile_caller_does_not_fill_the_series_of_a_metric() {
    let telemetry = Telemetry::new();
    let layer = layer(&telemetry);
    attack(&telemetry, &layer, 0..100);
    let durations = telemetry.points_of("request.duration");
    assert!(!has_overflow(&durations));
    assert!(durations.len() < 2000, "{} series", durations.len());
    let counted: u64 = durations.iter().map(|point| point.count).sum();
    assert_eq!(counted, 100 * PER_ROUTE, "every exchange is counted");
    assert!(!has_overflow(&telemetry.points_of("active_requests")));
}

#[test]
fn honest_routes_keep_their_series() {
    let telemetry = Telemetry::new();
    let layer = layer(&telemetry);
    attack(&telemetry, &layer, 0..31);
    let mut service = layer.layer(service_fn(answer));
    for (method, status, version) in [
        ("GET", 200, Version::HTTP_11),
        ("GET", 404, Version::HTTP_2),
        ("POST", 500, Version::HTTP_2),
    ] {
        let request = request(method, "/honest", status, version);
        exchange(&mut service, request, Ends::AfterTheBody);
    }
    let durations = telemetry.points_of("request.duration");
    let mut honest: Vec<_> = durations
        .iter()
        .filter(|point| label(point, "http.route").contains("/honest"))
        .map(|point| {
            let labels = ["http.request.method", "http.response.status_code"];
            labels.map(|key| label(point, key).to_owned())
        })
        .collect();
    honest.sort();
    let expected = [("GET", 200), ("GET", 404), ("POST", 500)];
    let expected = expected
        .map(|(method, status)| [format!("String(({method:?}))"), format!("I64({status})")]);
    assert_eq!(honest, expected);
    // Those of the attacked routes are counted by route and class.
    for route in 0..31 {
        let of_route =
            |point: &&Point| label(point, "http.route") == format!("String((\"/r{route}\"))");
        let counted: u64 = durations.iter().filter(of_route).map(|point| point.count).sum();
        assert!(counted > PER_ROUTE / 2, "{counted} of {PER_ROUTE}");
    }
}

/// Labels of the handler's own multiply with the others, so the budget counts for them, too.
#[test]
fn labels_of_hooks_do_not_escape_the_budget() {
    let telemetry = Telemetry::new();
    let route = |head: &http::request::Parts| Some(Route::new(head.uri.path().to_owned()));
    let tier = |_: &http::request::Parts| vec![opentelemetry::KeyValue::new("tier", "gold")];
    let convention = Convention::server().with_route(route).with_request_labels(tier);
    attack(&telemetry, &telemetry.stack(convention), 0..100);
    let durations = telemetry.points_of("request.duration");
    assert!(!has_overflow(&durations) && durations.len() < 2000, "{} series", durations.len());
    assert!(durations.iter().all(|point| label(point, "tier").contains("gold")));
}

/// `405` and unknown methods say nothing about a route.
#[test]
fn unhandled_methods_have_no_route_label() {
    let telemetry = Telemetry::new();
    let mut service = layer(&telemetry).layer(service_fn(answer));
    for (method, status) in [("GET", 405), ("BREW", 200), ("GET", 200)] {
        let request = request(method, "/a", status, Version::HTTP_11);
        exchange(&mut service, request, Ends::AfterTheBody);
    }
    let routes = telemetry.points_of("request.duration");
    let routes: Vec<_> =
        routes.iter().filter(|point| point.labels.contains_key("http.route")).collect();
    assert_eq!(routes.len(), 1, "{routes:#?}");
    assert_eq!(label(routes[0], "http.response.status_code"), "I64(200)");
    // The span has the route in any case.
    assert!(telemetry.spans().iter().all(|span| {
        span.attributes.iter().any(|attribute| attribute.key.as_str() == "http.route")
    }));
}

/// Redirects choose hosts. They don't displace the hosts that the program calls itself.
#[test]
fn hosts_of_redirects_are_bounded() {
    let telemetry = Telemetry::new();
    check_redirects(&telemetry, &telemetry.stack(Convention::client()));
    // Without spans the attempts are counted, too.
    let telemetry = Telemetry::new();
    check_redirects(&telemetry, &telemetry.metrics(Convention::client()));
}

fn check_redirects<O>(telemetry: &Telemetry, layer: &ObserveLayer<O>)
where
    O: Observer,
{
    let get = |host: String| Request::get(format!("http://{host}/?200")).body(()).unwrap();
    let mut client = layer.layer(service_fn(answer));
    // One call, whose attempts go to ever other hosts.
    let mut redirects = AttemptsLayer::new().layer(service_fn(|_: Request<()>| {
        for i in 0..3000 {
            exchange(&mut client, get(format!("evil{i}.example")), Ends::AfterTheBody);
        }
        std::future::ready(Ok::<_, Infallible>(()))
    }));
    redirects.call(Request::new(())).now_or_never().unwrap().unwrap();
    let mut client = layer.layer(service_fn(answer));
    for i in 0..50 {
        exchange(&mut client, get(format!("honest{i}.example")), Ends::AfterTheBody);
    }
    for metric in ["request.duration", "active_requests"] {
        let points = telemetry.points_of(metric);
        assert!(!has_overflow(&points), "{metric}");
        let hosts = |name: &str| {
            points.iter().filter(|point| label(point, "server.address").contains(name)).count()
        };
        assert_eq!(hosts("honest"), 50, "{metric}");
        assert!(hosts("evil") <= 101, "{metric}: {}", hosts("evil"));
        assert_eq!(hosts("_OTHER"), 1, "{metric}");
    }
}
