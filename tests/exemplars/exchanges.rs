//! Exchanges that become exemplars, and the span that they point to.

use std::convert::Infallible;

use axum::{Router, body::Body};
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use opentelemetry::{
    Context, KeyValue,
    trace::{
        SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
        TracerProvider,
    },
};
use opentelemetry_sdk::trace::Sampler;
use tower::{Layer, Service, service_fn};
use tower_telemetry::{
    Convention, MetricsLayer, PropagationLayer, SpanLayer, TelemetryLayer, database::Database,
    propagation::W3c,
};

use crate::support::{OPEN_METRICS, Rig, get_path, ids, router, scrape, send};

const DURATION: &str = "http_server_request_duration_seconds";
const REQUEST_SIZE: &str = "http_server_request_body_size_bytes";
const RESPONSE_SIZE: &str = "http_server_response_body_size_bytes";

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

type Configure = fn(&Rig, Router) -> Router;

/// Name, layers, path, `traceparent`, and the metrics that have an exemplar.
type Row = (&'static str, Configure, &'static str, Option<&'static str>, &'static [&'static str]);

/// Sends one request, and checks which metrics have an exemplar: all of the server's span.
#[test]
fn sampled_exchanges_become_exemplars() {
    let stack: Configure = |rig, router| router.layer(rig.layer(Convention::server()));
    let with_sizes: Configure =
        |rig, router| router.layer(rig.layer(Convention::server()).with_body_sizes());
    let nested: Configure = |rig, router| {
        let metrics =
            MetricsLayer::server().with_meter_provider(&rig.meters).with_exemplars(&rig.exemplars);
        router
            .layer(metrics)
            .layer(SpanLayer::server().with_tracer_provider(&rig.tracers))
            .layer(PropagationLayer::server().with_propagator(W3c::new()))
    };
    let labelled: Configure = |rig, router| {
        let labels = |_: &http::request::Parts| vec![KeyValue::new("tier", "gold")];
        router.layer(rig.layer(Convention::server().with_request_labels(labels)))
    };
    let fewer_labels: Configure = |rig, router| {
        router.layer(rig.layer(Convention::server()).without_attributes(["http.request.method"]))
    };
    let without_handle: Configure = |rig, router| {
        let layer = TelemetryLayer::server()
            .with_tracer_provider(&rig.tracers)
            .with_meter_provider(&rig.meters);
        router.layer(layer)
    };
    let filtered: Configure = |rig, router| {
        let layer = rig.layer(Convention::server());
        router.layer(layer.with_filter(|_: &http::request::Parts| false))
    };
    let rows: Vec<Row> = vec![
        ("a root", stack, "/a", None, &[DURATION]),
        ("a sampled parent", stack, "/a", Some(SAMPLED), &[DURATION]),
        ("a parent that is not sampled", stack, "/a", Some(UNSAMPLED), &[]),
        ("body sizes", with_sizes, "/a", None, &[REQUEST_SIZE, DURATION, RESPONSE_SIZE]),
        ("nested layers", nested, "/a", None, &[DURATION]),
        ("nested layers, sampled parent", nested, "/a", Some(SAMPLED), &[DURATION]),
        ("nested layers, parent not sampled", nested, "/a", Some(UNSAMPLED), &[]),
        ("labels of its own", labelled, "/a", None, &[DURATION]),
        ("without some attributes", fewer_labels, "/a", None, &[DURATION]),
        ("a long route", stack, "/long", None, &[DURATION]),
        ("cancelled", stack, "/never", None, &[DURATION]),
        ("cancelled, body sizes", with_sizes, "/never", None, &[REQUEST_SIZE, DURATION]),
        ("a panic", stack, "/panic", None, &[DURATION]),
        ("no handle", without_handle, "/a", None, &[]),
        ("filtered", filtered, "/a", None, &[]),
        #[cfg(feature = "bound-instruments")]
        (
            "bound instruments",
            |rig, router| router.layer(rig.layer(Convention::server()).with_bound_instruments()),
            "/a",
            None,
            &[DURATION],
        ),
    ];
    for (name, configure, path, traceparent, expected) in rows {
        let rig = Rig::new();
        let long = format!("/{}", "long/".repeat(60));
        let path = if path == "/long" { long.as_str() } else { path };
        let mut routes = router();
        if path == long {
            routes = routes.route(path, axum::routing::get(|| async { "hello" }));
        }
        let router = configure(&rig, routes);
        let mut request = get_path(path);
        if let Some(traceparent) = traceparent {
            request.headers_mut().insert("traceparent", traceparent.parse().unwrap());
        }
        send(&router, request);
        let metrics = rig.metrics_with_exemplars_of_spans();
        let (mut metrics, mut expected) = (metrics, expected.to_vec());
        metrics.sort_unstable();
        expected.sort_unstable();
        assert_eq!(metrics, expected, "{name}");
        let text = scrape(&rig.endpoint, "text/plain");
        assert!(!text.contains(" # "), "{name}: the text format has no exemplars: {text}");
    }
}

#[test]
fn spans_that_are_not_sampled_are_no_exemplars() {
    let rig = Rig::with(Sampler::AlwaysOff, |provider| provider);
    let router = router().layer(rig.layer(Convention::server()).with_body_sizes());
    send(&router, get_path("/a"));
    assert!(scrape(&rig.endpoint, OPEN_METRICS).contains("_bucket"));
    assert_eq!(rig.shown(), []);
}

/// Without a span of this crate, the exemplar is of the span that was current when the request began.
#[test]
fn metrics_alone_point_to_the_span_around() {
    let context = |flags, is_remote| {
        let (trace, span) = (TraceId::from(7), SpanId::from(8));
        let span = SpanContext::new(trace, span, flags, is_remote, TraceState::NONE);
        Context::new().with_remote_span_context(span)
    };
    let not_sampled = context(TraceFlags::default(), false);
    for (name, context, is_shown) in [
        ("sampled", context(TraceFlags::SAMPLED, false), true),
        ("remote", context(TraceFlags::SAMPLED, true), true),
        ("not sampled", not_sampled.clone(), false),
        ("none", Context::new(), false),
    ] {
        let rig = Rig::new();
        let layer =
            MetricsLayer::server().with_meter_provider(&rig.meters).with_exemplars(&rig.exemplars);
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let during = seen.clone();
        let mut service = layer.layer(service_fn(move |_: Request<Body>| {
            let during = during.clone();
            async move {
                during.lock().unwrap().push(Context::current().span().span_context().clone());
                Ok::<_, Infallible>(Response::new(Body::from("hello")))
            }
        }));
        let future = {
            let _attached = context.attach();
            service.call(get_path("/a"))
        };
        // Another context is current while the exchange goes on and ends, and stays current.
        let _attached = not_sampled.clone().attach();
        let response = future.now_or_never().unwrap().unwrap();
        response.into_body().collect().now_or_never().unwrap().unwrap();
        let expected =
            is_shown.then(|| (TraceId::from(7).to_string(), SpanId::from(8).to_string()));
        let shown: Vec<_> = rig.shown().iter().map(|shown| shown.ids()).collect();
        assert_eq!(shown, Vec::from_iter(expected), "{name}");
        let seen = seen.lock().unwrap();
        assert!(!seen[0].is_sampled(), "{name}: the layer must not change the current context");
    }
}

#[test]
fn clients_have_exemplars() {
    let rig = Rig::new();
    let layer = TelemetryLayer::client()
        .with_propagator(W3c::new())
        .with_tracer_provider(&rig.tracers)
        .with_meter_provider(&rig.meters)
        .with_exemplars(&rig.exemplars)
        .with_body_sizes();
    let mut client = layer.layer(service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::from("hello")))
    }));
    let request = Request::get("http://example.com/a").body(Body::empty()).unwrap();
    let response = client.call(request).now_or_never().unwrap().unwrap();
    response.into_body().collect().now_or_never().unwrap().unwrap();
    let metrics = rig.metrics_with_exemplars_of_spans();
    for metric in ["request_duration_seconds", "response_body_size_bytes"] {
        assert!(metrics.contains(&format!("http_client_{metric}")), "{metrics:?}");
    }
}

