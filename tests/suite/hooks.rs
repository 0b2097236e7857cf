//! Options and hooks of the user.

use std::convert::Infallible;

use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    trace::{SpanId, SpanKind, TraceContextExt},
};
use opentelemetry_sdk::trace::Sampler;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_telemetry::{Convention, Labels};

use crate::support::{Telemetry, attribute, get, hello};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn called() -> Request<String> {
    let mut request = get("/users/7");
    request.headers_mut().insert("traceparent", TRACEPARENT.parse().unwrap());
    request.headers_mut().insert("baggage", "user=7".parse().unwrap());
    request
}

/// Answers with the trace id and the baggage that the handler sees.
async fn seen<B>(_: Request<B>) -> Result<Response<String>, Infallible> {
    let context = Context::current();
    let trace = context.span().span_context().trace_id();
    let user = context.baggage().get("user").map(|user| user.to_string());
    Ok(Response::new(format!("{trace} {}", user.unwrap_or_default())))
}

async fn text<B>(response: Response<B>) -> String
where
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn filtered_requests_are_still_propagated() {
    let telemetry = Telemetry::new();
    let convention = Convention::server().with_filter(|head| head.uri.path() != "/users/7");
    let stack = telemetry.stack(convention.clone()).layer(service_fn(seen));
    let nest = telemetry.metrics(convention.clone()).layer(service_fn(seen));
    let nest = telemetry.span(convention.clone()).layer(nest);
    let nest = Telemetry::propagation(convention).layer(nest);
    assert_eq!(
        text(stack.oneshot(called()).await.unwrap()).await,
        "0af7651916cd43dd8448eb211c80319c 7"
    );
    assert_eq!(
        text(nest.oneshot(called()).await.unwrap()).await,
        "0af7651916cd43dd8448eb211c80319c 7"
    );
    assert!(telemetry.spans().is_empty());
    assert!(telemetry.points().is_empty());
}

#[tokio::test]
async fn a_public_endpoint_links_instead_of_joining() {
    let telemetry = Telemetry::new();
    let convention = Convention::server().with_public_endpoint();
    let stack = telemetry.stack(convention.clone()).layer(service_fn(seen));
    let body = text(stack.oneshot(called()).await.unwrap()).await;
    let span = telemetry.span_of(SpanKind::Server);
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    assert_ne!(span.span_context.trace_id().to_string(), &TRACEPARENT[3..35]);
    assert_eq!(
        body,
        format!("{} ", span.span_context.trace_id()),
        "expected a new trace without baggage"
    );
    let links = &span.links.links;
    assert_eq!(links.len(), 1);
    assert_eq!(links[0].span_context.trace_id().to_string(), &TRACEPARENT[3..35]);
    assert_eq!(links[0].span_context.span_id().to_string(), &TRACEPARENT[36..52]);

    // Without a caller's context there is nothing to link to.
    let telemetry = Telemetry::new();
    let stack = telemetry.stack(convention).layer(service_fn(seen));
    text(stack.oneshot(get("/")).await.unwrap()).await;
    assert!(telemetry.span_of(SpanKind::Server).links.links.is_empty());
}

/// A filtered request has no root span, so the caller's context must not be used.
#[tokio::test]
async fn a_filtered_public_endpoint_ignores_the_caller() {
    let telemetry = Telemetry::new();
    let convention = Convention::server().with_public_endpoint().with_filter(|_| false);
    let stack = telemetry.stack(convention).layer(service_fn(seen));
    let body = text(stack.oneshot(called()).await.unwrap()).await;
    assert_eq!(body, "00000000000000000000000000000000 ");
}

