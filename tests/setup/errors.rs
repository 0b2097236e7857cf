//! Invalid settings: errors in code and in strict mode, and what errors must not contain.

use std::{env, process::Command, time::Duration};

use tower_telemetry::{
    logs::LogFormat,
    setup::{Exporter, GracefulShutdown, Otlp, Signal},
};

use crate::{builder, notices::warnings, receiver::nowhere, spans, telemetry};

/// Name, invalid values, accepted values, and what is done instead.
type Row = (&'static str, &'static [&'static str], &'static str, &'static str);

const NUMBERS: &[&str] = &["x", "-1", "1.5", "5s", "4294967296", "99999999999999999999999"];
const SIZES: &[&str] = &["x", "-1", "0", "1.5", "1000001"];
const IGNORED: &str = "the variable is ignored";
const KNOWN_PROPAGATORS: &str = "a list of tracecontext, baggage, b3, b3multi, none";

const ROWS: &[Row] = &[
    ("OTEL_SDK_DISABLED", &["yes", "1", "on"], "true or false", "it is read as false"),
    (
        "OTEL_TRACES_EXPORTER",
        &["jaeger", "zipkin", "logging", "prometheus", "otlp/stdout", "otlp;none", ","],
        "a list of otlp, console, none",
        IGNORED,
    ),
    ("OTEL_TRACES_EXPORTER", &["none,x"], "a list of otlp, console, none", "\"x\" is ignored"),
    ("OTEL_TRACES_EXPORTER", &["none,console"], "`none` alone", "\"none\" is ignored"),
    ("OTEL_METRICS_EXPORTER", &["statsd"], "a list of otlp, console, none, prometheus", IGNORED),
    ("OTEL_METRICS_EXPORTER", &["prometheus, none"], "`none` alone", "\"none\" is ignored"),
    ("OTEL_LOGS_EXPORTER", &["prometheus", "logging"], "a list of otlp, console, none", IGNORED),
    ("OTEL_PROPAGATORS", &["zipkin", "b4,x"], KNOWN_PROPAGATORS, IGNORED),
    ("OTEL_PROPAGATORS", &["b3,zipkin"], KNOWN_PROPAGATORS, "\"zipkin\" is ignored"),
    (
        "OTEL_PROPAGATORS",
        &["tracecontext,XRay"],
        KNOWN_PROPAGATORS,
        "\"XRay\" is ignored. Give the XrayPropagator of opentelemetry-aws to `with_propagator`",
    ),
    (
        "OTEL_PROPAGATORS",
        &["jaeger", "zipkin,jaeger"],
        KNOWN_PROPAGATORS,
        "the variable is ignored. Jaeger's header is deprecated: use tracecontext, which its clients \
         know",
    ),
    (
        "OTEL_PROPAGATORS",
        &["ottrace"],
        KNOWN_PROPAGATORS,
        "the variable is ignored. OpenTracing's headers are deprecated: use tracecontext",
    ),
    ("OTEL_PROPAGATORS", &["none,baggage"], "`none` alone", "\"none\" is ignored"),
    (
        "OTEL_TRACES_SAMPLER",
        &["sometimes", "xray", "jaeger_remote", "parentbased_jaeger_remote"],
        "one of always_on, always_off, traceidratio, parentbased_always_on, \
         parentbased_always_off, parentbased_traceidratio",
        IGNORED,
    ),
    (
        "OTEL_RESOURCE_ATTRIBUTES",
        &["a", "=b", "a=b,c", "a=%FF", "a=%", "a=%4", "a=%zz", "a=b=c", "%=a", "a%3=b"],
        "percent-encoded",
        IGNORED,
    ),
    (
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        &["http", "grpcs", "http/protobuf,grpc"],
        "one of grpc, http/protobuf, http/json",
        IGNORED,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        &["udp"],
        "one of grpc, http/protobuf, http/json",
        IGNORED,
    ),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", &["zstd", "snappy"], "one of gzip, none", IGNORED),
    ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", &["br"], "one of gzip, none", IGNORED),
    ("OTEL_EXPORTER_OTLP_INSECURE", &["yes", "0"], "true or false", "it is read as false"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", NUMBERS, "milliseconds from 0", IGNORED),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", NUMBERS, "milliseconds from 0", IGNORED),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        &["gauge"],
        "one of cumulative, delta, lowmemory",
        IGNORED,
    ),
    ("OTEL_BSP_SCHEDULE_DELAY", NUMBERS, "milliseconds from 0", IGNORED),
    ("OTEL_BSP_EXPORT_TIMEOUT", NUMBERS, "milliseconds from 0", IGNORED),
    ("OTEL_BSP_MAX_QUEUE_SIZE", SIZES, "a whole number from 1 to 1000000", IGNORED),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &["0", "8193"], "from 1 to 8192", IGNORED),
    ("OTEL_BLRP_SCHEDULE_DELAY", NUMBERS, "milliseconds from 0", IGNORED),
    ("OTEL_BLRP_EXPORT_TIMEOUT", NUMBERS, "milliseconds from 0", IGNORED),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", SIZES, "a whole number from 1 to 1000000", IGNORED),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", &["0", "8193"], "from 1 to 8192", IGNORED),
    ("OTEL_METRIC_EXPORT_INTERVAL", NUMBERS, "milliseconds from 1", IGNORED),
    ("OTEL_METRIC_EXPORT_INTERVAL", &["0"], "milliseconds from 1", IGNORED),
    ("OTEL_METRIC_EXPORT_TIMEOUT", NUMBERS, "milliseconds from 0", IGNORED),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &["x", "-1"], "a whole number from 0", IGNORED),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", &["x"], "a whole number from 0", IGNORED),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", &["x"], "a whole number from 0", IGNORED),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &["x"], "a whole number from 0", IGNORED),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &["x"], "a whole number from 0", IGNORED),
];

