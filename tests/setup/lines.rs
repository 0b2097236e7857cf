//! Log lines, as they come out of a process: this test's own, run again for what it prints.

use std::process::Command;

use opentelemetry::{
    Context,
    trace::{
        SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
    },
};
use serde_json::Value;
use tower_telemetry::{
    Telemetry,
    logs::{self, LogFormat},
};
use tracing_subscriber::layer::SubscriberExt;

use crate::{all_signals, builder, receiver::nowhere, spans};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// What a test of this file prints when it is run alone, on either way out.
fn printed_by(test: &str) -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let text = [output.stdout, b"\n".to_vec(), output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(output.status.success(), "{text}");
    text.lines().map(str::to_owned).collect()
}

fn within_span(f: impl FnOnce()) {
    let span = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex(SPAN).unwrap(),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    let _attached = Context::new().with_remote_span_context(span).attach();
    f();
}

fn nothing_exported() -> Telemetry {
    let none = ["TRACES", "METRICS", "LOGS"].map(|signal| format!("OTEL_{signal}_EXPORTER"));
    builder(&none.each_ref().map(|name| (name.as_str(), "none"))).build().unwrap()
}

#[test]
fn pretty_lines() {
    let lines = printed_by("lines::prints_pretty_lines");
    let line = |text: &str| {
        let line = lines.iter().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("{text}: {lines:#?}")).clone()
    };
    let ids = format!(" trace_id={TRACE} span_id={SPAN}");
    for text in ["INFO setup::lines: inside amount=3", "WARN setup::lines: from log"] {
        assert!(line(text).ends_with(&ids), "{}", line(text));
    }
    assert!(line("outside").ends_with("outside"));
    assert!(!lines.iter().any(|line| line.contains("too fine")), "{lines:#?}");
}

#[test]
#[ignore = "run by `pretty_lines`, alone"]
fn prints_pretty_lines() {
    let lines = |format| {
        let variables = |name: &str| name.ends_with("_EXPORTER").then(|| "none".to_owned());
        Telemetry::builder().with_variables(variables).without_globals().with_log_lines(format)
    };
    let telemetry = lines(LogFormat::Pretty).build().unwrap();
    within_span(|| {
        tracing::info!(amount = 3, "inside");
        tracing::debug!("too fine");
        log::warn!("from log");
    });
    tracing::info!("outside");
    // There is one subscriber for a process.
    let error = lines(LogFormat::Json).build().unwrap_err();
    assert!(error.to_string().starts_with("with_log_lines: "), "{error}");
    drop(telemetry);
}

/// Whatever the order of layers, and whether a span of `tracing` is between or not.
#[test]
fn json_lines() {
    let lines = printed_by("lines::prints_json_lines");
    let lines: Vec<Value> =
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let messages: Vec<_> = lines.iter().map(|line| line["fields"]["message"].clone()).collect();
    let expected = ["inside", "deeper", "outside"];
    assert_eq!(messages, [expected, expected, expected].concat());
    for (n, line) in lines.iter().enumerate() {
        let message = line["fields"]["message"].as_str().unwrap();
        if message == "outside" {
            assert!(line.get("trace_id").is_none() && line.get("span_id").is_none(), "{line}");
            continue;
        }
        assert_eq!(line["trace_id"], TRACE, "{line}");
        assert_eq!(line["trace_flags"], "01");
        // With tracing-opentelemetry a span of `tracing` has an id of its own.
        let own_id = message == "deeper" && n < 6;
        assert_eq!(line["span_id"] == SPAN, !own_id, "{line}");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["target"], "setup::lines");
        assert_eq!(line["fields"]["trace_id"], "a field, \"quoted\" {and braced}");
    }
}

#[test]
#[ignore = "run by `json_lines`, alone"]
fn prints_json_lines() {
    let telemetry = nothing_exported();
    let tracer = || telemetry.tracer_provider().tracer("test");
    let prints = || {
        let field = "a field, \"quoted\" {and braced}";
        within_span(|| {
            tracing::info!(trace_id = field, "inside");
            tracing::info_span!("deeper").in_scope(|| tracing::info!(trace_id = field, "deeper"));
        });
        tracing::info!("outside");
    };
    let registry = tracing_subscriber::registry;
    let before =
        registry().with(logs::json()).with(tracing_opentelemetry::layer().with_tracer(tracer()));
    let behind =
        registry().with(tracing_opentelemetry::layer().with_tracer(tracer())).with(logs::json());
    tracing::subscriber::with_default(before, prints);
    tracing::subscriber::with_default(behind, prints);
    tracing::subscriber::with_default(registry().with(logs::json()), prints);
}

/// To the console goes what the environment sends there; and what a drop could not deliver is told.
#[test]
fn console_and_drop() {
    let lines = printed_by("lines::prints_to_the_console");
    let text = lines.join("\n");
    for expected in [
        "span   Internal \"order\"",
        "span   Internal \"pay\"",
        "metric orders 3 kind=gift",
        "log    INFO shop ordered amount=3  trace=",
        "tower_telemetry: not delivered: 7 spans, 0 spans that had not ended, 0 log records",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
#[ignore = "run by `console_and_drop`, alone"]
fn prints_to_the_console() {
    let console = ["TRACES", "METRICS", "LOGS"].map(|signal| format!("OTEL_{signal}_EXPORTER"));
    let variables = console.each_ref().map(|name| (name.as_str(), "Console"));
    let telemetry = builder(&variables).build().unwrap();
    all_signals(&telemetry);
    drop(telemetry);

    let down = format!("http://{}", nowhere());
    let telemetry =
        builder(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &down), ("OTEL_BSP_EXPORT_TIMEOUT", "300")]);
    let telemetry = telemetry.build().unwrap();
    spans(&telemetry, 7);
    drop(telemetry);
}
