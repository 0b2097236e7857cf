//! gRPC calls: exemplars, and one series for each set of labels.

use std::{convert::Infallible, fmt};

use axum::body::Body;
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use opentelemetry::KeyValue;
use tower::{Layer, Service, service_fn};
use tower_telemetry::{Client, Convention, Protocol, Server, TelemetryLayer, propagation::W3c};

use crate::support::{OPEN_METRICS, Rig, scrape};

/// Answers with the status that the path ends with, or fails without a status.
async fn answer(request: Request<Body>) -> Result<Response<Body>, fmt::Error> {
    if request.uri().query() == Some("fail") {
        return Err(fmt::Error);
    }
    let (_, status) = request.uri().path().rsplit_once('-').unwrap();
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        status.parse().unwrap(),
    )]);
    let frames = futures_util::stream::iter([
        Ok::<_, Infallible>(Frame::data(bytes::Bytes::from_static(b"\0\0\0\0\0"))),
        Ok(Frame::trailers(trailers)),
    ]);
    let response = Response::builder().header("content-type", "application/grpc");
    Ok(response.body(Body::new(StreamBody::new(frames))).unwrap())
}

fn call(layer: &TelemetryLayer, uri: &str) {
    let mut service = layer.layer(service_fn(answer));
    let request = Request::post(uri).header("content-type", "application/grpc");
    let request = request.body(Body::empty()).unwrap();
    let Ok(response) = service.call(request).now_or_never().unwrap() else { return };
    response.into_body().collect().now_or_never().unwrap().unwrap();
}

fn server(rig: &Rig, convention: Convention<Server>) -> TelemetryLayer {
    rig.layer(convention.with_protocol(Protocol::Grpc))
}

fn client(rig: &Rig, convention: Convention<Client>) -> TelemetryLayer {
    TelemetryLayer::new(convention.with_protocol(Protocol::Grpc))
        .with_propagator(W3c::new())
        .with_tracer_provider(&rig.tracers)
        .with_meter_provider(&rig.meters)
        .with_exemplars(&rig.exemplars)
}

#[test]
fn calls_have_exemplars() {
    type Make = fn(&Rig) -> TelemetryLayer;
    let rows: [(&str, Make, &str); 4] = [
        ("server", |rig| server(rig, Convention::server()), "rpc_server_call_duration_seconds"),
        ("client", |rig| client(rig, Convention::client()), "rpc_client_call_duration_seconds"),
        (
            "server with labels",
            |rig| {
                let labels = |_: &http::request::Parts| vec![KeyValue::new("tier", "gold")];
                server(rig, Convention::server().with_request_labels(labels))
            },
            "rpc_server_call_duration_seconds",
        ),
        (
            "client without attributes",
            |rig| client(rig, Convention::client()).without_attributes(["rpc.method"]),
            "rpc_client_call_duration_seconds",
        ),
    ];
    for (row, make, metric) in rows {
        let rig = Rig::new();
        let layer = make(&rig);
        call(&layer, "http://a:1/test.Echo/Get-0");
        assert_eq!(rig.metrics_with_exemplars_of_spans(), [metric], "{row}");
    }
}

/// Calls that differ in one label make two series, also if the series come from the cache.
#[test]
fn each_label_of_a_call_makes_a_series_of_its_own() {
    let first = "http://a:1/test.Echo/Get-0";
    let unlike = [
        "http://a:1/test.Echo/Put-0",
        // The same method and code, `UNKNOWN`, with two values of `error.type`.
        "http://a:1/test.Echo/Get-2",
        "http://a:1/test.Echo/Get-2?fail",
    ];
    let unlike_of_client = ["http://b:1/test.Echo/Get-0", "http://a:2/test.Echo/Get-0"];
    for is_client in [false, true] {
        let rig = Rig::new();
        let (layer, side) = match is_client {
            true => (client(&rig, Convention::client()), "client"),
            false => (server(&rig, Convention::server()), "server"),
        };
        let mut sent = vec![first];
        sent.extend(unlike);
        if is_client {
            sent.extend(unlike_of_client);
        }
        for uri in sent.repeat(3) {
            call(&layer, uri);
        }
        let count = format!("rpc_{side}_call_duration_seconds_count");
        let answer = scrape(&rig.endpoint, OPEN_METRICS);
        let counts: Vec<_> = answer.lines().filter(|line| line.starts_with(&count)).collect();
        assert_eq!(counts.len(), sent.len(), "{counts:#?}");
        assert!(counts.iter().all(|line| line.ends_with(" 3.0")), "{counts:#?}");
        assert_eq!(rig.shown().len(), sent.len());
    }
}
