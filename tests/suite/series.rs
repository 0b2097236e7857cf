//! Exchanges that differ in one label make two series, also if the series come from the cache.

use std::io;

use futures_util::FutureExt;
use http::{Request, Response, Version};
use tower::{Layer, Service, service_fn};
use tower_telemetry::{Convention, Route, Side, TelemetryLayer, UrlTemplate};

use crate::support::{AnyConvention, Telemetry};

/// A request and its response.
#[derive(Clone, Copy)]
struct Sent {
    method: &'static str,
    uri: &'static str,
    template: &'static str,
    version: Version,
    outcome: Result<u16, io::ErrorKind>,
}

const FIRST: Sent = Sent {
    method: "GET",
    uri: "http://a:1/",
    template: "/a",
    version: Version::HTTP_11,
    outcome: Ok(200),
};

const UNLIKE: [Sent; 7] = [
    FIRST,
    Sent { method: "PUT", ..FIRST },
    Sent { template: "/b", ..FIRST },
    Sent { version: Version::HTTP_2, ..FIRST },
    Sent { outcome: Ok(500), ..FIRST },
    Sent { outcome: Err(io::ErrorKind::TimedOut), ..FIRST },
    Sent { outcome: Err(io::ErrorKind::ConnectionReset), ..FIRST },
];

/// The host is a label on clients only.
const UNLIKE_OF_CLIENT: [Sent; 2] =
    [Sent { uri: "http://b:1/", ..FIRST }, Sent { uri: "http://a:2/", ..FIRST }];

fn convention(side: Side) -> AnyConvention {
    match side {
        Side::Server => {
            Convention::server().with_route(|head| head.extensions.get::<Route>().cloned()).into()
        }
        _ => Convention::client().into(),
    }
}

/// Sends each request three times through one layer, and returns the count of each duration series.
fn counts(telemetry: &Telemetry, layer: TelemetryLayer, sent: &[Sent]) -> Vec<u64> {
    let mut service = layer.layer(service_fn(|request: Request<Sent>| async move {
        let Sent { version, outcome, .. } = *request.body();
        let response = Response::builder().version(version).status(outcome?);
        Ok::<_, io::Error>(response.body(String::new()).unwrap())
    }));
    for sent in sent.repeat(3) {
        let request = Request::builder()
            .method(sent.method)
            .uri(sent.uri)
            .version(sent.version)
            .extension(Route::new(sent.template))
            .extension(UrlTemplate::new(sent.template));
        let _ = service.call(request.body(sent).unwrap()).now_or_never().unwrap();
    }
    assert!(telemetry.points_of("active_requests").iter().all(|point| point.sum == 0.0));
    telemetry.points_of("request.duration").iter().map(|point| point.count).collect()
}

/// Checks that each request has a series of its own, with and without bound instruments.
fn differ(side: Side, sent: &[Sent]) {
    let plain: fn(TelemetryLayer) -> TelemetryLayer = |layer| layer;
    let configured = [
        plain,
        #[cfg(feature = "bound-instruments")]
        |layer| layer.with_bound_instruments(),
    ];
    for configured in configured {
        let telemetry = Telemetry::new();
        let layer = configured(telemetry.stack(convention(side)));
        assert_eq!(counts(&telemetry, layer, sent), vec![3; sent.len()], "{side:?}");
    }
}

#[test]
fn each_label_makes_a_series_of_its_own() {
    differ(Side::Server, &UNLIKE);
    differ(Side::Client, &[&UNLIKE[..], &UNLIKE_OF_CLIENT].concat());
}

/// Long templates are not cached.
#[test]
fn long_templates_make_series_of_their_own() {
    let long = |end: &str| -> &'static str { format!("{}{end}", "/a".repeat(200)).leak() };
    let sent = [Sent { template: long("/1"), ..FIRST }, Sent { template: long("/2"), ..FIRST }];
    differ(Side::Server, &sent);
    differ(Side::Client, &sent);
}
