//! The workload that benches and the allocation test share: `GET /users/{id}` to an axum router in
//! memory, with realistic headers, and the real SDK with exporting switched off.

use std::convert::Infallible;

use axum::{Router, body::Body, routing::get};
use futures_util::FutureExt;
use http::{Request, Response, request, response};
use http_body_util::BodyExt;
use opentelemetry_sdk::{
    metrics::{InMemoryMetricExporter, SdkMeterProvider},
    trace::{Sampler, SdkTracerProvider},
};
use tower::{Layer, Service, util::BoxCloneSyncService};
use tower_telemetry::{
    Convention, MetricsLayer, PropagationLayer, SpanLayer, TelemetryLayer,
    observe::{Exchange, ObserveLayer, Observer},
    propagation::W3c,
};

/// What the caller sends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller {
    /// A sampled parent with a `tracestate` of two members.
    SampledWithState,
    /// A sampled parent alone.
    Sampled,
    /// A parent that is not sampled, with a `tracestate` of two members.
    NotSampled,
}

pub(crate) type Boxed = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The providers of one row.
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
        TelemetryLayer::server()
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

    /// The services to compare, by name; the first is the one without any layer.
    pub(crate) fn rows(&self) -> Vec<(&'static str, Boxed)> {
        let nest = router().layer(self.metrics()).layer(self.span()).layer(propagation());
        vec![
            ("bare", boxed(router())),
            ("engine", boxed(router().layer(ObserveLayer::new(Convention::server(), Nothing)))),
            ("propagation", boxed(router().layer(propagation()))),
            ("span", boxed(router().layer(self.span()))),
            ("metrics", boxed(router().layer(self.metrics()))),
            ("nest", boxed(nest)),
            ("stack", boxed(router().layer(self.stack()))),
            ("stack, body sizes", boxed(router().layer(self.stack().with_body_sizes()))),
            ("stack, parent decides", boxed(router().layer(self.stack().with_parent_decision()))),
            // No provider was ever installed in this process.
            ("stack, no provider", boxed(router().layer(TelemetryLayer::server()))),
        ]
    }
}

fn propagation() -> PropagationLayer {
    PropagationLayer::server().with_propagator(W3c::new())
}

/// As `axum::serve` has it: a router that isn't given its state makes its layers anew for each request.
fn boxed(router: Router) -> Boxed {
    BoxCloneSyncService::new(router.with_state::<()>(()))
}

fn router() -> Router {
    Router::new().route("/users/{id}", get(|| async { "hello" }))
}

/// An outbound call: the bare service, and the client's stack around it.
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
    let flags = if let Caller::NotSampled = caller { "00" } else { "01" };
    let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    let request = Request::get("/users/42?verbose=1")
        .header("host", "api.example.com")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        )
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, deflate, br")
        .header("traceparent", parent);
    let request = match caller {
        Caller::Sampled => request,
        _ => request.header("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    };
    request.body(Body::empty()).expect("the request is valid")
}

pub(crate) fn outbound() -> Request<Body> {
    Request::get("https://api.example.com/users/42?verbose=1")
        .header("accept", "application/json")
        .body(Body::empty())
        .expect("the request is valid")
}

/// One exchange, to the end of the body.
pub(crate) fn exchange(service: &mut Boxed, request: Request<Body>) {
    let response = service.call(request).now_or_never().expect("nothing waits");
    let Ok(response) = response;
    let body = response.into_body().collect().now_or_never().expect("nothing waits");
    assert_eq!(body.expect("the body is whole").to_bytes(), "hello");
}

/// An observer that does nothing: what remains is the engine.
#[derive(Clone)]
pub(crate) struct Nothing;

impl Observer for Nothing {
    type State = ();

    fn on_request(&self, _: &mut Exchange, _: &mut request::Parts) -> Option<()> {
        Some(())
    }

    fn on_response(&self, _: &Exchange, (): &mut (), _: &mut response::Parts) {}

    fn on_end(&self, _: &Exchange, (): ()) {}
}
