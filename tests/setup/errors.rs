//! What settings can't mean, and what errors must not tell.

use std::time::Duration;

use tower_telemetry::setup::{Exporter, GracefulShutdown, Otlp, Signal};

use crate::{builder, receiver::nowhere, spans, telemetry};

#[test]
fn what_cannot_be_meant_is_an_error() {
    let ok = ["", " "];
    let numbers = ["x", "-1", "0", "1.5", "99999999999999999999999"];
    let sizes = ["x", "-1", "0", "1.5", "1000001"];
    let rows: &[(&str, &[&str], &str)] = &[
        ("OTEL_SDK_DISABLED", &["yes", "1"], "true, false"),
        (
            "OTEL_TRACES_EXPORTER",
            &["jaeger", "prometheus", "otlp,x", "otlp;none"],
            "otlp, console, none",
        ),
        ("OTEL_METRICS_EXPORTER", &["statsd"], "otlp, console, none, prometheus"),
        ("OTEL_LOGS_EXPORTER", &["prometheus"], "otlp, console, none"),
        ("OTEL_PROPAGATORS", &["b3", "tracecontext,jaeger"], "tracecontext, baggage, none"),
        ("OTEL_TRACES_SAMPLER", &["sometimes", "xray"], "parentbased_traceidratio"),
        ("OTEL_RESOURCE_ATTRIBUTES", &["a", "=b", "a=b,c", "a=%FF"], "percent-encoded"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", &["http", "http/json", "grpcs"], "grpc, http/protobuf"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", &["udp"], "grpc, http/protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", &["zstd", "snappy"], "gzip, none"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", &["br"], "gzip, none"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            &[
                "localhost:4318",
                "localhost",
                "ftp://a",
                "http://",
                "http://a b",
                "//a:1",
                "unix:///a",
            ],
            "a URL like http://host:port",
        ),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &["collector"], "a URL like http://host:port"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", &numbers, "milliseconds, from 1"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", &numbers, "milliseconds, from 1"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            &["gauge"],
            "cumulative, delta, lowmemory",
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", &numbers, "milliseconds, from 1"),
        ("OTEL_BSP_EXPORT_TIMEOUT", &numbers, "milliseconds, from 1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", &sizes, "a number from 1 to 1000000"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &["0", "2049"], "a number from 1"),
        ("OTEL_BLRP_SCHEDULE_DELAY", &numbers, "milliseconds, from 1"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", &numbers, "milliseconds, from 1"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", &sizes, "a number from 1 to 1000000"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", &["0", "2049"], "a number from 1"),
        ("OTEL_METRIC_EXPORT_INTERVAL", &numbers, "milliseconds, from 1"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", &numbers, "milliseconds, from 1"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &["x", "-1"], "a number from 0"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", &["x"], "a number from 0"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", &["x"], "a number from 0"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &["x"], "a number from 0"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &["x"], "a number from 0"),
    ];
    for (name, values, allowed) in rows {
        for value in *values {
            let error = builder(&[(name, value)]).build().unwrap_err();
            assert_eq!(error.variable_name(), Some(*name), "{value}");
            let text = error.to_string();
            assert!(text.starts_with(&format!("{name} is {value:?}; allowed: ")), "{text}");
            assert!(text.contains(allowed), "{text}");
        }
        for value in ok {
            drop(builder(&[(name, value)]).build().expect("an empty value is an unset one"));
        }
    }
    let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1.1")];
    let error = builder(&ratio).build().unwrap_err().to_string();
    assert_eq!(error, "OTEL_TRACES_SAMPLER_ARG is \"1.1\"; allowed: a number from 0 to 1");
}

/// The values of headers, and credentials in a URL, are in no error.
#[test]
fn secrets_are_not_told() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret,b"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a b=s3cret"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=%0As3cret"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cret@host:4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "me:s3cret@host:4318"),
    ] {
        let error = builder(&[(name, value)]).build().unwrap_err();
        assert_eq!(error.variable_name(), Some(name));
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
}

#[test]
fn settings_in_code_are_checked_too() {
    let rows = [
        (builder(&[]).with_otlp(Otlp::new().with_endpoint("nowhere")), "Otlp::with_endpoint"),
        (builder(&[]).with_otlp(Otlp::new().with_header("a b", "s3cret")), "Otlp::with_header"),
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