#[tokio::test]
async fn attributes_of_hooks_replace_ours() {
    let telemetry = Telemetry::new();
    let convention = Convention::server()
        .with_request_attributes(|_| vec![KeyValue::new("url.path", "/scrubbed")])
        .with_request_labels(|_| vec![KeyValue::new("url.scheme", "mine")]);
    let stack = telemetry.stack(convention).layer(service_fn(hello));
    stack.oneshot(get("/s3cret")).await.unwrap();
    let span = telemetry.span_of(SpanKind::Server);
    let paths: Vec<_> = span.attributes.iter().filter(|kv| kv.key.as_str() == "url.path").collect();
    assert_eq!(paths.len(), 1);
    assert!(!format!("{span:?}").contains("s3cret"));
    assert_eq!(telemetry.duration().labels["url.scheme"], "String((\"mine\"))");
}

#[tokio::test]
async fn empty_templates_are_ignored() {
    use tower_telemetry::{Route, UrlTemplate};
    let telemetry = Telemetry::new();
    let convention = Convention::server().with_route(|_| Some(Route::new("")));
    let stack =
        telemetry.stack(convention).layer(service_fn(|request: Request<String>| async move {
            Route::new("").announce(request.extensions());
            hello(request).await
        }));
    stack.oneshot(get("/")).await.unwrap();
    let stack = telemetry.stack(Convention::client()).layer(service_fn(hello));
    let mut request = get("http://a/");
    request.extensions_mut().insert(UrlTemplate::new(""));
    stack.oneshot(request).await.unwrap();
    assert!(telemetry.spans().iter().all(|span| span.name == "GET"));
    assert!(!format!("{:?}", telemetry.points()).contains("(\\\"\\\")"));
}

#[test]
fn a_tracer_that_starts_to_record_is_found() {
    use futures_util::FutureExt;
    use opentelemetry::trace::{SpanBuilder, Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{SdkTracer, Span};
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    #[derive(Clone)]
    struct Switchable(SdkTracer, Arc<AtomicBool>);

    impl TracerProvider for Switchable {
        type Tracer = Self;

        fn tracer_with_scope(&self, _: opentelemetry::InstrumentationScope) -> Self {
            self.clone()
        }
    }

    impl Tracer for Switchable {
        type Span = Span;

        fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
            let suppressed = parent.with_telemetry_suppressed();
            let is_awake = self.1.load(Ordering::Relaxed);
            self.0.build_with_context(builder, if is_awake { parent } else { &suppressed })
        }
    }

    let telemetry = Telemetry::new();
    let is_awake = Arc::new(AtomicBool::new(false));
    let provider = Switchable(telemetry.tracers.tracer("sleepy"), Arc::clone(&is_awake));
    let layer = tower_telemetry::SpanLayer::server().with_tracer_provider(&provider);
    let service = layer.layer(service_fn(hello));
    let ask = || drop(service.clone().oneshot(get("/")).now_or_never().unwrap());
    (0..200).for_each(|_| ask());
    assert!(telemetry.spans().is_empty());
    is_awake.store(true, Ordering::Relaxed);
    (0..300).for_each(|_| ask());
    let spans = telemetry.spans().len();
    assert!((170..=300).contains(&spans), "{spans}");
}

#[tokio::test]
async fn context_is_propagated_after_the_provider_is_shut_down() {
    let telemetry = Telemetry::new();
    telemetry.tracers.shutdown().unwrap();
    let stack = telemetry.stack(Convention::server()).layer(service_fn(seen));
    let body = text(stack.oneshot(called()).await.unwrap()).await;
    assert_eq!(body, "0af7651916cd43dd8448eb211c80319c 7");
    assert_eq!(telemetry.duration().count, 1);
}

#[tokio::test]
async fn the_caller_is_the_parent() {
    let telemetry = Telemetry::new();
    let stack = telemetry.stack(Convention::server()).layer(service_fn(seen));
    text(stack.oneshot(called()).await.unwrap()).await;
    let span = telemetry.span_of(SpanKind::Server);
    assert_eq!(span.span_context.trace_id().to_string(), &TRACEPARENT[3..35]);
    assert_eq!(span.parent_span_id.to_string(), &TRACEPARENT[36..52]);
    assert!(span.parent_span_is_remote);
}

