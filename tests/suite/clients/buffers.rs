//! One trace and one count around retries, redirects and a buffer.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{
    Context,
    trace::{
        FutureExt, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
        TraceState,
    },
};
use opentelemetry_sdk::trace::SpanData;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, buffer::Buffer, retry::RetryLayer};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_telemetry::{
    AttemptsLayer, CallSpanLayer, CallerContextLayer, TelemetryLayer, UrlTemplate,
    integrations::{ReqwestClient, TelemetryMiddleware},
};

use super::{Server, attempts::Unavailable, builder, layer, plain};
use crate::support::{Telemetry, attribute};

type Body = Empty<Bytes>;

fn hyper() -> HyperClient<HttpConnector, Body> {
    HyperClient::builder(TokioExecutor::new()).build_http()
}

fn get(uri: String) -> Request<Body> {
    Request::get(uri).body(Empty::new()).unwrap()
}

/// The caller's span, which is elsewhere.
fn caller() -> (Context, TraceId, SpanId) {
    let (trace, span) = (TraceId::from(4711), SpanId::from(42));
    let span_context =
        SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    (Context::new().with_remote_span_context(span_context), trace, span)
}

async fn call<S, B>(client: S, uri: String)
where
    S: Service<Request<Body>, Response = http::Response<B>, Error: std::fmt::Debug>,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    client.oneshot(get(uri)).await.unwrap().into_body().collect().await.map(drop).unwrap();
}

/// The `CLIENT` spans in the order of their starts.
fn attempts(telemetry: &Telemetry) -> Vec<SpanData> {
    let is_attempt = |span: &SpanData| span.span_kind == SpanKind::Client;
    let mut spans: Vec<_> = telemetry.spans().into_iter().filter(is_attempt).collect();
    spans.sort_by_key(|span| span.start_time);
    spans
}

#[track_caller]
fn check(telemetry: &Telemetry, server: &Server, trace: TraceId, parent: SpanId) {
    let spans = attempts(telemetry);
    assert_eq!(spans.len(), 3);
    for (i, (span, sent)) in spans.iter().zip(server.parents()).enumerate() {
        let count = (i > 0).then(|| i.to_string());
        assert_eq!(attribute(span, "http.request.resend_count").as_deref(), count.as_deref());
        assert_eq!((span.span_context.trace_id(), span.parent_span_id), (trace, parent));
        assert_eq!(span.span_context.span_id().to_string(), sent);
    }
    assert_eq!(telemetry.active(), 0);
}

