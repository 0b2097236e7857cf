//! The services to compare.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{Router, body::Body, routing::get};
use axum_otel_metrics::HttpMetricsLayerBuilder;
use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_instrumentation_tower::http::server as oit;
use pin_project_lite::pin_project;
use tower::{Layer, Service, ServiceExt, layer::layer_fn, service_fn, util::BoxCloneSyncService};
use tower_telemetry::{
    Exemplars, MetricsLayer, PropagationLayer, SpanLayer, TelemetryLayer, propagation::W3c,
};
use tracing::Level;

use crate::{Boxed, Sdk, Workload};

/// A service and its expected telemetry.
pub struct Row {
    pub name: &'static str,
    pub service: Boxed,
    pub expected: Expected,
}

/// The expected telemetry of a row. Rows with other telemetry are not measured.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    pub has_span: bool,
    /// The number of instruments, including the duration.
    pub instruments: usize,
}

/// Returns the crate that a workload is compared with.
pub fn reference(workload: Workload) -> &'static str {
    match workload {
        Workload::W1 | Workload::W1n | Workload::W2 | Workload::W4 => OIT,
        Workload::Metrics => AOM,
        Workload::Client => TO,
    }
}

const OIT: &str = "opentelemetry-instrumentation-tower 0.19";
const TO: &str = "tower-otel 0.12";
const ATO: &str = "axum-tracing-opentelemetry 0.42 + axum-otel-metrics 0.14";
const AOM: &str = "axum-otel-metrics 0.14";

/// Returns the rows of a workload. The first one has no layer.
pub fn rows(workload: Workload, sdk: &Sdk) -> Vec<Row> {
    let routed = |row: &'static str, has_span, instruments| Row {
        name: row,
        service: boxed(layered(workload, row, sdk, 1)),
        expected: Expected { has_span, instruments },
    };
    let spans = workload != Workload::W2;
    match workload {
        Workload::Client => client_rows(sdk),
        Workload::W1 | Workload::W1n | Workload::W2 => vec![
            routed(BARE, false, 0),
            routed(NOTHING, false, 0),
            routed(STACK, spans, 2),
            routed(STACK_SIZES, spans, 4),
            routed(STACK_EXEMPLARS, spans, 2),
            routed(STACK_SIZES_EXEMPLARS, spans, 4),
            routed(STACK_BOUND, spans, 2),
            routed(STACK_PARENT, spans, 2),
            routed(STACK_GLOBAL, spans, 2),
            routed(NEST, spans, 2),
            routed(OIT, spans, 3),
            routed(TO, spans, 4),
            routed(ATO, spans, 4),
        ],
        Workload::Metrics => vec![
            routed(BARE, false, 0),
            routed(NOTHING, false, 0),
            routed(METRICS, false, 2),
            routed(METRICS_EXEMPLARS, false, 2),
            routed(METRICS_BOUND, false, 2),
            routed(OIT, false, 3),
            routed(TO, false, 4),
            routed(AOM, false, 4),
        ],
        Workload::W4 => vec![
            routed(BARE, false, 0),
            routed(NOTHING, false, 0),
            routed(STACK, false, 0),
            routed(OIT, false, 0),
        ],
    }
}

/// Returns some rows of W1 with `routes` routes.
pub fn routed(sdk: &Sdk, routes: usize) -> Vec<(&'static str, Boxed)> {
    let rows = [BARE, NOTHING, STACK, OIT, TO, ATO];
    rows.map(|row| (row, boxed(layered(Workload::W1, row, sdk, routes)))).into()
}

const BARE: &str = "bare";
const NOTHING: &str = "a layer that wraps the body, no more";
const STACK: &str = "**tower-telemetry**";
const STACK_SIZES: &str = "**tower-telemetry**, four instruments";
const STACK_EXEMPLARS: &str = "**tower-telemetry**, exemplars";
const STACK_SIZES_EXEMPLARS: &str = "**tower-telemetry**, four instruments, exemplars";
const STACK_BOUND: &str = "**tower-telemetry**, bound instruments";
const STACK_PARENT: &str = "**tower-telemetry**, the parent decides";
const STACK_GLOBAL: &str = "**tower-telemetry**, global providers";
const NEST: &str = "**tower-telemetry**, three layers nested";
const METRICS: &str = "**tower-telemetry**, `MetricsLayer`";
const METRICS_EXEMPLARS: &str = "**tower-telemetry**, `MetricsLayer`, exemplars";
const METRICS_BOUND: &str = "**tower-telemetry**, `MetricsLayer`, bound instruments";

