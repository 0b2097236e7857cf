//! The golden telemetry of resources: every name, kind, unit, description, boundary and attribute. It
//! is public API, so a change needs a line under *Telemetry* in the changelog.
//!
//! `UPDATE_GOLDEN=1 cargo test --all-features golden` updates it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    future::ready,
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};
use tokio::net::TcpListener;
use tower::{BoxError, Layer, ServiceExt, load_shed::LoadShedLayer, service_fn};
use tower_telemetry::resources::{
    self, ClientConnections, ConnectionAttemptsLayer, PoolState, PoolTimes, SaturationLayer,
    ServerConnectionsLayer, observe_pool,
};

use crate::support::Metrics;

const GOLDEN: &str = "tests/resources/golden/resources.txt";

#[tokio::test]
async fn resources_equal_the_golden_file() {
    let metrics = Metrics::new();
    resources::process(&metrics.provider);
    let runtime = tokio::runtime::Handle::current();
    resources::runtime(&metrics.provider, "main", &runtime);
    pools(&metrics);
    limits(&metrics);
    drop(ServerConnectionsLayer::new().with_meter_provider(&metrics.provider).with_port(80).open());
    attempts(&metrics);
    clients(&metrics).await;

    let finished = metrics.finished();
    let scopes = finished.iter().flat_map(|resource| resource.scope_metrics());
    let lines: BTreeSet<_> = scopes.flat_map(|scope| scope.metrics()).map(text).collect();
    let text: String = lines.into_iter().collect();
    crate::golden_file::assert_equal(GOLDEN, &text);
}

fn pools(metrics: &Metrics) {
    observe_pool(&metrics.provider, "orders", || {
        PoolState::new(1, 2)
            .with_limit(5)
            .with_idle_min(1)
            .with_idle_max(4)
            .with_pending(3)
            .with_timeouts(2)
    });
    let times = PoolTimes::new(&metrics.provider, "orders");
    times.record_create(Duration::from_millis(1));
    times.record_wait(Duration::from_millis(1));
    times.record_use(Duration::from_millis(1));
}

fn limits(metrics: &Metrics) {
    let layer = SaturationLayer::new("checkout").with_meter_provider(&metrics.provider);
    let full = service_fn(|_: u32| ready(Ok::<_, BoxError>(())));
    let full = tower::limit::ConcurrencyLimit::new(full, 0);
    let shed = layer.layer(LoadShedLayer::new().layer(full.clone()));
    assert!(shed.oneshot(1).now_or_never().unwrap().is_err());
    let mut waits = layer.layer(full);
    assert!(waits.ready().now_or_never().is_none());
}

fn attempts(metrics: &Metrics) {
    let layer = ConnectionAttemptsLayer::new().with_meter_provider(&metrics.provider);
    let fails = service_fn(|_: u32| ready(Err::<(), BoxError>("no".into())));
    assert!(layer.layer(fails).oneshot(1).now_or_never().unwrap().is_err());
}

async fn clients(metrics: &Metrics) {
    let connections = ClientConnections::new().with_meter_provider(&metrics.provider);
    let client = Client::builder(TokioExecutor::new())
        .build::<_, Empty<Bytes>>(connections.connector(HttpConnector::new()));
    let client = connections.layer(client);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().route("/", axum::routing::get(|| ready("hello")));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let request = Request::get(format!("http://{address}/")).body(Empty::new()).unwrap();
    let response = client.clone().oneshot(request).await.unwrap();
    assert!(response.into_body().collect().await.is_ok());
    drop(client);
    while !metrics.values().keys().any(|line| line.contains("client.connection.duration")) {
        tokio::task::yield_now().await;
    }
    server.abort();
}

fn text(metric: &Metric) -> String {
    let (kind, boundaries, attributes) = match metric.data() {
        AggregatedMetrics::F64(data) => of_data(data),
        AggregatedMetrics::I64(data) => of_data(data),
        AggregatedMetrics::U64(data) => of_data(data),
    };
    let (name, unit, description) = (metric.name(), metric.unit(), metric.description());
    let mut text = format!("{name} [{unit}] {kind}: {description}\n");
    if !boundaries.is_empty() {
        writeln!(text, "    boundaries = {boundaries:?}").unwrap();
    }
    for (key, values) in attributes {
        writeln!(text, "    {key} = {}", values.into_iter().collect::<Vec<_>>().join(", "))
            .unwrap();
    }
    text
}

/// The values of each attribute.
type Attributes = BTreeMap<String, BTreeSet<String>>;

fn of_data<N: Copy>(data: &MetricData<N>) -> (&'static str, Vec<f64>, Attributes) {
    let mut attributes = Attributes::new();
    let mut add = |point: &mut dyn Iterator<Item = &KeyValue>| {
        for KeyValue { key, value, .. } in point {
            let value = match value {
                // Given by the system.
                Value::I64(port) if *port > 1024 => "a port".to_owned(),
                value => format!("{value:?}").replace("Owned(", "(").replace("RefCounted(", "("),
            };
            let value = value.replace("Static(", "(");
            attributes.entry(key.to_string()).or_default().insert(value);
        }
    };
    let (kind, boundaries) = match data {
        MetricData::Sum(sum) => {
            sum.data_points().for_each(|point| add(&mut point.attributes()));
            (if sum.is_monotonic() { "counter" } else { "up-down counter" }, Vec::new())
        }
        MetricData::Gauge(gauge) => {
            gauge.data_points().for_each(|point| add(&mut point.attributes()));
            ("gauge", Vec::new())
        }
        MetricData::Histogram(histogram) => {
            histogram.data_points().for_each(|point| add(&mut point.attributes()));
            let first = histogram.data_points().next();
            ("histogram", first.map(|point| point.bounds().collect()).unwrap_or_default())
        }
        MetricData::ExponentialHistogram(_) => panic!("no view asks for it"),
    };
    (kind, boundaries, attributes)
}