#[tokio::test]
async fn hooks_set_attributes_labels_and_names() {
    let telemetry = Telemetry::new();
    let convention = Convention::server()
        .with_handler_labels()
        .with_span_name(|head| (head.uri.path() == "/users/7").then(|| "a user".into()))
        .with_request_attributes(|head| {
            vec![KeyValue::new("of.request", head.headers.len() as i64)]
        })
        .with_response_attributes(|head| {
            vec![KeyValue::new("of.response", head.headers.len() as i64)]
        })
        .with_request_labels(|_| {
            vec![KeyValue::new("label.request", "a"), KeyValue::new("label", 1)]
        })
        .with_response_labels(|_| {
            vec![KeyValue::new("label.response", "b"), KeyValue::new("label", 2)]
        });
    let handler = |_: Request<String>| async {
        let labels = Labels::current().expect("labels are switched on");
        labels.add(KeyValue::new("label.handler", "early"));
        Labels::of(&Context::current()).unwrap().add(KeyValue::new("label.handler", "late"));
        labels.add(KeyValue::new("label", 3));
        hello(()).await
    };
    async fn hello((): ()) -> Result<Response<String>, Infallible> {
        Ok(Response::new(String::new()))
    }
    let stack = telemetry.stack(convention).layer(service_fn(handler));
    stack.oneshot(called()).await.unwrap();
    let span = telemetry.span_of(SpanKind::Server);
    assert_eq!(span.name, "a user");
    for (key, value) in [
        ("of.request", "2"),
        ("of.response", "0"),
        ("label.request", "a"),
        ("label.response", "b"),
        ("label.handler", "late"),
        ("label", "3"),
    ] {
        assert_eq!(attribute(&span, key).as_deref(), Some(value), "{key}");
    }
    let labels = telemetry.duration().labels;
    assert_eq!(labels["label.handler"], "String((\"late\"))");
    assert_eq!(labels["label"], "I64(3)");
    assert!(!labels.contains_key("of.request"), "an attribute of the span must not be a label");
    let active = &telemetry.points_of("active_requests")[0].labels;
    assert_eq!(active.len(), 2, "+1 and -1 must have the same labels: {active:?}");
}

