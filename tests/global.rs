//! Layers look up global providers and the global propagator at the first request, so a router may
//! be built before set-up. The test has a process of its own, because it installs globals.

use std::convert::Infallible;

use futures_util::FutureExt;
use http::{Request, Response};
use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};
use opentelemetry_sdk::{
    metrics::{
        InMemoryMetricExporter, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData},
    },
    trace::{InMemorySpanExporter, SdkTracerProvider},
};
use tower::{Layer, Service, service_fn};
use tower_telemetry::{Convention, MetricsObserver, Route, TelemetryLayer, observe::ObserveLayer};

/// A propagator that sends a header of its own.
#[derive(Debug)]
struct Own([String; 1]);

impl TextMapPropagator for Own {
    fn inject_context(&self, _: &Context, injector: &mut dyn Injector) {
        injector.set("x-own", String::from("1"));
    }

    fn extract_with_context(&self, cx: &Context, _: &dyn Extractor) -> Context {
        cx.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

#[test]
fn globals_that_are_installed_before_the_first_request_are_used() {
    let service = service_fn(|request: Request<()>| async move {
        let mut response = Response::new(String::new());
        *response.headers_mut() = request.headers().clone();
        Ok::<_, Infallible>(response)
    });
    let mut early = TelemetryLayer::client().layer(service);

    let (spans, metrics) = (InMemorySpanExporter::default(), InMemoryMetricExporter::default());
    let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics.clone()).build();
    let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();

    // Without globals, the W3C's propagators are used and nothing is recorded.
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut before = TelemetryLayer::server().layer(TelemetryLayer::client().layer(service));
    let request = Request::get("http://a/").header("traceparent", parent).body(()).unwrap();
    let answer = before.call(request).now_or_never().unwrap().unwrap();
    assert_eq!(answer.headers()["traceparent"], parent);

    global::set_tracer_provider(tracers);
    global::set_meter_provider(meters.clone());
    global::set_text_map_propagator(Own([String::from("x-own")]));
    let request = Request::get("http://a/").body(()).unwrap();
    let answer = early.call(request).now_or_never().unwrap().unwrap();
    assert_eq!(answer.headers()["x-own"], "1");
    assert!(!answer.headers().contains_key("traceparent"));
    drop(answer);
    assert_eq!(spans.get_finished_spans().unwrap().len(), 1);
    meters.force_flush().unwrap();
    assert_eq!(metrics.get_finished_metrics().unwrap().len(), 1);

    // An observer that two conventions share records the labels of each.
    let observer = MetricsObserver::default();
    for (has_status_class, route) in [(true, "/shown"), (false, "/hidden"), (true, "/shown")] {
        let convention = Convention::server()
            .with_status_class(has_status_class)
            .with_route(move |_| Some(Route::new(route)));
        let mut service = ObserveLayer::from_observer(convention, observer.clone()).layer(service);
        let request = Request::get("http://a/").body(()).unwrap();
        drop(service.call(request).now_or_never().unwrap().unwrap());
    }
    // Also if the routes are equal.
    for has_status_class in [true, false] {
        let convention = Convention::server().with_status_class(has_status_class);
        let mut service = ObserveLayer::from_observer(convention, observer.clone()).layer(service);
        let request = Request::get("http://a/").body(()).unwrap();
        drop(service.call(request).now_or_never().unwrap().unwrap());
    }
    metrics.reset();
    meters.force_flush().unwrap();
    let mut series = Vec::new();
    for resource in metrics.get_finished_metrics().unwrap() {
        for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
            let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else {
                continue;
            };
            for point in histogram.data_points().filter(|_| metric.name().contains("server")) {
                let label = |name: &str| {
                    point.attributes().find(|a| a.key.as_str() == name).map(|a| a.value.to_string())
                };
                series.push((label("http.route"), label("status_class").is_some(), point.count()));
            }
        }
    }
    series.sort();
    let expected = [
        (None, false, 1),
        (None, true, 1),
        (Some("/hidden".to_owned()), false, 1),
        (Some("/shown".to_owned()), true, 2),
    ];
    assert_eq!(series, expected);
}
