//! The effects of variables that are invalid, unusual or without effect, and the page of all
//! variables.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use opentelemetry::trace::{Span, Tracer, TracerProvider};
use tower_telemetry::setup::{Exporter, Otlp, OtlpProtocol, Signal};

use crate::{
    all_signals, builder,
    notices::warnings,
    receiver::{Receiver, attribute},
    spans, telemetry,
};

const LONG: Duration = Duration::from_secs(20);
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

/// Endpoints that are refused: with a warning, nothing is exported to them, nor anywhere else.
#[tokio::test]
async fn invalid_endpoints() {
    let a_url = "a URL such as http://host:4318 or https://host:4318";
    let a_port = "a URL with a port from 1 to 65535, or without one";
    let a_fragment = "a URL without a fragment (`#`)";
    for (value, shown, expected) in [
        ("localhost:4318", "localhost:4318", a_url),
        ("localhost", "localhost", a_url),
        ("ftp://a", "ftp://a", a_url),
        ("http://", "http://", a_url),
        ("http:///v1/x", "http:///…", a_url),
        ("http://a b", "http://a b", a_url),
        ("//a:1", "/…", a_url),
        ("unix:///a", "unix:///…", a_url),
        ("http://127.0.0.1:99999", "http://127.0.0.1:99999", a_port),
        ("http://127.0.0.1:4318x/key", "http://127.0.0.1:4318x/…", a_port),
        ("http://127.0.0.1:-1", "http://127.0.0.1:-1", a_port),
        ("http://127.0.0.1:", "http://127.0.0.1:", a_port),
        ("http://127.0.0.1:0", "http://127.0.0.1:0", a_port),
        ("http://127.0.0.1:+1", "http://127.0.0.1:+1", a_port),
        ("http://[::1]:99999", "http://[::1]:99999", a_port),
        ("http://127.0.0.1:1/#key", "http://127.0.0.1:1/…", a_fragment),
        ("\"http://127.0.0.1:4318", "\"http://127.0.0.1:4318", a_url),
        ("http://127.0.0.1:1/a\"", "http://127.0.0.1:1/…", a_url),
    ] {
        for name in [ENDPOINT, TRACES_ENDPOINT] {
            let error = builder(&[(name, value)]).with_strict_environment().build().unwrap_err();
            let expected = format!("invalid value {shown:?} for {name}: expected {expected}");
            if !error.to_string().starts_with(&expected) {
                // `http::Uri` refuses some of them for another reason.
                let a_url = format!("invalid value {shown:?} for {name}: expected {a_url}");
                assert_eq!(error.to_string(), a_url, "{value}");
            }
            let warnings = warnings(builder(&[(name, value)]));
            assert_eq!(warnings, [format!("{error}; nothing is exported to it")]);
        }
        let telemetry = telemetry(&[(ENDPOINT, value)]);
        all_signals(&telemetry);
        telemetry.shutdown(Duration::ZERO).await.expect("there is nothing to deliver");
    }
    // With gRPC, a scheme is added.
    let telemetry =
        builder(&[(ENDPOINT, "127.0.0.1:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "TRUE")]);
    assert_eq!(warnings(telemetry).len(), 1, "the choice of gRPC");
}

/// The path of each signal, for endpoints of all forms.
#[tokio::test]
async fn endpoints_are_used_with_their_path() {
    type Row<'a> = (&'a str, &'a str, &'a [&'a str], Option<&'a str>);
    let all: &[&str] = &["/v1/logs", "/v1/metrics", "/v1/traces"];
    let rows: &[Row<'_>] = &[
        (ENDPOINT, "", all, None),
        (ENDPOINT, "/", all, None),
        (ENDPOINT, "/?key=1", &["/v1/logs?key=1", "/v1/metrics?key=1", "/v1/traces?key=1"], None),
        (ENDPOINT, "/v1/traces", all, Some("ends in /v1/traces, which is added for each signal")),
        (ENDPOINT, "/v1/logs/", all, Some("ends in /v1/logs, which is added for each signal")),
        (
            ENDPOINT,
            "/v1/metrics?key=1",
            &["/v1/logs?key=1", "/v1/metrics?key=1", "/v1/traces?key=1"],
            Some("ends in /v1/metrics"),
        ),
        (TRACES_ENDPOINT, "/own/path?key=1", &["/own/path?key=1"], None),
    ];
    for (name, path, expected, warning) in rows {
        let receiver = Receiver::start();
        // `docker run --env-file` passes quotes on.
        for quote in ["", "\"", "'"] {
            let url = format!("{quote}{}{path}{quote}", receiver.url());
            let only_traces = [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")];
            let mut variables = vec![(*name, url.as_str())];
            variables.extend(only_traces.iter().filter(|_| *name == TRACES_ENDPOINT));
            let before = receiver.received().requests.len();
            let telemetry = telemetry(&variables);
            all_signals(&telemetry);
            telemetry.shutdown(LONG).await.unwrap();
            let paths: BTreeSet<_> = receiver.received().requests[before..]
                .iter()
                .map(|(path, _)| path.clone())
                .collect();
            let paths: Vec<_> = paths.iter().collect();
            assert_eq!(paths, *expected, "{url}");
            let warnings = warnings(builder(&variables));
            let quoted = warnings.iter().filter(|warning| warning.contains("is in quotes"));
            assert_eq!(quoted.count(), usize::from(!quote.is_empty()), "{warnings:?}");
            let other = warnings.iter().find(|warning| !warning.contains("is in quotes"));
            assert_eq!(other.is_some(), warning.is_some(), "{other:?}");
            if let (Some(is), Some(expected)) = (other, warning) {
                assert!(is.contains(expected) && is.ends_with("; that ending is removed"), "{is}");
            }
        }
    }
}

/// The port 4317 without a protocol means gRPC, in the environment and in code.
#[test]
fn the_port_of_grpc_chooses_grpc() {
    let url = "http://127.0.0.1:4317";
    let grpc = "OTLP to http://127.0.0.1:4317 uses gRPC, because no protocol is set";
    let in_code = |otlp: Otlp| builder(&[]).with_otlp(otlp);
    let named = Otlp::new().with_endpoint(url).with_protocol(OtlpProtocol::Grpc);
    for (builder, expected) in [
        (builder(&[(ENDPOINT, url)]), &[grpc][..]),
        (builder(&[(TRACES_ENDPOINT, url)]), &[grpc]),
        (builder(&[(ENDPOINT, "http://127.0.0.1:4317/v1/traces")]), &["ends in /v1/traces", grpc]),
        (
            builder(&[(ENDPOINT, "http://127.0.0.1:4317/x?y")]),
            &["has a path or a query, which gRPC does not use; they are ignored", grpc],
        ),
        (in_code(Otlp::new().with_endpoint(url)), &[grpc]),
        (in_code(named), &[]),
        (builder(&[(ENDPOINT, url), (PROTOCOL, "grpc")]), &[]),
    ] {
        let warnings = warnings(builder);
        assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
        for (warning, expected) in warnings.iter().zip(expected) {
            assert!(warning.contains(expected), "{warning}");
        }
    }
}

/// The same headers reach the receiver by both protocols.
#[tokio::test]
async fn headers_follow_the_same_rules_for_both_protocols() {
    let list = "x-key=a%20b=, host=evil,content-length=1,Content-Type=text/plain,te=gzip,b, \
                transfer-encoding=chunked,grpc-timeout=1n,accept-encoding=gzip,x-%zz=1,\
                user-agent=shop/1.0,connection=close,content-encoding=br,x-percent=100%";
    let reserved = [
        "host",
        "content-length",
        "content-type",
        "te",
        "transfer-encoding",
        "grpc-timeout",
        "accept-encoding",
        "connection",
        "content-encoding",
    ];
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::start();
        let url = receiver.url();
        let variables =
            [(ENDPOINT, &*url), (PROTOCOL, protocol), ("OTEL_EXPORTER_OTLP_HEADERS", list)];
        let warnings = warnings(builder(&variables));
        for header in reserved {
            let expected = format!(
                "OTEL_EXPORTER_OTLP_HEADERS sets the header {header}, which belongs to the \
                 exporter; it is ignored"
            );
            assert!(warnings.contains(&expected), "{header}: {warnings:?}");
        }
        let invalid = warnings.iter().filter(|warning| warning.starts_with("invalid value"));
        assert_eq!(invalid.count(), 1, "one entry is no pair; a % is part of a name: {warnings:?}");
        assert_eq!(warnings.len(), reserved.len() + 1, "{warnings:?}");

        let telemetry = telemetry(&variables);
        all_signals(&telemetry);
        telemetry.shutdown(LONG).await.unwrap();
        let requests = receiver.received().requests;
        assert_eq!(requests.len(), 3, "{protocol}");
        for (path, headers) in requests {
            assert_eq!(headers["x-key"], "a b=", "{path}");
            assert_eq!(headers["x-percent"], "100%", "{path}");
            let agents: Vec<_> = headers.get_all("user-agent").iter().collect();
            assert_eq!(agents.len(), 1, "{path}");
            let agent = agents[0].to_str().unwrap();
            assert!(agent.starts_with("shop/1.0 OTel-OTLP-Exporter-Rust/"), "{agent}");
            for (name, value) in [("host", "evil"), ("content-encoding", "br"), ("te", "gzip")] {
                assert!(headers.get(name).is_none_or(|is| is != value), "{path}: {name}");
            }
            for name in ["grpc-timeout", "accept-encoding", "transfer-encoding"] {
                assert!(headers.get(name).is_none(), "{path}: {name}");
            }
        }
    }
}

/// Ignored values leave what would be used without them.
#[tokio::test]
async fn known_members_hold_and_unknown_ones_are_ignored() {
    let receiver = Receiver::start();
    let url = receiver.url();
    let rows: &[(&str, &str, usize)] = &[
        ("OTEL_TRACES_EXPORTER", "zipkin", 1),
        ("OTEL_TRACES_EXPORTER", "zipkin,otlp", 1),
        ("OTEL_TRACES_EXPORTER", "none,otlp", 1),
        ("OTEL_TRACES_EXPORTER", "none,zipkin", 0),
        ("OTEL_TRACES_EXPORTER", "none", 0),
        ("OTEL_SDK_DISABLED", "1", 1),
        ("OTEL_SDK_DISABLED", "yes", 1),
        ("OTEL_SDK_DISABLED", "TRUE", 0),
        ("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote", 1),
        ("OTEL_TRACES_SAMPLER_ARG", "0", 1),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", 1),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", 1),
        ("OTEL_BSP_EXPORT_TIMEOUT", "0", 1),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "0", 1),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", 1),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5s", 1),
    ];
    for (name, value, expected) in rows {
        for protocol in ["grpc", "http/protobuf"] {
            let before = receiver.received().spans().len();
            let telemetry = telemetry(&[(name, value), (ENDPOINT, &url), (PROTOCOL, protocol)]);
            spans(&telemetry, 1);
            telemetry.shutdown(LONG).await.unwrap();
            assert_eq!(receiver.received().spans().len() - before, *expected, "{name}={value}");
        }
    }
    // A list without a known member leaves the choice of the code.
    let telemetry = builder(&[(ENDPOINT, &url), ("OTEL_TRACES_EXPORTER", "zipkin")])
        .with_exporters(Signal::Traces, [Exporter::None])
        .build()
        .unwrap();
    let before = receiver.received().spans().len();
    spans(&telemetry, 1);
    telemetry.shutdown(LONG).await.unwrap();
    assert_eq!(receiver.received().spans().len(), before);
    // A bad argument means the ratio 1.
    let variables = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")];
    let telemetry = builder(&variables).with_exporters(Signal::Traces, [Exporter::None]);
    let telemetry = telemetry.build().unwrap();
    let mut span = telemetry.tracer_provider().tracer("test").start("span");
    assert!(span.span_context().is_sampled());
    span.end();
    // A delay of zero exports without a flush.
    let telemetry = crate::telemetry(&[(ENDPOINT, &url), ("OTEL_BSP_SCHEDULE_DELAY", "0")]);
    let before = receiver.received().spans().len();
    spans(&telemetry, 1);
    receiver.wait_for("the span", |received| received.spans().len() > before);
}