/// A retry outside of a buffer.
#[tokio::test]
async fn a_buffer_does_not_cut_the_trace() {
    let (server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let client = ServiceBuilder::new()
        .layer(AttemptsLayer::new())
        .layer(RetryLayer::new(Unavailable))
        .buffer(16)
        .layer(CallerContextLayer::new())
        .layer(layer(&telemetry))
        .service(hyper());
    let (context, trace, span) = caller();
    call(client, format!("http://{address}/flaky")).with_context(context).await;
    check(&telemetry, &server, trace, span);
}

/// A client of another crate that puts the service that it is given into a box and a buffer.
#[tokio::test]
async fn a_buffer_of_another_crate() {
    struct Client {
        inner: Buffer<Request<Body>, Answering>,
    }
    type Answer = http::Response<http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>>;
    type Answering = std::pin::Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    impl Client {
        fn new<S, B>(service: S) -> Self
        where
            S: Service<Request<Body>, Response = http::Response<B>> + Send + 'static,
            S::Future: Send + 'static,
            S::Error: Into<BoxError>,
            B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
        {
            let map = |answer: http::Response<B>| {
                answer.map(|body| body.map_err(Into::into).boxed_unsync())
            };
            let service = service.map_response(map).map_err(Into::into).boxed();
            Self { inner: Buffer::new(service, 16) }
        }
    }

    let (server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let layers = ServiceBuilder::new().layer(CallerContextLayer::new()).layer(layer(&telemetry));
    let client = Client::new(layers.service(hyper())).inner;
    let client = ServiceBuilder::new()
        .layer(AttemptsLayer::new())
        .layer(RetryLayer::new(Unavailable))
        .service(client);
    let (context, trace, span) = caller();
    call(client, format!("http://{address}/flaky")).with_context(context).await;
    check(&telemetry, &server, trace, span);
}

/// A call that nobody polls is no call.
#[tokio::test]
async fn a_call_that_is_not_polled() {
    let (server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let mut client = ServiceBuilder::new()
        .layer(CallerContextLayer::new())
        .layer(layer(&telemetry))
        .service(hyper());
    let uri = || format!("http://{address}/ok");
    drop(client.ready().await.unwrap().call(get(uri())));
    assert!(telemetry.spans().is_empty());
    call(client, uri()).await;
    assert_eq!(telemetry.spans().len(), 1);
    assert_eq!(server.seen.lock().unwrap().len(), 1);
}

fn around(telemetry: &Telemetry) -> CallSpanLayer {
    CallSpanLayer::client()
        .with_tracer_provider(&telemetry.tracers)
        .with_error_kinds([tower_telemetry::ErrorKinds::HYPER])
}

/// The span around the attempts, which lasts longest.
#[track_caller]
fn span_around(telemetry: &Telemetry) -> SpanData {
    let span = telemetry.span_of(SpanKind::Internal);
    for attempt in attempts(telemetry) {
        assert_eq!(attempt.parent_span_id, span.span_context.span_id());
        assert_eq!(attempt.span_context.trace_id(), span.span_context.trace_id());
        assert!(span.start_time <= attempt.start_time && attempt.end_time <= span.end_time);
    }
    span
}

#[tokio::test]
async fn one_span_around_retries() {
    let stacks: [fn(&Telemetry, TelemetryLayer) -> tower::util::BoxCloneService<_, _, _>; 2] = [
        |telemetry, layer| {
            let service = ServiceBuilder::new()
                .layer(around(telemetry))
                .layer(RetryLayer::new(Unavailable))
                .layer(layer)
                .service(hyper());
            service.map_err(BoxError::from).boxed_clone()
        },
        |telemetry, layer| {
            let service = ServiceBuilder::new()
                .layer(around(telemetry))
                .layer(RetryLayer::new(Unavailable))
                .buffer(16)
                .layer(CallerContextLayer::new())
                .layer(layer)
                .service(hyper());
            service.boxed_clone()
        },
    ];
    for stack in stacks {
        let (server, address) = Server::start().await;
        let telemetry = Telemetry::new();
        let url = format!("http://{address}/flaky");
        call(stack(&telemetry, layer(&telemetry)), url.clone()).await;
        let span = span_around(&telemetry);
        let (context, parent) = (&span.span_context, span.parent_span_id);
        assert_eq!((&*span.name, parent), ("GET", SpanId::INVALID));
        check(&telemetry, &server, context.trace_id(), context.span_id());
        let of = |key| attribute(&span, key);
        assert_eq!(of("url.full").as_deref(), Some(&*url));
        assert_eq!(of("http.response.status_code").as_deref(), Some("200"));
        assert_eq!(of("http.request.resend_count"), None);
        assert_eq!(telemetry.points_of("request.duration").iter().map(|p| p.count).sum::<u64>(), 3);
    }
}

#[tokio::test]
async fn one_span_around_redirects() {
    let (_server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let inner = builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let layers = ServiceBuilder::new()
        .layer(around(&telemetry))
        .layer(FollowRedirectLayer::new())
        .layer(layer(&telemetry));
    let client = ReqwestClient::with_layer(inner, layers.into_inner());
    let url = format!("http://{address}/redirect/elsewhere/status/404");
    client.get(&url).template("/redirect/{to}").send().await.unwrap().bytes().await.unwrap();
    let span = span_around(&telemetry);
    assert_eq!(span.name, "GET /redirect/{to}");
    assert_eq!(attribute(&span, "url.full").as_deref(), Some(&*url));
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("404"));
    assert_eq!(attempts(&telemetry).len(), 3);
}

#[tokio::test]
async fn one_span_around_retries_of_reqwest_retry() {
    let (server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let policy = reqwest_retry::policies::ExponentialBackoff::builder()
        .retry_bounds(std::time::Duration::ZERO, std::time::Duration::ZERO)
        .build_with_max_retries(5);
    let client = reqwest_middleware::ClientBuilder::new(plain())
        .with(TelemetryMiddleware::with_layer(around(&telemetry)))
        .with(reqwest_retry::RetryTransientMiddleware::new_with_policy(policy))
        .with(TelemetryMiddleware::with_layer(layer(&telemetry)))
        .build();
    let url = format!("http://{address}/flaky");
    let template = UrlTemplate::new("/flaky");
    let sending = client.get(url).with_extension(template).send();
    assert_eq!(sending.await.unwrap().text().await.unwrap(), "at last");
    let span = span_around(&telemetry);
    assert_eq!(span.name, "GET /flaky");
    check(&telemetry, &server, span.span_context.trace_id(), span.span_context.span_id());
}

#[tokio::test]
async fn one_span_around_failures() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let telemetry = Telemetry::new();
    let client =
        ServiceBuilder::new().layer(around(&telemetry)).layer(layer(&telemetry)).service(hyper());
    client.oneshot(get(format!("http://{address}/"))).await.unwrap_err();
    let span = span_around(&telemetry);
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("connection_refused"));
    assert!(matches!(span.status, Status::Error { .. }));

    // No span is started for a call that the filter excludes, or below a parent without one.
    let telemetry = Telemetry::new();
    let (_server, address) = Server::start().await;
    let url = || format!("http://{address}/ok");
    let client = ServiceBuilder::new().layer(around(&telemetry).with_filter(|_| false));
    call(client.service(hyper()), url()).await;
    let unsampled = SpanContext::new(
        TraceId::from(1),
        SpanId::from(1),
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::default(),
    );
    let context = Context::new().with_remote_span_context(unsampled);
    let client = ServiceBuilder::new().layer(around(&telemetry).with_parent_decision());
    call(client.service(hyper()), url()).with_context(context).await;
    assert!(telemetry.spans().is_empty());
}