/// One warning without strict mode, and an error with the same text in it.
#[test]
fn invalid_values_are_warned_of_or_fail_in_strict_mode() {
    for (name, values, expected, instead) in ROWS {
        for value in *values {
            let error = builder(&[(name, value)]).with_strict_environment().build().unwrap_err();
            assert_eq!(error.variable_name(), Some(*name), "{value}");
            let text = error.to_string();
            let beginning = format!("invalid value {value:?} for {name}: expected {expected}");
            let is_part = expected.contains("milliseconds")
                || expected.contains("percent-encoded")
                || expected.starts_with("from");
            match is_part {
                true => assert!(text.contains(expected), "{text}"),
                false => assert!(text.starts_with(&beginning), "{text}, {beginning}"),
            }
            let warnings = warnings(builder(&[(name, value)]));
            assert_eq!(warnings, [format!("{text}; {instead}")]);
        }
        for value in ["", " "] {
            drop(builder(&[(name, value)]).with_strict_environment().build().unwrap());
            assert!(warnings(builder(&[(name, value)])).is_empty(), "an empty value is unset");
        }
    }
}

#[test]
fn long_values_are_cut() {
    let value = "ä".repeat(300);
    let error = builder(&[("OTEL_TRACES_SAMPLER", &value)]).with_strict_environment().build();
    let expected = format!("invalid value \"{}\"… for ", "ä".repeat(200));
    assert!(error.unwrap_err().to_string().starts_with(&expected));
}

/// An argument is used by some samplers, and only if one is set.
#[test]
fn sampler_arguments() {
    let argument = "OTEL_TRACES_SAMPLER_ARG";
    for (sampler, value, expected) in [
        (
            "traceidratio",
            "1.1",
            "invalid value \"1.1\" for OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1; the \
             variable is ignored",
        ),
        ("parentbased_traceidratio", "half", "expected a number from 0 to 1"),
        ("traceidratio", "NaN", "expected a number from 0 to 1"),
        ("always_on", "0.1", "the sampler takes no argument; it is ignored"),
        ("", "0.1", "is set without OTEL_TRACES_SAMPLER; it is ignored"),
    ] {
        let variables = [("OTEL_TRACES_SAMPLER", sampler), (argument, value)];
        let warnings = warnings(builder(&variables));
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{warnings:?}");
        let strict = builder(&variables).with_strict_environment().build().unwrap_err();
        assert_eq!(strict.variable_name(), Some(argument));
    }
}

/// Values of headers, and credentials, path and query of a URL, are in no text.
#[test]
fn secrets_are_not_shown() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret,b"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "host=s3cret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "\"a=s3cret\""),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a b=s3cret"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=%0As3cret"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cret@host:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:99999/s3cret"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:99999?key=s3cret"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host/#s3cret"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "host/s3cret"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "'http://host:1/s3cret'"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:1/s3cret/v1/traces"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "me:s3cret@host:4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "ftp://host/s3cret?s3cret"),
    ] {
        let error = builder(&[(name, value)]).with_strict_environment().build().unwrap_err();
        assert_eq!(error.variable_name(), Some(name));
        let warnings = warnings(builder(&[(name, value)]));
        assert!(!warnings.is_empty(), "{value}");
        assert!(!format!("{error} {error:?} {warnings:?}").contains("s3cret"), "{error:?}");
    }
}

