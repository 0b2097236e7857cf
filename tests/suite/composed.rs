//! Layers and observers combined with each other and with code of third parties.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use http::{Request, Response, request, response};
use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    baggage::BaggageExt,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanBuilder, Tracer, TracerProvider},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_telemetry::{
    Convention, End, PropagationLayer, SpanLayer, TelemetryLayer, TelemetryObserver,
    observe::{Exchange, ObserveLayer, Observer},
};

use crate::support::{Telemetry, get, hello};

/// A span processor and propagator that attaches a context whenever a layer calls it.
#[derive(Debug)]
struct Attaching;

impl SpanProcessor for Attaching {
    fn on_start(&self, _: &mut Span, _: &Context) {
        let _attached = Context::enter_telemetry_suppressed_scope();
    }

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl TextMapPropagator for Attaching {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {
        let _attached = Context::enter_telemetry_suppressed_scope();
    }

    fn extract_with_context(&self, cx: &Context, _: &dyn Extractor) -> Context {
        let _attached = Context::enter_telemetry_suppressed_scope();
        cx.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

/// The API panics if a context is attached while the current one is borrowed.
#[test]
fn processors_and_propagators_may_attach_a_context() {
    let tracers = SdkTracerProvider::builder().with_span_processor(Attaching).build();
    let call = |layer: TelemetryLayer| {
        let service = layer.with_propagator(Attaching).layer(service_fn(hello));
        service.oneshot(get("http://a/")).now_or_never().unwrap().unwrap();
    };
    call(TelemetryLayer::server().with_tracer_provider(&tracers));
    call(TelemetryLayer::client().with_tracer_provider(&tracers));
    for layer in [SpanLayer::server(), SpanLayer::client()] {
        let service = layer.with_tracer_provider(&tracers).layer(service_fn(hello));
        service.oneshot(get("http://a/")).now_or_never().unwrap().unwrap();
    }
    for layer in [PropagationLayer::server(), PropagationLayer::client()] {
        let service = layer.with_propagator(Attaching).layer(service_fn(hello));
        service.oneshot(get("http://a/")).now_or_never().unwrap().unwrap();
    }
}

/// A client without a provider calls a server in the same process.
#[test]
fn a_server_behind_a_client_without_providers_is_recorded() {
    let telemetry = Telemetry::new();
    let backend = telemetry.stack(Convention::server()).layer(service_fn(hello));
    let client = TelemetryLayer::client().layer(backend);
    let server = telemetry.stack(Convention::server()).layer(client);
    server.oneshot(get("http://a/")).now_or_never().unwrap().unwrap();
    assert_eq!(telemetry.spans().len(), 2);
}

/// An inner layer must not send what an outer layer withholds, with or without a provider.
#[test]
fn destinations_bind_inner_layers() {
    let telemetry = Telemetry::new();
    for layer in [
        TelemetryLayer::client(),
        TelemetryLayer::client().with_tracer_provider(&telemetry.tracers),
    ] {
        let sent = service_fn(|request: Request<String>| async move {
            let names = request.headers().keys().map(|name| name.as_str().to_owned());
            Ok::<_, Infallible>(Response::new(names.collect::<Vec<_>>().join(",")))
        });
        let inner = PropagationLayer::client().layer(sent);
        let mut service = layer.with_destinations(|_| false).layer(inner);
        let _attached = Context::new().with_baggage([KeyValue::new("secret", "1")]).attach();
        let response = service.call(get("http://third.party/")).now_or_never().unwrap().unwrap();
        let names = http_body_util::BodyExt::collect(response.into_body()).now_or_never();
        assert_eq!(names.unwrap().unwrap().to_bytes(), "");
    }
}

/// The span starts when the request enters, not after the hooks have run.
#[test]
fn a_span_starts_before_the_hooks_run() {
    // The clock is read either at the start of the exchange or when the span is created.
    let clocks: [fn(TelemetryLayer) -> TelemetryLayer; 2] =
        [|layer| layer, |layer| layer.with_parent_decision()];
    for clock in clocks {
        let telemetry = Telemetry::new();
        let slow = Convention::server().with_route(|_| {
            thread::sleep(Duration::from_millis(300));
            None
        });
        let service = clock(telemetry.stack(slow)).layer(service_fn(hello));
        let before = SystemTime::now();
        drop(service.oneshot(get("http://a/")).now_or_never().unwrap().unwrap());
        let after = SystemTime::now();
        let span = telemetry.spans().remove(0);
        let late = span.start_time.duration_since(before).unwrap_or_default();
        assert!(late < Duration::from_millis(200), "{late:?}");
        assert!(
            span.end_time <= after + Duration::from_millis(100),
            "the span ends after its exchange"
        );
    }
}

/// An access log that wraps the telemetry's observer.
#[derive(Clone, Default)]
struct AccessLog {
    telemetry: TelemetryObserver,
    line: Arc<Mutex<String>>,
}

impl Observer for AccessLog {
    type State = Option<<TelemetryObserver as Observer>::State>;

    fn on_request(
        &self,
        exchange: &mut Exchange,
        head: &mut request::Parts,
    ) -> Option<Self::State> {
        exchange.read_facts(head);
        Some(self.telemetry.on_request(exchange, head))
    }

    fn on_response(
        &self,
        exchange: &Exchange,
        state: &mut Self::State,
        head: &mut response::Parts,
    ) {
        if let Some(state) = state {
            self.telemetry.on_response(exchange, state, head);
        }
    }

    fn on_end(&self, exchange: &Exchange, end: &End<'_>, state: Self::State) {
        let facts = exchange.facts().unwrap();
        let took = !exchange.elapsed().is_zero();
        *self.line.lock().unwrap() =
            format!("{:?} {:?} {took}", facts.status(), facts.error_type());
        if let Some(state) = state {
            self.telemetry.on_end(exchange, end, state);
        }
    }

    fn reads_wall_clock(&self) -> bool {
        self.telemetry.reads_wall_clock()
    }
}

#[test]
fn an_observer_works_without_providers() {
    let log = AccessLog::default();
    let line = log.line.clone();
    let fails = service_fn(|_: Request<String>| async {
        let response = Response::builder().status(500).body(String::new());
        Ok::<_, Infallible>(response.unwrap())
    });
    let service = ObserveLayer::from_observer(Convention::server(), log).layer(fails);
    drop(service.oneshot(get("http://a/")).now_or_never().unwrap().unwrap());
    assert_eq!(*line.lock().unwrap(), "Some(500) Some(\"500\") true");
}

/// A tracer that creates no span for some requests.
#[derive(Debug, Clone)]
struct Choosy {
    makes: SdkTracer,
    makes_none: SdkTracer,
}

struct ChoosyProvider(SdkTracerProvider, SdkTracerProvider);

impl TracerProvider for ChoosyProvider {
    type Tracer = Choosy;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> Choosy {
        let makes_none = self.1.tracer_with_scope(scope.clone());
        Choosy { makes: self.0.tracer_with_scope(scope), makes_none }
    }
}

impl Tracer for Choosy {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, cx: &Context) -> Span {
        let attributes = builder.attributes.iter().flatten();
        let mut paths = attributes.filter(|attribute| attribute.key.as_str() == "url.path");
        match paths.any(|path| path.value.as_str() == "/health") {
            true => self.makes_none.build_with_context(builder, cx),
            false => self.makes.build_with_context(builder, cx),
        }
    }
}

#[test]
fn a_tracer_that_makes_no_span_now_and_then_is_asked_again() {
    let spans = InMemorySpanExporter::default();
    let makes = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let makes_none = SdkTracerProvider::builder().build();
    makes_none.shutdown().unwrap();
    let provider = ChoosyProvider(makes, makes_none);
    let layer = TelemetryLayer::server().with_tracer_provider(&provider);
    let mut service = layer.layer(service_fn(hello));
    for n in 0..100 {
        let path = if n % 10 == 9 { "http://a/users" } else { "http://a/health" };
        service.call(get(path)).now_or_never().unwrap().unwrap();
    }
    assert_eq!(spans.get_finished_spans().unwrap().len(), 10);
}
