//! The effects of variables that are valid.

use std::{collections::BTreeMap, time::Duration};

use axum::http::{Request, Response};
use http_body_util::BodyExt;
use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    global,
    propagation::Injector,
    trace::{
        Span, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
        TracerProvider,
    },
};
use opentelemetry_sdk::trace::Sampler;
use tower::Service;
use tower_telemetry::setup::{Exporter, Signal};

use crate::{
    all_signals, builder,
    receiver::{Receiver, attribute},
    spans, telemetry,
};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_resource_merges_variables_code_and_defaults() {
    let uuid = |id: &str| {
        let parts: Vec<_> = id.split('-').map(str::len).collect();
        parts == [8, 4, 4, 4, 12] && id.as_bytes()[14] == b'4'
    };
    type Rows<'a> = &'a [(&'a [(&'a str, &'a str)], &'a [(&'a str, Option<&'a str>)])];
    let rows: Rows<'_> = &[
        (
            &[],
            &[
                ("service.name", Some("in code")),
                ("deployment.environment.name", Some("test")),
                ("telemetry.sdk.language", Some("rust")),
            ],
        ),
        (&[("OTEL_SERVICE_NAME", "shop")], &[("service.name", Some("shop"))]),
        (
            &[
                ("OTEL_SERVICE_NAME", "shop"),
                ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,service.version=1.2"),
            ],
            &[("service.name", Some("shop")), ("service.version", Some("1.2"))],
        ),
        (
            &[(
                "OTEL_RESOURCE_ATTRIBUTES",
                " service.name = other , deployment.environment.name=staging,a=b%2Cc%3D%25,\
                 d=e%3Df,k%2C%20=5,\
                 service.instance.id=pod-7,",
            )],
            &[
                ("service.name", Some("other")),
                ("deployment.environment.name", Some("staging")),
                ("a", Some("b,c=%")),
                ("d", Some("e=f")),
                ("k, ", Some("5")),
                ("service.instance.id", Some("pod-7")),
            ],
        ),
    ];
    let receiver = Receiver::start();
    let mut ids = Vec::new();
    for (variables, expected) in rows {
        let mut variables = variables.to_vec();
        let url = receiver.url();
        variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &url));
        let telemetry = builder(&variables)
            .with_service_name("in code")
            .with_environment("test")
            .with_attribute(KeyValue::new("a", "in code"))
            .build()
            .unwrap();
        spans(&telemetry, 1);
        telemetry.shutdown(LONG).await.unwrap();
        let received = receiver.received();
        let attributes = &received.traces.last().unwrap().resource.as_ref().unwrap().attributes;
        for (key, value) in *expected {
            assert_eq!(attribute(attributes, key).as_deref(), *value, "{key}");
        }
        ids.push(attribute(attributes, "service.instance.id").unwrap());
    }
    assert!(uuid(&ids[0]) && uuid(&ids[1]) && ids[0] != ids[1], "{ids:?}");

    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
    spans(&telemetry, 1);
    telemetry.shutdown(LONG).await.unwrap();
    let received = receiver.received();
    let attributes = &received.traces.last().unwrap().resource.as_ref().unwrap().attributes;
    let name = attribute(attributes, "service.name").unwrap();
    assert!(name.starts_with("unknown_service:setup"), "{name}");
}