#[test]
fn settings_in_code_are_errors() {
    let endpoint = |url: &str| builder(&[]).with_otlp(Otlp::new().with_endpoint(url));
    let header = |name: &str| builder(&[]).with_otlp(Otlp::new().with_header(name, "s3cret"));
    let rows = [
        (endpoint("nowhere"), "Otlp::with_endpoint"),
        (endpoint("http://host:99999/s3cret"), "Otlp::with_endpoint"),
        (endpoint("http://host:4318/v1/traces"), "Otlp::with_endpoint"),
        (endpoint("http://host:4317/s3cret"), "Otlp::with_endpoint"),
        (endpoint("nowhere").with_console_by_default(), "Otlp::with_endpoint"),
        (header("a b"), "Otlp::with_header"),
        (header("host"), "Otlp::with_header"),
        (builder(&[]).with_otlp(Otlp::new().with_timeout(Duration::ZERO)), "Otlp::with_timeout"),
        (builder(&[]).with_metric_interval(Duration::ZERO), "with_metric_interval"),
        (builder(&[]).with_boundaries("a", [2.0, 1.0]), "with_boundaries"),
        (builder(&[]).with_boundaries("a", [f64::NAN]), "with_boundaries"),
        (builder(&[]).with_cardinality_limit("a", 0), "with_cardinality_limit"),
        (builder(&[]).with_exporters(Signal::Logs, [Exporter::Prometheus]), "with_exporters"),
    ];
    for (builder, setting) in rows {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{setting}: ")), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

/// `fn main() -> Result<(), Box<dyn Error>>` prints errors by `Debug`.
#[tokio::test]
async fn debug_prints_the_sentence_and_its_source() {
    let setup = builder(&[]).with_metric_interval(Duration::ZERO).build().unwrap_err();
    assert_eq!(format!("{setup:?}"), setup.to_string());

    let down = format!("http://{}", nowhere());
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &down)]);
    spans(&telemetry, 1);
    let undelivered = telemetry.shutdown(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(format!("{undelivered:?}"), undelivered.to_string());

    let server = GracefulShutdown::new(crate::telemetry(&[("OTEL_SDK_DISABLED", "true")]));
    let error = server.serve(|_| async { Err::<(), _>("no port") }).await.unwrap_err();
    assert_eq!(format!("{error:?}"), format!("{error}: no port"));
    for text in [format!("{setup:?}"), format!("{undelivered:?}"), format!("{error:?}")] {
        assert!(!text.contains(['{', '}']), "{text}");
    }
}

/// The subscriber belongs to the process, so this test runs itself in one.
#[test]
fn a_second_build_says_what_is_in_the_way() {
    let telemetry = || builder(&[("OTEL_SDK_DISABLED", "true")]);
    if env::var_os("RUN_SECOND_BUILD").is_some() {
        let first = telemetry().with_log_lines(LogFormat::Json).build().unwrap();
        // Without log lines, a process can set telemetry up as often as it likes.
        drop(telemetry().build().unwrap());
        let error = telemetry().with_log_lines(LogFormat::Json).build().unwrap_err();
        println!("error: {error}");
        drop(first);
        return;
    }
    if env::var_os("RUN_FOREIGN_LOGGER").is_some() {
        struct Foreign;
        impl log::Log for Foreign {
            fn enabled(&self, _: &log::Metadata<'_>) -> bool {
                false
            }
            fn log(&self, _: &log::Record<'_>) {}
            fn flush(&self) {}
        }
        log::set_logger(&Foreign).unwrap();
        drop(telemetry().with_log_lines(LogFormat::Json).build().unwrap());
        return;
    }
    // A logger of the `log` crate is not in the way of a subscriber of `tracing`.
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "errors::a_second_build_says_what_is_in_the_way", "--nocapture"])
        .env("RUN_FOREIGN_LOGGER", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("another logger of the `log` crate is installed"), "{text}");
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "errors::a_second_build_says_what_is_in_the_way", "--nocapture"])
        .env("RUN_SECOND_BUILD", "1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = text.lines().find_map(|line| line.strip_prefix("error: ")).expect(&text);
    assert_eq!(
        error,
        "with_log_lines: a global subscriber of `tracing` is already installed, by an earlier \
         `build` or by other code. Call `build` with `with_log_lines` once per process, or add the \
         layers of `tower_telemetry::logs` to the subscriber that is installed"
    );
}
