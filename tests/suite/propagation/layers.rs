//! Propagation from a server layer through a handler to a client layer, in memory and over sockets.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use opentelemetry::{
    Context,
    propagation::{
        Extractor, Injector, TextMapCompositePropagator, TextMapPropagator,
        text_map_propagator::FieldIter,
    },
    trace::SpanKind,
};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_telemetry::{
    Convention, PropagationLayer, TelemetryLayer,
    propagation::{TraceContext, W3c},
};

use super::{headers, only};
use crate::support::{Telemetry, hello};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

/// A service that records the headers of its requests.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<HeaderMap>>>);

impl Seen {
    fn service(
        &self,
    ) -> impl Service<Request<String>, Response = Response<String>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + use<> {
        let seen = self.clone();
        service_fn(move |request: Request<String>| {
            seen.0.lock().unwrap().push(request.headers().clone());
            async { Ok(Response::new(String::new())) }
        })
    }

    fn last(&self) -> HeaderMap {
        self.0.lock().unwrap().pop().unwrap()
    }
}

fn request(lines: &[(&'static str, &str)]) -> Request<String> {
    let mut request = Request::get("http://backend.internal/").body(String::new()).unwrap();
    *request.headers_mut() = headers(lines);
    request
}

fn w3c(layer: PropagationLayer) -> PropagationLayer {
    layer.with_propagator(W3c::new())
}

/// Returns the headers that a backend receives if the handler of a request with `lines` calls it.
fn through(lines: &[(&'static str, &str)]) -> HeaderMap {
    through_layers(w3c, lines)
}

fn through_layers(
    configured: impl Fn(PropagationLayer) -> PropagationLayer,
    lines: &[(&'static str, &str)],
) -> HeaderMap {
    let seen = Seen::default();
    let client = configured(PropagationLayer::client()).layer(seen.service());
    let handler = service_fn(move |_: Request<String>| {
        let client = client.clone();
        async move { client.oneshot(request(&[])).await }
    });
    let server = configured(PropagationLayer::server()).layer(handler);
    server.oneshot(request(lines)).now_or_never().unwrap().unwrap();
    seen.last()
}

/// The layers recognize [`W3c`] and read a header map directly. They use this propagator through a
/// carrier.
#[derive(Debug)]
struct Wrapped(W3c);

impl TextMapPropagator for Wrapped {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        self.0.inject_context(cx, injector);
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        self.0.extract_with_context(cx, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        self.0.fields()
    }
}

#[test]
fn headers_are_read_alike_with_and_without_a_carrier() {
    let parent = ("traceparent", PARENT);
    let rows: [(&[_], [Option<&str>; 3]); 7] = [
        (&[], [None; 3]),
        (
            &[
                ("baggage", "a=1"),
                parent,
                ("accept", "*/*"),
                ("baggage", "b=2"),
                ("tracestate", "c=3"),
            ],
            [Some(PARENT), Some("c=3"), Some("a=1,b=2")],
        ),
        (
            &[("tracestate", "a=1"), ("tracestate", "b=2"), parent, ("tracestate", "c=3")],
            [Some(PARENT), Some("a=1,b=2,c=3"), None],
        ),
        // A `traceparent` that was sent twice is invalid.
        (&[parent, parent, ("tracestate", "a=1"), ("baggage", "a=1")], [None, None, Some("a=1")]),
        (&[parent, ("traceparent", "nonsense")], [None; 3]),
        // Lines that are not visible ASCII are skipped.
        (&[parent, ("traceparent", "é")], [Some(PARENT), None, None]),
        (
            &[
                parent,
                ("tracestate", "a=1"),
                ("tracestate", "é=1"),
                ("tracestate", "b=2"),
                ("baggage", "é=1"),
                ("baggage", "c=3"),
            ],
            [Some(PARENT), Some("a=1,b=2"), Some("c=3")],
        ),
    ];
    // The order of baggage is not defined.
    let sorted = |list: &str| {
        let mut members: Vec<_> = list.split(',').collect();
        members.sort_unstable();
        members.join(",")
    };
    for (given, expected) in rows {
        let expected = expected.map(|text| text.map(String::from));
        let wrapped = through_layers(|layer| layer.with_propagator(Wrapped(W3c::new())), given);
        for sent in [through(given), wrapped] {
            let sent = ["traceparent", "tracestate", "baggage"].map(|name| only(&sent, name));
            let sent = [sent[0].map(String::from), sent[1].map(String::from), sent[2].map(sorted)];
            assert_eq!(sent, expected, "{given:?}");
        }
    }
}

/// Without spans the caller's context is forwarded unchanged.
#[test]
fn propagation_without_spans_forwards_the_context() {
    let sent = through(&[
        ("traceparent", PARENT),
        ("tracestate", "a@@b= 1,c=2"),
        ("baggage", "k=v;p=%20"),
    ]);
    assert_eq!(only(&sent, "traceparent"), Some(PARENT));
    assert_eq!(only(&sent, "tracestate"), Some("a@@b= 1,c=2"));
    assert_eq!(only(&sent, "baggage"), Some("k=v;p=%20"));
    assert!(through(&[]).is_empty());
    assert!(through(&[("traceparent", "nonsense"), ("tracestate", "a=1")]).is_empty());
}

/// Also with the combined layers, without a provider and with each decision of a sampler.
#[test]
fn context_is_forwarded_with_every_sampling_decision() {
    let providers = [
        None,
        Some((Sampler::AlwaysOn, "03")),
        Some((Sampler::AlwaysOff, "02")),
        Some((Sampler::ParentBased(Box::new(Sampler::AlwaysOff)), "03")),
    ];
    for provider in providers {
        let (flags, tracers) = match provider {
            Some((sampler, flags)) => {
                (Some(flags), Some(SdkTracerProvider::builder().with_sampler(sampler).build()))
            }
            None => (None, None),
        };
        let layer = |layer: TelemetryLayer| match &tracers {
            Some(tracers) => layer.with_tracer_provider(tracers).with_propagator(W3c::new()),
            None => layer
                .with_tracer_provider(&opentelemetry::trace::noop::NoopTracerProvider::new())
                .with_propagator(W3c::new()),
        };
        let seen = Seen::default();
        let client = layer(TelemetryLayer::client()).layer(seen.service());
        let handler = service_fn(move |_: Request<String>| {
            let client = client.clone();
            async move { client.oneshot(request(&[])).await.map(|r| r.map(|_| String::new())) }
        });
        let server = layer(TelemetryLayer::server()).layer(handler);
        let lines = [("traceparent", PARENT), ("tracestate", "a@@b=1,c=2"), ("baggage", "k=v")];
        server.oneshot(request(&lines)).now_or_never().unwrap().unwrap();
        let sent = seen.last();
        let parent = only(&sent, "traceparent").unwrap();
        match flags {
            None => assert_eq!(parent, PARENT),
            Some(flags) => {
                assert_eq!(&parent[..36], &PARENT[..36]);
                assert_ne!(&parent[36..52], &PARENT[36..52]);
                assert_eq!(&parent[53..], flags);
            }
        }
        assert_eq!(only(&sent, "tracestate"), Some("a@@b=1,c=2"));
        assert_eq!(only(&sent, "baggage"), Some("k=v"));
    }
}

/// Headers that were copied from an inbound request must not be sent.
#[test]
fn stale_headers_are_replaced_or_removed() {
    let stale = [
        ("traceparent", PARENT),
        ("tracestate", "stale=1"),
        ("baggage", "stale=1"),
        ("x-unrelated", "1"),
    ];
    let seen = Seen::default();
    let layer = w3c(PropagationLayer::client());
    layer.layer(seen.service()).oneshot(request(&stale)).now_or_never().unwrap().unwrap();
    let sent = seen.last();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(only(&sent, "x-unrelated"), Some("1"));

    // Also if the propagator doesn't handle baggage.
    let layer = PropagationLayer::client().with_propagator(TraceContext::new());
    layer.layer(seen.service()).oneshot(request(&stale)).now_or_never().unwrap().unwrap();
    assert_eq!(seen.last().len(), 1);

    let telemetry = Telemetry::new();
    let layer = telemetry.stack(Convention::client()).with_propagator(W3c::new());
    layer.layer(seen.service()).oneshot(request(&stale)).now_or_never().unwrap().unwrap();
    let sent = seen.last();
    let span = telemetry.span_of(SpanKind::Client).span_context;
    let parent = format!("00-{}-{}-01", span.trace_id(), span.span_id());
    assert_eq!(only(&sent, "traceparent"), Some(&*parent));
    assert_eq!((only(&sent, "tracestate"), only(&sent, "baggage")), (None, None));
}

#[test]
fn context_is_sent_to_its_destinations_only() {
    use opentelemetry::baggage::BaggageExt;
    let context = W3c::new().extract_with_context(
        &Context::new(),
        &tower_telemetry::propagation::HeaderExtractor::new(&headers(&[("traceparent", PARENT)])),
    );
    let context = context.with_baggage([opentelemetry::KeyValue::new("k", "v")]);
    let is_internal = |head: &http::request::Parts| {
        head.uri.host().is_some_and(|host| host.ends_with(".internal"))
    };
    let all = |_: &http::request::Parts| true;
    let none = |_: &http::request::Parts| false;
    let layer = || w3c(PropagationLayer::client());
    for (layer, uri, trace, baggage) in [
        (layer(), "http://other.example/", true, true),
        (layer().with_destinations(is_internal), "http://a.internal/", true, true),
        (layer().with_destinations(is_internal), "http://other.example/", false, false),
        (layer().with_baggage_destinations(is_internal), "http://a.internal/", true, true),
        (layer().with_baggage_destinations(is_internal), "http://other.example/", true, false),
        (layer().with_destinations(none).with_baggage_destinations(all), "http://a/", false, false),
    ] {
        let seen = Seen::default();
        let mut request = request(&[("traceparent", "stale"), ("baggage", "stale=1")]);
        *request.uri_mut() = uri.parse().unwrap();
        let _attached = context.clone().attach();
        layer.layer(seen.service()).oneshot(request).now_or_never().unwrap().unwrap();
        let sent = seen.last();
        assert_eq!(only(&sent, "traceparent"), trace.then_some(PARENT), "{uri}");
        assert_eq!(only(&sent, "baggage"), baggage.then_some("k=v"), "{uri}");
    }
}

#[test]
fn propagators_of_third_parties_work() {
    #[derive(Debug)]
    struct Own([String; 1]);

    #[derive(Debug, PartialEq)]
    struct Id(String);

    impl TextMapPropagator for Own {
        fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
            if let Some(Id(id)) = cx.get() {
                injector.set("X-Own", id.clone());
            }
        }

        fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
            match extractor.get("X-OWN") {
                Some(id) => cx.with_value(Id(id.to_owned())),
                None => cx.clone(),
            }
        }

        fn fields(&self) -> FieldIter<'_> {
            FieldIter::new(&self.0)
        }
    }

    let own = || Own([String::from("x-own")]);
    let seen = Seen::default();
    let client = PropagationLayer::client().with_propagator(own()).layer(seen.service());
    let handler = service_fn(move |_: Request<String>| {
        assert!(Context::map_current(|cx| cx.get::<Id>().is_some()));
        let client = client.clone();
        async move { client.oneshot(request(&[("x-own", "stale")])).await }
    });
    let server = PropagationLayer::server().with_propagator(own()).layer(handler);
    server.oneshot(request(&[("x-own", "42")])).now_or_never().unwrap().unwrap();
    assert_eq!(only(&seen.last(), "x-own"), Some("42"));

    // Headers of an inbound request are removed, even if there is nothing to send.
    let w3c_and_own =
        || TextMapCompositePropagator::new(vec![Box::new(W3c::new()), Box::new(own())]);
    let layers = [
        PropagationLayer::client().with_propagator(own()),
        PropagationLayer::client().with_propagator(own()).with_destinations(|_| false),
        PropagationLayer::client().with_propagator(w3c_and_own()),
    ];
    for (i, layer) in layers.into_iter().enumerate() {
        let stale =
            [("x-own", "stale"), ("traceparent", PARENT), ("baggage", "a=1"), ("unrelated", "1")];
        let call = layer.layer(seen.service()).oneshot(request(&stale));
        call.now_or_never().unwrap().unwrap();
        assert_eq!(seen.last().keys().collect::<Vec<_>>(), ["unrelated"], "layer {i}");
    }
}

#[test]
fn server_timing_returns_the_trace_id_on_request_and_never_baggage() {
    for is_on in [false, true] {
        let expected = is_on.then_some("traceparent");
        let telemetry = Telemetry::new();
        let mut convention = Convention::server().with_filter(|head| head.uri.path() != "/healthz");
        if is_on {
            convention = convention.with_server_timing();
        }
        let nest = telemetry.span(convention.clone()).layer(service_fn(hello::<String>));
        let nest = w3c(PropagationLayer::new(convention.clone())).layer(nest);
        let stack = telemetry.stack(convention).with_propagator(W3c::new());
        let stack = stack.layer(service_fn(hello::<String>));
        let lines = [("traceparent", PARENT), ("baggage", "secret=1")];
        let answers = [
            stack.clone().oneshot(request(&lines)).now_or_never().unwrap().unwrap().map(drop),
            nest.oneshot(request(&lines)).now_or_never().unwrap().unwrap().map(drop),
        ];
        for (answer, span) in answers.iter().map(|a| a.headers()).zip(telemetry.spans()) {
            let span = span.span_context;
            let told = expected.map(|name| {
                format!("{name};desc=\"00-{}-{}-03\"", span.trace_id(), span.span_id())
            });
            assert_eq!(only(answer, "server-timing"), told.as_deref());
            let exposed = only(answer, "access-control-expose-headers");
            assert_eq!(exposed, expected.map(|_| "Server-Timing"));
            assert!(!format!("{answer:?}").contains("secret"));
        }
        // An unsampled span has an id, too, and its trace has the random flag.
        let dropped = Telemetry::sampled(Sampler::AlwaysOff);
        let mut convention = Convention::server();
        if is_on {
            convention = convention.with_server_timing();
        }
        let dropped = dropped.stack(convention.clone()).with_propagator(W3c::new());
        let dropped = dropped.layer(service_fn(hello::<String>));
        let answer = dropped.oneshot(request(&lines)).now_or_never().unwrap().unwrap();
        let told = only(answer.headers(), "server-timing");
        assert_eq!(told.is_some(), is_on);
        assert!(told.is_none_or(|told| told.ends_with("-02\"")), "{told:?}");
        let none = TelemetryLayer::new(convention)
            .with_tracer_provider(&opentelemetry::trace::noop::NoopTracerProvider::new())
            .with_propagator(W3c::new())
            .layer(service_fn(hello::<String>));
        let answer = none.oneshot(request(&lines)).now_or_never().unwrap().unwrap();
        assert!(answer.headers().is_empty());
        // Without a span, the caller's span is not returned as ours.
        let mut filtered = request(&lines);
        *filtered.uri_mut() = "/healthz".parse().unwrap();
        let answer = stack.oneshot(filtered).now_or_never().unwrap().unwrap();
        assert!(answer.headers().is_empty());
    }
}

/// Headers in several lines and with unusual names, over HTTP/1.1 and HTTP/2.
#[tokio::test]
async fn context_is_forwarded_over_sockets() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let seen = Seen::default();
        let backend = serve(seen.service()).await;
        let client = Client::builder(TokioExecutor::new())
            .http2_only(version == Version::HTTP_2)
            .build_http::<Full<Bytes>>();
        let tracers = SdkTracerProvider::builder().build();
        let instrumented = TelemetryLayer::client()
            .with_tracer_provider(&tracers)
            .with_propagator(W3c::new())
            .layer(client.clone());
        let handler = service_fn(move |_: Request<String>| {
            let client = instrumented.clone();
            let request = Request::post(&backend).body(Full::default()).unwrap();
            async move {
                client.oneshot(request).await.unwrap();
                Ok::<_, Infallible>(Response::new(String::new()))
            }
        });
        let frontend = TelemetryLayer::server()
            .with_tracer_provider(&tracers)
            .with_propagator(W3c::new())
            .layer(handler);
        let frontend = serve(frontend).await;

        let mut call = Request::get(&frontend).body(Full::default()).unwrap();
        *call.headers_mut() = headers(&[
            ("traceparent", PARENT),
            ("tracestate", "foo@@bar=1 "),
            ("tracestate", ""),
            ("tracestate", "b= 2,c=3"),
            ("baggage", "k=Am%C3%A9lie"),
            ("baggage", "l=1;p"),
        ]);
        let answer = client.request(call).await.unwrap();
        assert_eq!(answer.version(), version);
        answer.into_body().collect().await.unwrap();
        let sent = seen.last();
        let parent = only(&sent, "traceparent").unwrap();
        assert_eq!(&parent[..36], &PARENT[..36]);
        assert_ne!(&parent[36..52], &PARENT[36..52]);
        assert_eq!(&parent[53..], "03");
        assert_eq!(only(&sent, "tracestate"), Some("foo@@bar=1,b= 2,c=3"));
        let mut baggage: Vec<_> = only(&sent, "baggage").unwrap().split(',').collect();
        baggage.sort_unstable();
        assert_eq!(baggage, ["k=Am%C3%A9lie", "l=1;p"]);
    }
}

/// Starts a server that runs as long as the test's runtime, and returns its address.
async fn serve<S, B>(service: S) -> String
where
    S: Service<Request<String>, Response = Response<B>, Error = Infallible, Future: Send>,
    S: Clone + Send + 'static,
    B: http_body::Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                service.clone().oneshot(request.map(|_| String::new()))
            });
            let service = TowerToHyperService::new(service);
            tokio::spawn(async move {
                auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await
            });
        }
    });
    address
}