fn layered(workload: Workload, row: &str, sdk: &Sdk, routes: usize) -> Router {
    let router = router(routes);
    let meter = sdk.meters.meter("peers");
    // W4 measures a program that never sets up a provider.
    let stack = || match workload {
        Workload::W4 => TelemetryLayer::server(),
        _ => TelemetryLayer::server()
            .with_tracer_provider(&sdk.tracers)
            .with_meter_provider(&sdk.meters)
            .with_propagator(W3c::new()),
    };
    let metrics = || MetricsLayer::server().with_meter_provider(&sdk.meters);
    match row {
        BARE => router,
        NOTHING => router.layer(layer_fn(Nothing)),
        STACK => router.layer(stack()),
        STACK_SIZES => router.layer(stack().with_body_sizes()),
        STACK_EXEMPLARS => router.layer(stack().with_exemplars(&Exemplars::new())),
        STACK_SIZES_EXEMPLARS => {
            router.layer(stack().with_body_sizes().with_exemplars(&Exemplars::new()))
        }
        STACK_BOUND => router.layer(stack().with_bound_instruments()),
        STACK_PARENT => router.layer(stack().with_parent_decision()),
        // Set-up installs a propagator that layers recognize as `W3c`.
        STACK_GLOBAL => router.layer(TelemetryLayer::server().with_propagator(W3c::new())),
        NEST => router
            .layer(metrics())
            .layer(SpanLayer::server().with_tracer_provider(&sdk.tracers))
            .layer(PropagationLayer::server().with_propagator(W3c::new())),
        METRICS => router.layer(metrics()),
        METRICS_EXEMPLARS => router.layer(metrics().with_exemplars(&Exemplars::new())),
        METRICS_BOUND => router.layer(metrics().with_bound_instruments()),
        OIT => {
            let builder = oit::LayerBuilder::builder();
            let builder = builder.with_tracing(workload != Workload::Metrics);
            router.layer(builder.build().expect("the layer is valid"))
        }
        TO if workload == Workload::Metrics => {
            router.layer(tower_otel::metrics::HttpLayer::server(&meter))
        }
        TO => router
            .layer(tower_otel::metrics::HttpLayer::server(&meter))
            .layer(tower_otel::trace::HttpLayer::server(Level::INFO)),
        AOM => router.layer(axum_otel_metrics(sdk)),
        ATO => router.layer(axum_otel_metrics(sdk)).layer(OtelAxumLayer::default()),
        row => unreachable!("unknown row {row}"),
    }
}

fn axum_otel_metrics(sdk: &Sdk) -> axum_otel_metrics::HttpMetricsLayer {
    HttpMetricsLayerBuilder::new().with_provider(sdk.older_meters.clone()).build()
}

fn router(routes: usize) -> Router {
    let handler = || async { "hello" };
    let router = Router::new().route("/users/{id}", get(handler));
    (1..routes).fold(router, |router, i| router.route(&format!("/r{i}/users/{{id}}"), get(handler)))
}

/// Gives the router its state, as `axum::serve` does. Otherwise it would build its layers for each
/// request.
fn boxed(router: Router) -> Boxed {
    BoxCloneSyncService::new(router.with_state::<()>(()))
}

/// Returns the rows of outbound calls, around a service in memory.
fn client_rows(sdk: &Sdk) -> Vec<Row> {
    let bare = service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::from("hello")))
    });
    let meter = sdk.meters.meter("peers");
    let stack = TelemetryLayer::client()
        .with_tracer_provider(&sdk.tracers)
        .with_meter_provider(&sdk.meters)
        .with_propagator(W3c::new())
        .layer(bare);
    let tower_otel = tower_otel::trace::HttpLayer::client(Level::INFO)
        .layer(tower_otel::metrics::HttpLayer::client(&meter).layer(bare));
    let row = |name, service, has_span, instruments| Row {
        name,
        service,
        expected: Expected { has_span, instruments },
    };
    vec![
        row(BARE, BoxCloneSyncService::new(bare), false, 0),
        row(NOTHING, erased(Nothing(bare)), false, 0),
        row(STACK, erased(stack), true, 2),
        row(TO, erased(tower_otel), true, 4),
    ]
}

fn erased<S, B>(service: S) -> Boxed
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = axum::body::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    BoxCloneSyncService::new(service.map_response(|response| response.map(Body::new)))
}

/// A layer that only wraps the body: the minimal cost of every layer that follows the body.
#[derive(Clone)]
struct Nothing<S>(S);

impl<S, B> Service<Request<Body>> for Nothing<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
{
    type Response = Response<NothingBody<B>>;
    type Error = S::Error;
    type Future = NothingFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        NothingFuture { inner: self.0.call(request) }
    }
}

pin_project! {
    struct NothingFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, B, E> Future for NothingFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<NothingBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().inner.poll(cx));
        Poll::Ready(response.map(|response| response.map(|inner| NothingBody { inner })))
    }
}

pin_project! {
    struct NothingBody<B> {
        #[pin]
        inner: B,
    }
}

impl<B: http_body::Body> http_body::Body for NothingBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