/// The paths of requests at two receivers, for each set of variables.
#[tokio::test]
async fn endpoints_protocols_and_exporters() {
    let (one, other) = (Receiver::start(), Receiver::start());
    let (a, b) = (one.url(), other.url());
    let base = format!("{a}/");
    let own = format!("{b}/own/path");
    let schemeless = a.trim_start_matches("http://").to_owned();
    let http = ["/v1/logs", "/v1/metrics", "/v1/traces"];
    let grpc = ["logs", "metrics", "traces"];
    let e = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let p = "OTEL_EXPORTER_OTLP_PROTOCOL";
    type Row<'a> = (Vec<(&'a str, &'a str)>, &'a [&'a str], &'a [&'a str]);
    let rows: Vec<Row<'_>> = vec![
        (vec![(e, &a)], &http, &[]),
        (vec![(e, &base)], &http, &[]),
        (vec![(e, &a), (p, "HTTP/Protobuf")], &http, &[]),
        (vec![(e, &a), (p, "grpc")], &grpc, &[]),
        (vec![(e, &a), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &own)], &http[..2], &["/own/path"]),
        (
            vec![
                (e, &a),
                ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &b),
                ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
            ],
            &http[1..],
            &["logs"],
        ),
        (
            vec![(e, &a), (p, "grpc"), ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf")],
            &["/v1/metrics", "logs", "traces"],
            &[],
        ),
        (vec![(e, &schemeless), (p, "grpc"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")], &grpc, &[]),
        (vec![(e, &a), ("OTEL_TRACES_EXPORTER", "none")], &http[..2], &[]),
        (vec![(e, &a), ("OTEL_METRICS_EXPORTER", "NONE")], &["/v1/logs", "/v1/traces"], &[]),
        (vec![(e, &a), ("OTEL_LOGS_EXPORTER", "none")], &http[1..], &[]),
        (vec![(e, &a), ("OTEL_METRICS_EXPORTER", "prometheus,otlp")], &http, &[]),
        (vec![(e, &a), ("OTEL_SDK_DISABLED", "True")], &[], &[]),
    ];
    for (variables, at_one, at_other) in rows {
        let before = (one.received().requests.len(), other.received().requests.len());
        let telemetry = telemetry(&variables);
        all_signals(&telemetry);
        telemetry.shutdown(LONG).await.unwrap();
        let paths = |receiver: &Receiver, before: usize| {
            let mut paths: Vec<_> = receiver.received().requests[before..]
                .iter()
                .map(|(path, _)| path.clone())
                .collect();
            paths.sort();
            paths.dedup();
            paths
        };
        assert_eq!(paths(&one, before.0), at_one, "{variables:?}");
        assert_eq!(paths(&other, before.1), at_other, "{variables:?}");
    }
}

/// A header or a compression of one signal overrides the general one.
#[tokio::test]
async fn settings_of_one_signal_override_general_ones() {
    let receiver = Receiver::start();
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=general"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-key=own"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none"),
    ]);
    all_signals(&telemetry);
    telemetry.shutdown(LONG).await.unwrap();
    let headers: BTreeMap<_, _> = receiver.received().requests.into_iter().collect();
    assert_eq!(headers["/v1/traces"]["x-key"], "own");
    assert_eq!(headers["/v1/logs"]["x-key"], "general");
    assert_eq!(headers["/v1/traces"]["content-encoding"], "gzip");
    assert!(headers["/v1/logs"].get("content-encoding").is_none());
}

#[test]
fn samplers_of_the_environment() {
    let parent = |sampled: bool| {
        let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let id = TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        let span = SpanId::from(0x00f0_67aa_0ba9_02b7);
        let context = SpanContext::new(id, span, flags, true, TraceState::default());
        Context::new().with_remote_span_context(context)
    };
    // Sampled: without a parent, with a sampled one, with one that is not.
    let rows: &[(&str, &str, [bool; 3])] = &[
        ("", "", [true, true, false]),
        ("always_on", "", [true, true, true]),
        ("ALWAYS_OFF", "", [false, false, false]),
        ("TraceIdRatio", "1", [true, true, true]),
        ("traceidratio", "0.0", [false, false, false]),
        ("traceidratio", "", [true, true, true]),
        ("parentbased_always_on", "", [true, true, false]),
        ("ParentBased_Always_Off", "", [false, true, false]),
        ("parentbased_traceidratio", "0", [false, true, false]),
        ("parentbased_traceidratio", "1", [true, true, false]),
    ];
    for (sampler, argument, expected) in rows {
        let telemetry = telemetry(&[
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
            ("OTEL_TRACES_EXPORTER", "none"),
        ]);
        let tracer = telemetry.tracer_provider().tracer("test");
        let sampled = [Context::new(), parent(true), parent(false)]
            .map(|parent| tracer.start_with_context("span", &parent).span_context().is_sampled());
        assert_eq!(sampled, *expected, "{sampler} {argument}");
    }
    // The environment overrides the code.
    for (variables, sampled) in
        [(vec![], false), (vec![("OTEL_TRACES_SAMPLER", "always_on")], true)]
    {
        let telemetry = builder(&variables)
            .with_exporters(Signal::Traces, [Exporter::None])
            .with_sampler(Sampler::AlwaysOff)
            .build()
            .unwrap();
        let span = telemetry.tracer_provider().tracer("test").start("span");
        assert_eq!(span.span_context().is_sampled(), sampled);
    }
}

#[tokio::test]
async fn span_limits() {
    let receiver = Receiver::start();
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "1"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "1"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "0"),
    ]);
    let attributes = |count: i64| (0..count).map(|n| KeyValue::new(format!("k{n}"), n));
    let mut span = telemetry.tracer_provider().tracer("test").start("span");
    span.set_attributes(attributes(5));
    for _ in 0..3 {
        span.add_event("event", attributes(5).collect());
        span.add_link(SpanContext::empty_context(), attributes(5).collect());
    }
    span.end();
    telemetry.shutdown(LONG).await.unwrap();
    let received = receiver.received();
    let span = received.spans()[0];
    let lengths = [span.attributes.len(), span.events.len(), span.links.len()];
    assert_eq!(lengths, [2, 1, 1]);
    assert_eq!(span.events[0].attributes.len(), 1);
    assert_eq!(span.links[0].attributes.len(), 0);
}