#[test]
fn database_operations_have_exemplars() {
    let rig = Rig::new();
    let database = Database::new("sqlite").with_tracer_provider(&rig.tracers);
    for (name, database, expected) in [
        ("no handle", database.clone().with_meter_provider(&rig.meters), 0),
        (
            "a handle, then a provider",
            database.clone().with_exemplars(&rig.exemplars).with_meter_provider(&rig.meters),
            1,
        ),
        (
            "a provider, then a handle",
            database.with_meter_provider(&rig.meters).with_exemplars(&rig.exemplars),
            1,
        ),
    ] {
        let operation = database.operation(name);
        operation.run(|| Ok::<_, std::fmt::Error>(())).unwrap();
        assert_eq!(rig.metrics_with_exemplars_of_spans().len(), expected, "{name}");
    }
    // Dropped while it runs: without a span of its own, of the span around.
    let rig = Rig::new();
    let database = Database::new("sqlite")
        .with_tracer_provider(&opentelemetry::trace::noop::NoopTracerProvider::new())
        .with_meter_provider(&rig.meters)
        .with_exemplars(&rig.exemplars);
    let span = rig.tracers.tracer("test").start("around");
    let context = Context::current_with_span(span);
    let _attached = context.clone().attach();
    drop(database.operation("GET").start());
    let shown = rig.shown();
    assert_eq!(shown[0].ids(), ids(context.span().span_context().clone()));
    assert_eq!(shown[0].series["error_type"], "cancelled");
}

/// A layer has at most 1000 exemplars of series that are not cached, and they go with the layer.
#[test]
fn the_exemplars_of_a_layer_are_bounded() {
    let rig = Rig::new();
    // The SDK's limit is 2000 series: those of the last layer are all in the overflow.
    for (round, expected) in [1000, 900, 0].into_iter().enumerate() {
        assert_eq!(rig.shown(), []);
        let path =
            |head: &http::request::Parts| vec![KeyValue::new("path", head.uri.path().to_owned())];
        let layer = rig.layer(Convention::server().with_request_labels(path));
        let router = router().layer(layer);
        for path in 0..1100 {
            send(&router, get_path(&format!("/{round}/{path}")));
        }
        assert_eq!(rig.shown().len(), expected, "layer {round}");
    }
}
