//! The workload that benches and the allocation test share: `GET /users/{id}` on an axum router in
//! memory, with realistic headers, and the SDK without export.

mod request;

use std::convert::Infallible;

use axum::{Router, body::Body, routing::get};
use futures_util::FutureExt;
use http::{Request, Response, StatusCode, request::Parts};
use http_body_util::BodyExt;
use opentelemetry_sdk::{
    metrics::{InMemoryMetricExporter, SdkMeterProvider},
    trace::{Sampler, SdkTracerProvider},
};
use tower::{Layer, Service, util::BoxCloneSyncService};
use tower_telemetry::{
    Convention, End, Exemplars, MetricsLayer, PropagationLayer, RequestBodyLayer, Server,
    SpanLayer, TelemetryLayer,
    observe::{Exchange, ObserveLayer, Observer},
    propagation::W3c,
};

pub(crate) use self::request::outbound;

/// The caller's request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller {
    /// A sampled parent with a `tracestate` of two members.
    SampledWithState,
    /// A sampled parent alone.
    Sampled,
    /// A parent that is not sampled, with a `tracestate` of two members.
    NotSampled,
    /// A sampled parent, and a handler that fails.
    Failing,
}

impl Caller {
    pub(crate) const ALL: [Self; 4] =
        [Self::SampledWithState, Self::Sampled, Self::NotSampled, Self::Failing];
}

pub(crate) type Boxed = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The providers that the rows record with.
pub(crate) struct Sdk {
    pub(crate) tracers: SdkTracerProvider,
    pub(crate) meters: SdkMeterProvider,
}

impl Sdk {
    pub(crate) fn new() -> Self {
        Self {
            tracers: SdkTracerProvider::builder()
                .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
                .build(),
            meters: SdkMeterProvider::builder()
                .with_periodic_exporter(InMemoryMetricExporter::default())
                .build(),
        }
    }

    pub(crate) fn stack(&self) -> TelemetryLayer {
        self.stack_of(Convention::server())
    }

    fn stack_of(&self, convention: Convention<Server>) -> TelemetryLayer {
        TelemetryLayer::new(convention)
            .with_tracer_provider(&self.tracers)
            .with_meter_provider(&self.meters)
            .with_propagator(W3c::new())
    }

    pub(crate) fn span(&self) -> SpanLayer {
        SpanLayer::server().with_tracer_provider(&self.tracers)
    }

    pub(crate) fn metrics(&self) -> MetricsLayer {
        MetricsLayer::server().with_meter_provider(&self.meters)
    }

    /// Returns the services to compare, by name. The first one has no layer.
    pub(crate) fn rows(&self) -> Vec<(&'static str, Boxed)> {
        let metrics = self.metrics().with_exemplars(&Exemplars::new());
        let counted = self.stack().with_counted_body_sizes();
        let counted = router().layer(RequestBodyLayer::new()).layer(counted);
        let first_byte = self.stack().with_time_to_first_byte();
        let labels = self.stack_of(Convention::server().with_handler_labels());
        let nest = router().layer(self.metrics()).layer(self.span()).layer(propagation());
        vec![
            ("bare", boxed(router())),
            (
                "engine",
                boxed(router().layer(ObserveLayer::from_observer(Convention::server(), Nothing))),
            ),
            ("propagation", boxed(router().layer(propagation()))),
            ("span", boxed(router().layer(self.span()))),
            ("metrics", boxed(router().layer(self.metrics()))),
            ("nest", boxed(nest)),
            ("stack", boxed(router().layer(self.stack()))),
            ("stack, body sizes", boxed(router().layer(self.stack().with_body_sizes()))),
            ("stack, exemplars", boxed(router().layer(exemplars(self.stack())))),
            (
                "stack, body sizes, exemplars",
                boxed(router().layer(exemplars(self.stack().with_body_sizes()))),
            ),
            ("metrics, exemplars", boxed(router().layer(metrics))),
            ("stack, counted body sizes", boxed(counted)),
            ("stack, first byte", boxed(router().layer(first_byte))),
            ("stack, parent decides", boxed(router().layer(self.stack().with_parent_decision()))),
            ("stack, handler labels", boxed(router().layer(labels))),
            // This process installs no global provider.
            ("stack, no provider", boxed(router().layer(TelemetryLayer::server()))),
        ]
    }
}

fn exemplars(layer: TelemetryLayer) -> TelemetryLayer {
    layer.with_exemplars(&Exemplars::new())
}

fn propagation() -> PropagationLayer {
    PropagationLayer::server().with_propagator(W3c::new())
}

/// Gives the router its state, as `axum::serve` does. Otherwise it would build its layers for each
/// request.
fn boxed(router: Router) -> Boxed {
    BoxCloneSyncService::new(router.with_state::<()>(()))
}

fn router() -> Router {
    Router::new()
        .route("/users/{id}", get(|| async { "hello" }))
        .route("/fail", get(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "hello") }))
}

/// Returns the services for an outbound call: the bare one, and one with the client's layer.
pub(crate) fn client_rows(sdk: &Sdk) -> Vec<(&'static str, Boxed)> {
    let bare = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::from("hello")))
    });
    let stack = TelemetryLayer::client()
        .with_tracer_provider(&sdk.tracers)
        .with_meter_provider(&sdk.meters)
        .with_propagator(W3c::new())
        .layer(bare);
    let stack = tower::ServiceExt::<Request<Body>>::map_response(stack, |r| r.map(Body::new));
    vec![
        ("bare client", BoxCloneSyncService::new(bare)),
        ("client stack", BoxCloneSyncService::new(stack)),
    ]
}

pub(crate) fn request(caller: Caller) -> Request<Body> {
    match caller {
        Caller::SampledWithState => request::inbound("/users/42", "01", true),
        Caller::Sampled => request::inbound("/users/42", "01", false),
        Caller::NotSampled => request::inbound("/users/42", "00", true),
        Caller::Failing => request::inbound("/fail", "01", false),
    }
}

/// Runs one exchange to the end of the body.
pub(crate) fn exchange(service: &mut Boxed, request: Request<Body>) {
    let response = service.call(request).now_or_never().expect("the service answers at once");
    let Ok(response) = response;
    let body = response.into_body().collect().now_or_never().expect("the service answers at once");
    assert_eq!(body.expect("the body has no error").to_bytes(), "hello");
}

/// An observer that does nothing, to measure the engine alone.
#[derive(Clone)]
pub(crate) struct Nothing;

impl Observer for Nothing {
    type State = ();

    fn on_request(&self, _: &mut Exchange, _: &mut Parts) -> Option<()> {
        Some(())
    }

    fn on_end(&self, _: &Exchange, _: &End<'_>, (): ()) {}
}