#[test]
fn handler_labels_are_off_by_default() {
    let telemetry = Telemetry::new();
    let service = service_fn(|_: Request<String>| async {
        assert!(Labels::current().is_none());
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let stack = telemetry.stack(Convention::server()).layer(service);
    stack.oneshot(called()).now_or_never().unwrap().unwrap();
}

/// Nested layers share the labels of one exchange. An inner exchange has labels of its own.
#[tokio::test]
async fn labels_belong_to_one_exchange() {
    let telemetry = Telemetry::new();
    let convention = Convention::server().with_handler_labels();
    let inner = telemetry.stack(convention.clone()).layer(service_fn(|_: Request<String>| async {
        Labels::current().unwrap().add(KeyValue::new("of", "inner"));
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let outer = service_fn(move |_: Request<String>| {
        let inner = inner.clone();
        async {
            inner.oneshot(get("/inner")).await.unwrap();
            Labels::current().unwrap().add(KeyValue::new("of", "outer"));
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let nest = telemetry.metrics(convention.clone()).layer(outer);
    let nest = telemetry.span(convention).layer(nest);
    nest.oneshot(get("/outer")).await.unwrap();
    let spans = telemetry.spans();
    let of = |path: &str| {
        let span = spans.iter().find(|span| attribute(span, "url.path").as_deref() == Some(path));
        attribute(span.unwrap(), "of").unwrap().into_owned()
    };
    assert_eq!((of("/inner").as_str(), of("/outer").as_str()), ("inner", "outer"));
    let mut labels: Vec<_> =
        telemetry.points_of("request.duration").iter().map(|p| p.labels["of"].clone()).collect();
    labels.sort();
    assert_eq!(labels, ["String((\"inner\"))", "String((\"outer\"))"]);
}

/// Applies to all metrics and protocols. The span still has the attributes.
#[test]
fn dropped_attributes_are_on_no_metric() {
    let telemetry = Telemetry::new();
    let convention = Convention::client()
        .with_request_labels(|_| vec![KeyValue::new("tier", "gold"), KeyValue::new("own", 1)]);
    let layer = telemetry.stack(convention).without_attributes(["server.address", "server.port"]);
    let mut service = layer.without_attributes(["tier"]).layer(service_fn(hello));
    for content_type in ["text/plain", "application/grpc"] {
        let mut request = get("http://example.com:81/a.B/C");
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        *request.method_mut() = http::Method::POST;
        let response = service.call(request).now_or_never().unwrap().unwrap();
        let _ = response.into_body().collect().now_or_never();
    }
    let points = telemetry.points();
    assert!(points.len() >= 4, "{points:?}");
    for point in points {
        for key in ["server.address", "server.port", "tier"] {
            assert!(!point.labels.contains_key(key), "{key}: {point:?}");
        }
        if !point.name.ends_with("active_requests") {
            assert_eq!(point.labels["own"], "I64(1)", "{point:?}");
        }
    }
    for span in telemetry.spans() {
        assert_eq!(attribute(&span, "server.address").unwrap(), "example.com");
        assert_eq!(attribute(&span, "tier").unwrap(), "gold");
    }
}

/// The sampler records everything, so a missing span shows that it was not asked.
#[test]
fn the_parent_decision_skips_unsampled_spans() {
    let unsampled = TRACEPARENT.replace("-01", "-00");
    for (parent, is_public, decides, spans) in [
        (Some(unsampled.as_str()), false, true, 0),
        (Some(&unsampled), false, false, 1),
        (Some(&unsampled), true, true, 1),
        (Some(TRACEPARENT), false, true, 1),
        (None, false, true, 1),
    ] {
        let telemetry = Telemetry::sampled(Sampler::AlwaysOn);
        let mut convention = Convention::server();
        if is_public {
            convention = convention.with_public_endpoint();
        }
        let mut layer = telemetry.stack(convention.clone());
        if decides {
            layer = layer.with_parent_decision();
        }
        // Neither the order of the options matters, nor a second layer inside.
        let layer = layer.with_tracer_provider(&telemetry.tracers);
        let service = layer.layer(telemetry.span(convention).layer(service_fn(seen)));
        let mut request = get("/users/7");
        if let Some(parent) = parent {
            request.headers_mut().insert("traceparent", parent.parse().unwrap());
        }
        let response = service.oneshot(request).now_or_never().unwrap().unwrap();
        let body = response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
        assert_eq!(telemetry.spans().len(), spans, "{parent:?}, {is_public}, {decides}");
        assert_eq!(telemetry.duration().count, 1, "metrics are recorded anyway");
        if spans == 0 {
            let seen = String::from_utf8_lossy(&body);
            assert!(seen.contains(&TRACEPARENT[3..35]), "the context must be propagated: {seen}");
        }
    }
}

#[test]
fn the_status_class_is_optional() {
    for (enabled, expected) in [(true, Some("String((\"2xx\"))")), (false, None)] {
        let telemetry = Telemetry::new();
        let convention = Convention::server().with_status_class(enabled);
        let service = telemetry.metrics(convention).layer(service_fn(hello));
        service.oneshot(get("/")).now_or_never().unwrap().unwrap();
        let labels = telemetry.duration().labels;
        assert_eq!(labels.get("status_class").map(String::as_str), expected);
    }
}

#[test]
fn histogram_boundaries_can_be_set() {
    let telemetry = Telemetry::new();
    let layer = telemetry
        .metrics(Convention::server())
        .with_duration_boundaries([1.0, 2.0])
        .with_body_size_boundaries([3.0]);
    layer.layer(service_fn(hello)).oneshot(get("/")).now_or_never().unwrap().unwrap();
    assert_eq!(telemetry.duration().bounds, [1.0, 2.0]);
    assert_eq!(telemetry.points_of("response.body.size")[0].bounds, [3.0]);
}