/// By the specification's document on resources, any error discards the whole value.
#[tokio::test]
async fn resource_attributes() {
    type Row<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);
    let rows: &[Row<'_>] = &[
        ("a=1,b=2", &[("a", Some("1")), ("b", Some("2"))]),
        ("a%2Cb=c%3Dd", &[("a,b", Some("c=d"))]),
        ("%C3%A9=%E2%82%AC", &[("é", Some("€"))]),
        ("é=€", &[("é", Some("€"))]),
        ("a=", &[("a", Some(""))]),
        ("a=1,b=c=d", &[("a", None), ("b", None)]),
        ("a=1,b", &[("a", None)]),
        ("a=1,=2", &[("a", None)]),
        ("a=1,b=%", &[("a", None), ("b", None)]),
        ("a=1,b=%2", &[("a", None)]),
        ("a=1,b=%GG", &[("a", None)]),
        ("a=1,b=%FF", &[("a", None)]),
        ("a=1,%FF=b", &[("a", None)]),
    ];
    let receiver = Receiver::start();
    for (value, expected) in rows {
        let url = receiver.url();
        let telemetry = telemetry(&[(ENDPOINT, &url), ("OTEL_RESOURCE_ATTRIBUTES", value)]);
        spans(&telemetry, 1);
        telemetry.shutdown(LONG).await.unwrap();
        let received = receiver.received();
        let attributes = &received.traces.last().unwrap().resource.as_ref().unwrap().attributes;
        for (key, value) in *expected {
            assert_eq!(attribute(attributes, key).as_deref(), *value, "{key}");
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Supported,
    Differs,
    NoEffect,
    ReadElsewhere,
    /// Supported for an endpoint with TLS.
    OfTls,
}
use Fate::{Differs, NoEffect, OfTls, ReadElsewhere, Supported};

/// Each variable of the specification, what becomes of it, and a valid and an invalid value.
const PAGE: &[(Fate, &[&str], &str, &str)] = &[
    (Supported, &["OTEL_SDK_DISABLED"], "false", "1"),
    (Supported, &["OTEL_SERVICE_NAME"], "shop", ""),
    (Differs, &["OTEL_RESOURCE_ATTRIBUTES"], "a=b", "a"),
    (NoEffect, &["OTEL_ENTITIES", "OTEL_LOG_LEVEL"], "x", ""),
    (Supported, &["OTEL_PROPAGATORS"], "baggage", "xray"),
    (Supported, &["OTEL_TRACES_SAMPLER"], "always_on", "xray"),
    (Supported, &["OTEL_TRACES_SAMPLER_ARG"], "", "0.5"),
    (NoEffect, &["OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE"], "a.yaml", ""),
    (NoEffect, &["OTEL_SEMCONV_STABILITY_OPT_IN"], "http/dup", ""),
    (ReadElsewhere, &["OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"], "GET", ""),
    (Supported, &["OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER"], "otlp", "zipkin"),
    (Supported, &["OTEL_METRICS_EXPORTER"], "otlp,prometheus", "statsd"),
    (NoEffect, &["OTEL_EXPORTER_ZIPKIN_ENDPOINT", "OTEL_EXPORTER_ZIPKIN_TIMEOUT"], "x", ""),
    (NoEffect, &["OTEL_EXPORTER_ZIPKIN_PROTOCOL"], "x", ""),
    (NoEffect, &["OTEL_EXPORTER_PROMETHEUS_HOST", "OTEL_EXPORTER_PROMETHEUS_PORT"], "1", ""),
    (NoEffect, &["OTEL_EXPORTER_OTLP_SPAN_INSECURE"], "true", ""),
    (NoEffect, &["OTEL_EXPORTER_OTLP_METRIC_INSECURE"], "true", ""),
    (Supported, &["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"], "delta", "x"),
    (NoEffect, &["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"], "x", ""),
    (Supported, &["OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY"], "0", "-1"),
    (Differs, &["OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BLRP_EXPORT_TIMEOUT"], "0", "-1"),
    (Differs, &["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BLRP_MAX_QUEUE_SIZE"], "1", "0"),
    (Supported, &["OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"], "1", "0"),
    (Differs, &["OTEL_METRIC_EXPORT_INTERVAL"], "1", "0"),
    (Supported, &["OTEL_METRIC_EXPORT_TIMEOUT"], "0", "-1"),
    (Differs, &["OTEL_METRICS_EXEMPLAR_FILTER"], "always_off", "sometimes"),
    (Supported, &["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT"], "0", "x"),
    (Supported, &["OTEL_SPAN_LINK_COUNT_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"], "0", "x"),
    (Supported, &["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"], "0", "x"),
    (NoEffect, &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"], "1", ""),
    (NoEffect, &["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"], "1", ""),
    (NoEffect, &["OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"], "1", ""),
    (NoEffect, &["OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"], "1", ""),
];

/// The settings of OTLP, for all signals and for each.
const OTLP: [(Fate, &str, &str, &str); 9] = [
    (Differs, "PROTOCOL", "grpc", "http"),
    (Supported, "ENDPOINT", "http://localhost:4318/x", "localhost"),
    (Supported, "INSECURE", "true", "yes"),
    (Differs, "HEADERS", "a=b", "a"),
    (Supported, "COMPRESSION", "gzip", "zstd"),
    (Differs, "TIMEOUT", "0", "-1"),
    (OfTls, "CERTIFICATE", "a.pem", ""),
    (OfTls, "CLIENT_KEY", "a.pem", ""),
    (OfTls, "CLIENT_CERTIFICATE", "a.pem", ""),
];

#[test]
fn the_page_of_variables_is_true() {
    let mut known = BTreeMap::new();
    for (fate, names, valid, invalid) in PAGE {
        known.extend(names.iter().map(|name| ((*name).to_owned(), (*fate, *valid, *invalid))));
    }
    for (fate, setting, valid, invalid) in OTLP {
        for signal in ["", "TRACES_", "METRICS_", "LOGS_"] {
            let name = format!("OTEL_EXPORTER_OTLP_{signal}{setting}");
            let is_base = setting == "ENDPOINT" && signal.is_empty();
            known.insert(name, (if is_base { Differs } else { fate }, valid, invalid));
        }
    }
    let mut listed = BTreeMap::new();
    let page = fs::read_to_string("docs/environment.md").unwrap();
    for line in page.lines().filter(|line| line.starts_with("| `OTEL_")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let fate = match cells[2] {
            "supported" => Supported,
            "differs" => Differs,
            "no effect" => NoEffect,
            "supported with TLS" => OfTls,
            "read elsewhere" => ReadElsewhere,
            other => panic!("{other}: {line}"),
        };
        assert!(fate != Differs || !cells[5].is_empty(), "the page says why: {line}");
        for name in cells[1].split(", ") {
            let other = listed.insert(name.trim_matches('`').to_owned(), fate);
            assert_eq!(other, None, "{name} is listed twice");
        }
    }
    let expected: BTreeMap<_, _> =
        known.iter().map(|(name, (fate, ..))| (name.clone(), *fate)).collect();
    assert_eq!(listed, expected);

    for (name, (fate, valid, invalid)) in &known {
        let of_valid = warnings(builder(&[(name, valid)]));
        match fate {
            NoEffect => {
                let text = format!("{name} is set, but has no effect; ");
                assert!(of_valid.len() == 1 && of_valid[0].starts_with(&text), "{of_valid:?}");
                let error = builder(&[(name, valid)]).with_strict_environment().build();
                assert_eq!(error.unwrap_err().variable_name(), Some(name.as_str()));
            }
            OfTls => {
                let text = format!("{name}: no effect on http://localhost:4318, which is not TLS");
                assert_eq!(of_valid, [text]);
            }
            Supported | Differs | ReadElsewhere => {
                assert!(of_valid.is_empty(), "{name}: {of_valid:?}");
            }
        }
        if !invalid.is_empty() {
            let of_invalid = warnings(builder(&[(name, invalid)]));
            assert!(of_invalid.len() == 1 && of_invalid[0].contains(name), "{of_invalid:?}");
        }
    }
}
