//! Warnings and notices at start.

use std::{
    env,
    io::Write,
    process::Command,
    sync::{Arc, Mutex},
};

use tower_telemetry::setup::TelemetryBuilder;

use crate::builder;

/// Builds telemetry and returns the text of each notice.
pub(crate) fn warnings(builder: TelemetryBuilder) -> Vec<String> {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer({
            let written = written.clone();
            move || written.clone()
        })
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        // `tracing` forgets a new subscriber if another thread meets the event for the first time just now.
        tracing::callsite::rebuild_interest_cache();
        drop(builder.build().unwrap());
    });
    let text = written.0.lock().unwrap();
    let lines = text.lines().filter(|line| line.contains("WARN tower_telemetry: "));
    lines.map(|line| line.split_once("tower_telemetry: ").unwrap().1.to_owned()).collect()
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<String>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

/// One line for all signals.
#[test]
fn suspicious_settings_are_pointed_out() {
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let rows: &[Row<'_>] = &[
        (&[], &[]),
        (&[(ENDPOINT, "http://localhost:4318")], &[]),
        (&[(PROTOCOL, "grpc"), (ENDPOINT, "http://localhost:4317")], &[]),
        (
            &[(ENDPOINT, "http://localhost:4317")],
            &["OTLP to http://localhost:4317 uses gRPC, because no protocol is set"],
        ),
        (
            &[(PROTOCOL, "http/protobuf"), (ENDPOINT, "http://localhost:4317")],
            &["OTLP to http://localhost:4317 uses http/protobuf, but receivers expect grpc"],
        ),
        (
            &[(PROTOCOL, "grpc"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318")],
            &["OTLP to http://localhost:4318 uses grpc, but receivers expect http/protobuf"],
        ),
        (
            &[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://localhost:4318")],
            &["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT has no path and is used as it is"],
        ),
        (
            &[("HTTPS_PROXY", "http://proxy:3128"), ("all_proxy", "http://proxy:3128")],
            &["HTTPS_PROXY, all_proxy: no effect on OTLP, which is exported without a proxy"],
        ),
        (
            &[
                ("HTTP_PROXY", "http://proxy:3128"),
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_METRICS_EXPORTER", "none"),
                ("OTEL_LOGS_EXPORTER", "none"),
            ],
            &[],
        ),
        // The settings of an unused destination are not pointed out, only checked.
        (
            &[
                (ENDPOINT, "http://localhost:4317"),
                (PROTOCOL, "grpd"),
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_METRICS_EXPORTER", "none"),
                ("OTEL_LOGS_EXPORTER", "none"),
            ],
            &["invalid value \"grpd\" for OTEL_EXPORTER_OTLP_PROTOCOL"],
        ),
    ];
    for (variables, expected) in rows {
        // They are no faults: strict mode takes them.
        let is_fault = expected.iter().any(|text| text.starts_with("invalid"));
        let builder = builder(variables);
        let builder = if is_fault { builder } else { builder.with_strict_environment() };
        let warnings = warnings(builder);
        assert_eq!(warnings.len(), expected.len(), "{variables:?}: {warnings:?}");
        for (warning, expected) in warnings.iter().zip(*expected) {
            assert!(warning.starts_with(expected), "{warning}");
        }
    }
}

/// A first run without an endpoint prints to the console, and finds mistakes nevertheless.
#[test]
fn settings_are_checked_if_the_console_stands_in() {
    let variables =
        [(PROTOCOL, "grpd"), ("OTEL_EXPORTER_OTLP_HEADERS", "x"), ("OTEL_BSP_SCHEDULE_DELAY", "x")];
    let warnings = warnings(builder(&variables).with_console_by_default());
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

/// Names are found only in the environment of a process, so this test runs itself in one.
#[test]
fn misspelled_names_are_pointed_out() {
    if env::var_os("OTEL_MISSPELLED_NAMES").is_some() {
        let from_env = || tower_telemetry::Telemetry::builder().without_globals();
        for warning in warnings(from_env()) {
            println!("warning: {warning}");
        }
        let error = from_env().with_strict_environment().build().unwrap_err();
        println!("error: {error}");
        return;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "notices::misspelled_names_are_pointed_out", "--nocapture"])
        .envs([
            ("OTEL_MISSPELLED_NAMES", "1"),
            ("OTEL_EXPORTER_OTLP_ENDPONT", "http://localhost:1"),
            ("OTEL_TRACES_SAMLPER", "always_off"),
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_PYTHON_LOG_CORRELATION", "true"),
            ("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET"),
            ("OTEL_EXPORTER_OTLP_TRACE_ENDPOINTS", ""),
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.contains("OTEL_")).collect();
    let expected = [
        "warning: OTEL_EXPORTER_OTLP_ENDPONT is not a known variable: is \
         OTEL_EXPORTER_OTLP_ENDPOINT meant?; it is ignored",
        "warning: OTEL_TRACES_SAMLPER is not a known variable: is OTEL_TRACES_SAMPLER meant?; it \
         is ignored",
        "warning: OTEL_MISSPELLED_NAMES: not variables of the specification, no effect",
        "error: OTEL_EXPORTER_OTLP_ENDPONT is not a known variable: is \
         OTEL_EXPORTER_OTLP_ENDPOINT meant?",
    ];
    assert_eq!(lines, expected, "{text}");
}
