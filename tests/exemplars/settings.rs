//! `Telemetry` finds the exemplars of its own layers.

use std::sync::{Arc, Mutex};

use axum::Router;
use tower_telemetry::{
    Exemplars, Telemetry, TelemetryLayer, database::Database, propagation::W3c, pull::PullReader,
};

use crate::support::{OPEN_METRICS, get_path, router, scrape, send, shown};

fn telemetry(filter: Option<&'static str>) -> Telemetry {
    let builder = Telemetry::builder().with_variables(move |name| match name {
        "OTEL_METRICS_EXEMPLAR_FILTER" => filter.map(str::to_owned),
        "OTEL_METRICS_EXPORTER" => Some("prometheus".to_owned()),
        name if name.ends_with("_EXPORTER") => Some("none".to_owned()),
        _ => None,
    });
    builder.without_globals().build().unwrap()
}

fn app(telemetry: &Telemetry) -> Router {
    router().layer(
        TelemetryLayer::server()
            .with_propagator(W3c::new())
            .with_tracer_provider(telemetry.tracer_provider())
            .with_meter_provider(telemetry.meter_provider()),
    )
}

fn traces(telemetry: &Telemetry) -> Vec<String> {
    let answer = scrape(&telemetry.prometheus(), OPEN_METRICS);
    shown(&answer).iter().map(|exemplar| exemplar.ids().0).collect()
}

/// A request in this trace.
fn request(trace: u128) -> http::Request<axum::body::Body> {
    let mut request = get_path("/a");
    let traceparent = format!("00-{trace:032x}-b7ad6b7169203331-01");
    request.headers_mut().insert("traceparent", traceparent.parse().unwrap());
    request
}

#[test]
fn each_telemetry_shows_the_exemplars_of_its_own_layers() {
    let (one, two) = (telemetry(None), telemetry(None));
    // The same series in both.
    send(&app(&one), request(1));
    assert_eq!(traces(&two), [""; 0]);
    let app_of_two = app(&two);
    let app_of_one = app(&one);
    send(&app_of_one, request(1));
    send(&app_of_two, request(2));
    assert_eq!(traces(&one), [format!("{:032x}", 1)]);
    assert_eq!(traces(&two), [format!("{:032x}", 2)]);
}

#[test]
fn the_filter_decides() {
    for (filter, is_shown) in [
        (None, true),
        (Some("trace_based"), true),
        (Some("TRACE_BASED"), true),
        (Some("always_on"), true),
        (Some("always_off"), false),
        (Some("sometimes"), true),
    ] {
        let telemetry = telemetry(filter);
        let app = app(&telemetry);
        send(&app, request(3));
        assert_eq!(traces(&telemetry).len(), usize::from(is_shown), "{filter:?}");
    }
}

#[test]
fn databases_need_no_handle() {
    let telemetry = telemetry(None);
    let database = Database::new("sqlite")
        .with_tracer_provider(telemetry.tracer_provider())
        .with_meter_provider(telemetry.meter_provider());
    database.operation("GET").run(|| Ok::<_, std::fmt::Error>(())).unwrap();
    assert_eq!(traces(&telemetry).len(), 1);
}

/// A layer with a handle of its own fills that one.
#[test]
fn a_handle_takes_precedence() {
    let exemplars = Exemplars::new();
    let telemetry = Telemetry::builder()
        .with_variables(|name| name.ends_with("_EXPORTER").then(|| "none".to_owned()))
        .with_pull_reader(PullReader::builder().with_exemplars(&exemplars))
        .without_globals()
        .build()
        .unwrap();
    let layer = TelemetryLayer::server()
        .with_propagator(W3c::new())
        .with_tracer_provider(telemetry.tracer_provider())
        .with_meter_provider(telemetry.meter_provider());
    let found = router().layer(layer.clone());
    send(&found, request(4));
    assert_eq!(traces(&telemetry), [""; 0], "the endpoint shows the handle that it was given");
    let given = router().layer(layer.with_exemplars(&exemplars));
    send(&given, request(5));
    assert_eq!(traces(&telemetry), [format!("{:032x}", 5)]);
}

/// Layers find the exemplars of a global provider that is installed later.
#[test]
fn a_global_telemetry_is_found_late() {
    // No other test here uses the global providers, and this one takes turns with nobody.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap();
    let app = Arc::new(router().layer(TelemetryLayer::server()));
    send(&app, request(6));
    let telemetry = Telemetry::builder()
        .with_variables(|name| name.ends_with("_EXPORTER").then(|| "none".to_owned()))
        .with_prometheus()
        .build()
        .unwrap();
    send(&app, request(7));
    assert_eq!(traces(&telemetry), [format!("{:032x}", 7)]);
}