/// The global propagator is installed even if the SDK is disabled. No other test here installs one.
#[tokio::test]
async fn propagators_of_the_environment() {
    struct Headers(BTreeMap<String, String>);

    impl Injector for Headers {
        fn set(&mut self, key: &str, value: String) {
            self.0.insert(key.to_owned(), value);
        }
    }

    type Rows<'a> = &'a [(&'a [(&'a str, &'a str)], &'a [&'a str])];
    let rows: Rows<'_> = &[
        (&[], &["baggage", "traceparent"]),
        (&[("OTEL_PROPAGATORS", "tracecontext")], &["traceparent"]),
        (&[("OTEL_PROPAGATORS", "Baggage,baggage")], &["baggage"]),
        (&[("OTEL_PROPAGATORS", "baggage, tracecontext")], &["baggage", "traceparent"]),
        (&[("OTEL_PROPAGATORS", "none")], &[]),
        (&[("OTEL_PROPAGATORS", "b3")], &["b3"]),
        (&[("OTEL_PROPAGATORS", "B3,baggage,jaeger")], &["b3", "baggage"]),
        (
            &[("OTEL_PROPAGATORS", "tracecontext,b3multi")],
            &["traceparent", "x-b3-sampled", "x-b3-spanid", "x-b3-traceid"],
        ),
        (&[("OTEL_SDK_DISABLED", "true")], &["baggage", "traceparent"]),
    ];
    let span = SpanContext::new(
        TraceId::from(1),
        SpanId::from(2),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    let cx =
        Context::new().with_remote_span_context(span).with_baggage([KeyValue::new("user", "7")]);
    for (variables, expected) in rows {
        let variables = variables.to_vec();
        let telemetry = tower_telemetry::Telemetry::builder()
            .with_variables(move |name| {
                if name.ends_with("_EXPORTER") {
                    return Some("none".to_owned());
                }
                variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
            })
            .build()
            .unwrap();
        let mut headers = Headers(BTreeMap::new());
        global::get_text_map_propagator(|propagator| propagator.inject_context(&cx, &mut headers));
        assert_eq!(headers.0.keys().collect::<Vec<_>>(), *expected);

        // The layers use the same propagator.
        let mut service = tower::ServiceBuilder::new()
            .layer(tower_telemetry::PropagationLayer::client())
            .service_fn(|request: Request<()>| async move {
                let names = request.headers().keys().map(|name| name.to_string());
                let mut names: Vec<_> = names.collect();
                names.sort();
                Ok::<_, std::convert::Infallible>(Response::new(names.join(",")))
            });
        let response = {
            let _attached = cx.clone().attach();
            service.call(Request::new(()))
        };
        let names = response.await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(names, expected.join(","));
        drop(telemetry);
    }
}

/// A disabled SDK creates no spans, and reads no other setting.
#[test]
fn a_disabled_sdk_does_nothing() {
    let telemetry =
        telemetry(&[("OTEL_SDK_DISABLED", "true"), ("OTEL_METRICS_EXPORTER", "console")]);
    let span = telemetry.tracer_provider().tracer("test").start("span");
    assert!(!span.span_context().is_valid());
    drop(telemetry);
    // An invalid setting may be the reason for disabling it.
    let variables = [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "nothing"),
    ];
    drop(builder(&variables).build().unwrap());
    let unused = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "no")];
    drop(builder(&unused).build().unwrap());
}

/// Prints to the console until the environment names an endpoint.
#[test]
fn console_by_default() {
    let receiver = Receiver::start();
    let url = receiver.url();
    for (variables, arrive) in
        [(vec![], false), (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())], true)]
    {
        let telemetry = builder(&variables).with_console_by_default().build().unwrap();
        all_signals(&telemetry);
        drop(telemetry);
        assert_eq!(!receiver.received().spans().is_empty(), arrive);
    }
}
