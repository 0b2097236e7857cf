//! Global providers that are installed after the first request, or replaced later. The test has a
//! process of its own, because it installs global providers.

use std::convert::Infallible;

use futures_util::FutureExt;
use http::{Request, Response};
use opentelemetry_sdk::{
    metrics::{
        InMemoryMetricExporter, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData},
    },
    trace::{InMemorySpanExporter, SdkTracerProvider},
};
use tower::{Layer, Service, service_fn};
use tower_telemetry::{TelemetryLayer, TelemetryService, opentelemetry::global};

const REQUESTS: usize = 2000;

/// A layer may miss this many requests before it finds a provider that replaces another one.
const MAX_LOST: usize = 256 + 128;

async fn hello(_: Request<()>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(String::from("hello")))
}

fn send<S>(service: &mut TelemetryService<S>, requests: usize)
where
    S: Service<Request<()>, Response = Response<String>, Error = Infallible>,
{
    for _ in 0..requests {
        let request = Request::get("http://example.com/").body(()).unwrap();
        drop(service.call(request).now_or_never().unwrap().unwrap());
    }
}

fn recorded_durations(meters: &SdkMeterProvider, exporter: &InMemoryMetricExporter) -> u64 {
    exporter.reset();
    meters.force_flush().unwrap();
    let exported = exporter.get_finished_metrics().unwrap();
    let scopes = exported.iter().flat_map(|resource| resource.scope_metrics());
    let counts =
        scopes.flat_map(|scope| scope.metrics()).filter_map(|metric| match metric.data() {
            AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                Some(histogram.data_points().map(|point| point.count()).sum::<u64>())
            }
            _ => None,
        });
    counts.sum()
}

#[test]
fn layers_find_global_providers_that_come_later() {
    let mut server = TelemetryLayer::server().layer(service_fn(hello));
    let mut client = TelemetryLayer::client().layer(service_fn(hello));
    // Without a provider, nothing is recorded.
    send(&mut server, 1);
    send(&mut client, 1);

    let spans = InMemorySpanExporter::default();
    let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let metrics = InMemoryMetricExporter::default();
    let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics.clone()).build();
    global::set_tracer_provider(tracers.clone());
    global::set_meter_provider(meters.clone());
    send(&mut server, REQUESTS);
    send(&mut client, REQUESTS);
    assert_eq!(spans.get_finished_spans().unwrap().len(), 2 * REQUESTS);
    assert_eq!(recorded_durations(&meters, &metrics), 2 * REQUESTS as u64);

    // The provider is shut down, and another one takes its place.
    tracers.shutdown().unwrap();
    let spans = InMemorySpanExporter::default();
    let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    global::set_tracer_provider(tracers);
    for (i, service) in [&mut server, &mut client].into_iter().enumerate() {
        spans.reset();
        send(service, REQUESTS);
        let found = spans.get_finished_spans().unwrap().len();
        assert!(found >= REQUESTS - MAX_LOST, "layer {i} recorded {found} of {REQUESTS} requests");
        // Once the provider is found, every request is recorded.
        spans.reset();
        send(service, REQUESTS);
        assert_eq!(spans.get_finished_spans().unwrap().len(), REQUESTS, "layer {i}");
    }
}
