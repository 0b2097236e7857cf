//! Samplers: rates, rules, parents, and what real layers hand to a sampler.

use std::convert::Infallible;

use axum::{Router, routing};
use http::{Request, Response};
use opentelemetry::{
    Context, KeyValue,
    trace::{
        SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
        TracerProvider,
    },
};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, Sampler, SamplingDecision, SdkTracerProvider, ShouldSample,
    SimpleSpanProcessor,
};
use tower::{Layer, ServiceExt};
use tower_telemetry::{
    Convention, Protocol, SpanLayer, Telemetry,
    sampling::{RateLimitedSampler, RuleSampler},
    setup::{Exporter, Signal},
};

use crate::builder;

/// Returns telemetry with a sampler, and the spans that it exports.
fn sampled_by(sampler: impl ShouldSample + 'static) -> (Telemetry, InMemorySpanExporter) {
    let spans = InMemorySpanExporter::default();
    let none = [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")];
    let telemetry = builder(&none)
        .with_exporters(Signal::Traces, [Exporter::None])
        .with_span_processor(SimpleSpanProcessor::new(spans.clone()))
        .with_sampler(sampler)
        .build()
        .unwrap();
    (telemetry, spans)
}

fn names(spans: &InMemorySpanExporter) -> Vec<String> {
    spans.get_finished_spans().unwrap().iter().map(|span| span.name.to_string()).collect()
}

/// Returns a parent of another process.
fn parent(is_sampled: bool) -> Context {
    let flags = if is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let state = TraceState::from_key_value([("vendor", "7")]).unwrap();
    let parent = SpanContext::new(TraceId::from(5), SpanId::from(6), flags, true, state);
    Context::new().with_remote_span_context(parent)
}

/// One trace in an hour, three at once.
fn three() -> RateLimitedSampler {
    RateLimitedSampler::new(1.0 / 3600.0).with_burst(3)
}

#[test]
fn a_rate_limits_traces_that_begin_here() {
    // The sampler, and how many of ten spans are sampled: of roots, and of children of a caller that
    // samples or does not.
    let rows: [(Box<dyn ShouldSample>, [usize; 3]); 6] = [
        (Box::new(three()), [3, 0, 0]),
        (Box::new(Sampler::parent_based(three())), [3, 10, 0]),
        (Box::new(Sampler::ParentBased(Box::new(three()))), [3, 10, 0]),
        (Box::new(RateLimitedSampler::new(0.0)), [0, 0, 0]),
        (Box::new(RateLimitedSampler::new(f64::NAN)), [0, 0, 0]),
        (Box::new(RateLimitedSampler::new(1e9)), [10, 10, 10]),
    ];
    for (sampler, expected) in rows {
        let provider = SdkTracerProvider::builder().with_sampler(sampler.clone()).build();
        let tracer = provider.tracer("test");
        let counts = [Context::new(), parent(true), parent(false)].map(|parent| {
            (0..10)
                .filter(|_| {
                    let cx = Context::new().with_span(tracer.start_with_context("span", &parent));
                    cx.span().span_context().is_sampled()
                })
                .count()
        });
        assert_eq!(counts, expected, "{sampler:?}");
    }
}

#[test]
fn clones_share_a_limit() {
    let sampler = three();
    let clone = sampler.clone();
    let own = sampler.clone().with_burst(1);
    let sampled = |sampler: &RateLimitedSampler| {
        let decide =
            || sampler.should_sample(None, TraceId::from(1), "span", &SpanKind::Internal, &[], &[]);
        (0..10).filter(|_| decide().decision == SamplingDecision::RecordAndSample).count()
    };
    assert_eq!([sampled(&sampler), sampled(&clone), sampled(&own)], [3, 0, 1]);
}

#[test]
fn the_state_of_the_trace_is_kept() {
    let rules = || RuleSampler::new(Sampler::AlwaysOff).always("/kept").rule("/limited", three());
    let samplers: [Box<dyn ShouldSample>; 3] =
        [Box::new(three()), Box::new(rules()), Box::new(Sampler::parent_based(rules()))];
    for sampler in samplers {
        for path in ["/kept", "/limited", "/other"] {
            let attributes = [KeyValue::new("url.path", path)];
            let parent = parent(true);
            let (id, kind) = (TraceId::from(5), SpanKind::Server);
            let result = sampler.should_sample(Some(&parent), id, "GET", &kind, &attributes, &[]);
            assert_eq!(result.trace_state.get("vendor"), Some("7"), "{path} {sampler:?}");
            assert!(result.attributes.is_empty());
        }
    }
}

fn rules() -> RuleSampler {
    RuleSampler::new(Sampler::AlwaysOff)
        .never("/orders/health")
        .always("GET /orders/{id}")
        .rule("/limited", three())
        .ratio("/all", 1.0)
        .ratio("/none", 0.0)
        .always("/shop.v1.Orders/Place")
        .always("/late")
        .never("/late")
}

/// Requests, and the names of the spans that are sampled.
#[tokio::test]
async fn rules_decide_by_what_a_layer_knows() {
    let requests = [
        "GET /orders/health",
        "GET /orders/7?page=2",
        "POST /orders/7",
        "GET /orders/7/lines",
        "GET /limited",
        "GET /limited",
        "GET /limited",
        "GET /limited",
        "GET /all",
        "GET /none",
        "GET /late",
        "GET /elsewhere",
    ];
    let request = |line: &str| {
        let (method, uri) = line.split_once(' ').unwrap();
        Request::builder().method(method).uri(uri).body(axum::body::Body::empty()).unwrap()
    };
    // Inside of the router the route is known, outside of it only the path.
    for (is_inside, expected) in [
        (true, vec!["GET /orders/{order}", "GET /limited", "GET /all", "GET /late"]),
        (false, vec!["GET", "GET", "GET", "GET"]),
    ] {
        let (telemetry, spans) = sampled_by(rules());
        let layer = SpanLayer::server().with_tracer_provider(telemetry.tracer_provider());
        let answer = || routing::any(|| async { "ok" });
        let mut router = Router::new()
            .route("/orders/health", answer())
            .route("/orders/{order}", answer())
            .route("/orders/{order}/lines", answer());
        for path in ["/limited", "/all", "/none", "/late", "/elsewhere"] {
            router = router.route(path, answer());
        }
        for line in requests {
            let response = match is_inside {
                true => router.clone().layer(layer.clone()).oneshot(request(line)).await,
                false => {
                    let response = layer.layer(router.clone()).oneshot(request(line)).await;
                    response.map(|response| response.map(axum::body::Body::new))
                }
            };
            let body = response.unwrap().into_body();
            axum::body::to_bytes(body, 100).await.unwrap();
        }
        let mut names = names(&spans);
        assert_eq!(names.len(), 6, "three of /limited, and three more: {names:?}");
        names.dedup();
        let mut expected = expected;
        expected.dedup();
        assert_eq!(names, expected);
        drop(telemetry);
    }
}

#[tokio::test]
async fn rules_know_the_method_of_a_call() {
    let (telemetry, spans) = sampled_by(rules());
    let convention = Convention::server().with_protocol(Protocol::Grpc);
    let layer = SpanLayer::new(convention).with_tracer_provider(telemetry.tracer_provider());
    let service = layer.layer(tower::service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(
            Response::builder().header("grpc-status", "0").body(String::new()).unwrap(),
        )
    }));
    for path in ["/shop.v1.Orders/Place", "/shop.v1.Orders/Cancel"] {
        let request = Request::post(path).header("content-type", "application/grpc");
        drop(service.clone().oneshot(request.body(()).unwrap()).await.unwrap());
    }
    assert_eq!(names(&spans), ["shop.v1.Orders/Place"]);
    drop(telemetry);
}

/// A client's span has a `url.full`, but no rule applies to it.
#[test]
fn rules_are_for_servers() {
    let sampler = RuleSampler::new(Sampler::AlwaysOff).always("/a");
    for (kind, expected) in [
        (SpanKind::Server, SamplingDecision::RecordAndSample),
        (SpanKind::Client, SamplingDecision::Drop),
        (SpanKind::Internal, SamplingDecision::Drop),
    ] {
        let attributes = [KeyValue::new("url.path", "/a")];
        let id = TraceId::from(1);
        let result = sampler.should_sample(None, id, "GET", &kind, &attributes, &[]);
        assert_eq!(result.decision, expected, "{kind:?}");
    }
}

#[test]
#[should_panic = "invalid pattern \"healthz\": expected a path that begins with /"]
fn an_invalid_pattern_panics_at_start() {
    let _ = RuleSampler::new(Sampler::AlwaysOn).never("healthz");
}
