//! Lines on standard output, as they leave a process: each test runs itself again and reads what
//! that process prints.

use std::cell::RefCell;

use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_sdk::trace::Span as SdkSpan;
use serde_json::Value;
use tower_telemetry::{
    logs::{self, JsonFormat, Levels, LogFormat},
    setup::TelemetryBuilder,
};
use tracing_subscriber::layer::SubscriberExt;

use crate::{
    all_signals, builder,
    printed::{SPAN, TRACE, line_with, within_span},
    receiver::nowhere,
    spans,
};

fn printed(test: &str, prints: impl FnOnce()) -> Option<Vec<String>> {
    crate::printed::printed(&format!("lines::{test}"), prints)
}

pub(crate) fn nothing_exported() -> TelemetryBuilder {
    builder(&[
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ])
}

#[test]
fn pretty_lines_end_with_the_ids() {
    let lines = printed("pretty_lines_end_with_the_ids", || {
        let telemetry = nothing_exported().with_log_lines(LogFormat::Pretty).build().unwrap();
        within_span(|| {
            tracing::info!(amount = 3, "inside");
            tracing::debug!("too fine");
            log::warn!("from log");
        });
        tracing::info!("outside");
        // A process has one subscriber.
        let error = nothing_exported().with_log_lines(LogFormat::Json).build().unwrap_err();
        assert!(error.to_string().starts_with("with_log_lines: "), "{error}");
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    let ids = format!(" trace_id={TRACE} span_id={SPAN}");
    for text in ["INFO setup::lines: inside amount=3", "WARN setup::lines: from log"] {
        let line = line_with(&lines, text);
        assert!(line.ends_with(&ids), "{line}");
    }
    assert!(line_with(&lines, "outside").ends_with("outside"));
    assert!(!lines.iter().any(|line| line.contains("too fine")), "{lines:#?}");
}

#[test]
fn json_lines_have_the_ids_whatever_the_order_of_layers() {
    let lines = printed("json_lines_have_the_ids_whatever_the_order_of_layers", || {
        let telemetry = nothing_exported().build().unwrap();
        let tracer = || telemetry.tracer_provider().tracer("test");
        let prints = || {
            let field = "a field, \"quoted\" {and braced}";
            within_span(|| {
                tracing::info!(trace_id = field, "inside");
                tracing::info_span!("deeper")
                    .in_scope(|| tracing::info!(trace_id = field, "deeper"));
            });
            tracing::info!("outside");
        };
        let registry = tracing_subscriber::registry;
        let before = registry()
            .with(logs::json())
            .with(tracing_opentelemetry::layer().with_tracer(tracer()));
        let behind = registry()
            .with(tracing_opentelemetry::layer().with_tracer(tracer()))
            .with(logs::json());
        tracing::subscriber::with_default(before, prints);
        tracing::subscriber::with_default(behind, prints);
        tracing::subscriber::with_default(registry().with(logs::json()), prints);
    });
    let Some(lines) = lines else { return };
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
        // With tracing-opentelemetry, a span of `tracing` has an id of its own.
        let has_own_id = message == "deeper" && n < 6;
        assert_eq!(line["span_id"] == SPAN, !has_own_id, "{line}");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["target"], "setup::lines");
        assert_eq!(line["fields"]["trace_id"], "a field, \"quoted\" {and braced}");
    }
}

#[test]
fn records_of_the_log_crate_do_not_repeat_their_metadata() {
    let lines = printed("records_of_the_log_crate_do_not_repeat_their_metadata", || {
        let format = JsonFormat::new().with_service_key("service.name");
        let telemetry = nothing_exported()
            .with_service_name("shop")
            .with_log_lines(LogFormat::CustomJson(format))
            .build()
            .unwrap();
        log::warn!("plain");
        log::warn!(target: "forged\n\u{1b}[2Jtarget", "hostile\r\nmessage");
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    let json = |text| -> Value { serde_json::from_str(line_with(&lines, text)).unwrap() };
    let plain = json("plain");
    assert_eq!(plain["fields"], serde_json::json!({ "message": "plain" }));
    assert_eq!(plain["target"], "setup::lines");
    assert_eq!(plain["service.name"], "shop");
    let hostile = json("hostile");
    assert_eq!(hostile["fields"]["message"], "hostile\r\nmessage");
    assert_eq!(hostile["target"], "forged\n\u{1b}[2Jtarget");
}

#[test]
fn control_characters_reach_neither_pretty_lines_nor_the_console() {
    let lines = printed("control_characters_reach_neither_pretty_lines_nor_the_console", || {
        let telemetry = builder(&[
            ("OTEL_TRACES_EXPORTER", "console"),
            ("OTEL_METRICS_EXPORTER", "console"),
            ("OTEL_LOGS_EXPORTER", "console"),
        ]);
        let telemetry = telemetry.with_log_lines(LogFormat::Pretty).build().unwrap();
        log::warn!(target: "forged\nline\u{1b}[2J", "forged\nline\r\u{9b}31m\u{7f}");
        tracing::warn!(value = %"forged\nline\u{1b}[2J", "of a field");
        let tracer = telemetry.tracer_provider().tracer("test");
        let mut span = tracer.start("forged\nline\u{1b}[2J");
        let hostile = opentelemetry::KeyValue::new("forged\nline", "forged\nline\u{1b}[2J");
        span.set_attribute(hostile.clone());
        span.add_event("forged\nline\u{1b}", vec![hostile.clone()]);
        span.end();
        let meters = telemetry.meter_provider();
        let meter = opentelemetry::metrics::MeterProvider::meter(meters, "test");
        meter.u64_counter("orders").build().add(1, &[hostile]);
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    let count = lines.iter().filter(|line| line.contains(r"forged\nline")).count();
    // Two log lines; a span and its event; a series.
    assert_eq!(count, 2 + 2 + 1, "{lines:#?}");
    assert!(!lines.iter().any(|line| line.starts_with("line")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains(char::is_control)), "{lines:#?}");
}

#[test]
fn the_console_prints_all_signals_and_a_drop_reports_what_is_lost() {
    let test = "the_console_prints_all_signals_and_a_drop_reports_what_is_lost";
    let lines = printed(test, || {
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
    });
    let Some(lines) = lines else { return };
    let text = lines.join("\n");
    for expected in [
        "\norder ",
        "\n└ pay ",
        "\norders kind=gift  ",
        " INFO shop: ordered amount=3",
        "tower_telemetry: not delivered: 7 spans, 0 spans that had not ended, 0 log records",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// `futures_executor::block_on` panics inside another `block_on`.
#[test]
fn the_console_prints_spans_that_end_within_an_executor_or_a_destructor() {
    let test = "the_console_prints_spans_that_end_within_an_executor_or_a_destructor";
    let lines = printed(test, || {
        let telemetry = builder(&[
            ("OTEL_TRACES_EXPORTER", "console"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "console"),
        ]);
        let telemetry = telemetry.build().unwrap();
        let tracer = telemetry.tracer_provider().tracer("test");
        let bridge = logs::bridge(telemetry.logger_provider());
        let subscriber = tracing_subscriber::registry().with(bridge);
        tracing::subscriber::with_default(subscriber, || {
            futures_executor::block_on(async {
                tracer.start("explicit").end();
                drop(tracer.start("dropped"));
                tracing::info!("logged");
            });
        });
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    for text in ["explicit  ", "dropped  ", " INFO setup::lines: logged"] {
        line_with(&lines, text);
    }
}

/// Logs when it is dropped.
struct LogsInDrop(&'static str);

impl Drop for LogsInDrop {
    fn drop(&mut self) {
        tracing::info!(amount = 3, "by tracing in {}", self.0);
        log::info!("by log in {}", self.0);
        tracing::info_span!("cleanup").in_scope(|| tracing::info!("within a span in {}", self.0));
    }
}

thread_local! {
    static FIRST: RefCell<Option<LogsInDrop>> = const { RefCell::new(None) };
    static SECOND: RefCell<Option<LogsInDrop>> = const { RefCell::new(None) };
    static THIRD: RefCell<Option<LogsInDrop>> = const { RefCell::new(None) };
    static SPANS: RefCell<Vec<SdkSpan>> = const { RefCell::new(Vec::new()) };
}

/// Thread-locals are destroyed in an order that depends on their first use. A panic in a destructor
/// aborts the process.
fn thread_locals_log(test: &str, format: LogFormat) {
    let is_json = format == LogFormat::Json;
    let lines = printed(test, || {
        let telemetry = builder(&[
            ("OTEL_TRACES_EXPORTER", "console"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "console"),
        ]);
        let telemetry = telemetry.with_log_lines(format).build().unwrap();
        let first = || FIRST.set(Some(LogsInDrop("first")));
        let second = || SECOND.set(Some(LogsInDrop("second")));
        let third = || THIRD.set(Some(LogsInDrop("third")));
        let line = || tracing::info_span!("span", id = 7).in_scope(|| tracing::info!("line"));
        type Steps<'a> = [&'a dyn Fn(); 4];
        let threads: [fn(Steps<'_>); 4] = [
            |[first, second, third, line]| {
                first();
                within_span(second);
                line();
                third();
            },
            |[first, second, third, line]| {
                within_span(first);
                second();
                within_span(line);
                third();
            },
            |[first, second, third, _]| {
                first();
                tracing::info_span!("span without a line").in_scope(second);
                third();
            },
            // The first line of this thread is that of a destructor.
            |[first, second, third, _]| {
                first();
                second();
                third();
            },
        ];
        for thread in threads {
            let run = move || thread([&first, &second, &third, &line]);
            std::thread::spawn(run).join().unwrap();
        }
        // A span that ends in such a destructor.
        let tracer = telemetry.tracer_provider().tracer("test");
        std::thread::spawn(move || {
            SPANS.set(vec![tracer.start("held by a thread-local")]);
            tracing::info!("line");
        })
        .join()
        .unwrap();
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    line_with(&lines, "held by a thread-local");
    // Beside JSON lines, the console prints the records, too.
    let is_line = |line: &&String| line.starts_with('{') || !is_json;
    for name in ["first", "second", "third"] {
        for place in ["by tracing", "by log", "within a span"] {
            let text = format!("{place} in {name}");
            let count = lines.iter().filter(is_line).filter(|line| line.contains(&text)).count();
            assert_eq!(count, 4, "{text}: {lines:#?}");
        }
    }
}

#[test]
fn thread_locals_log_json_lines_in_their_destructors() {
    thread_locals_log("thread_locals_log_json_lines_in_their_destructors", LogFormat::Json);
}

#[test]
fn thread_locals_log_pretty_lines_in_their_destructors() {
    thread_locals_log("thread_locals_log_pretty_lines_in_their_destructors", LogFormat::Pretty);
}

/// `std::process::exit` runs no destructor and ends the thread that writes.
#[test]
fn the_shutdown_waits_until_lines_are_written() {
    let lines = printed("the_shutdown_waits_until_lines_are_written", || {
        let telemetry = nothing_exported().with_log_lines(LogFormat::Json).build().unwrap();
        (0..5000).for_each(|n| tracing::info!("line {n}"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(telemetry.shutdown(std::time::Duration::from_secs(5))).unwrap();
        std::process::exit(0);
    });
    let Some(lines) = lines else { return };
    line_with(&lines, "line 4999");
}

#[test]
fn lines_after_the_shutdown_are_written_before_the_process_exits() {
    let test = "lines_after_the_shutdown_are_written_before_the_process_exits";
    let lines = printed(test, || {
        let telemetry = nothing_exported().with_log_lines(LogFormat::Json).build().unwrap();
        tracing::info!("before the shutdown");
        drop(telemetry);
        tracing::info!("after the shutdown");
        std::process::exit(0);
    });
    let Some(lines) = lines else { return };
    line_with(&lines, "before the shutdown");
    line_with(&lines, "after the shutdown");
}

#[test]
fn lines_without_telemetry_are_written_before_the_process_exits() {
    let test = "lines_without_telemetry_are_written_before_the_process_exits";
    let lines = printed(test, || {
        let subscriber = tracing_subscriber::registry().with(logs::pretty());
        let _default = tracing::subscriber::set_default(subscriber);
        (0..3).for_each(|n| tracing::info!("line {n}"));
        std::process::exit(0);
    });
    let Some(lines) = lines else { return };
    line_with(&lines, "line 2");
}

#[test]
fn an_invalid_directive_of_rust_log_is_reported_and_ignored() {
    let lines = printed("an_invalid_directive_of_rust_log_is_reported_and_ignored", || {
        let telemetry = builder(&[
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("RUST_LOG", "warn,shop[{user=1,kind=\"gift\"}]=debug,shop=sometimes,till=debug"),
        ]);
        let telemetry = telemetry.with_log_lines(LogFormat::Pretty).build().unwrap();
        tracing::debug!(target: "shop", "not recorded");
        tracing::debug!(target: "till", "recorded");
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    line_with(&lines, "DEBUG till: recorded");
    assert!(!lines.iter().any(|line| line.contains("not recorded")), "{lines:#?}");
    let span = line_with(&lines, "filters by span are not supported");
    assert!(span.contains(r#"WARN tower_telemetry: RUST_LOG: "#), "{span}");
    assert!(span.contains(r"shop[{user=1,kind="), "{span}");
    line_with(&lines, r#"invalid directive "shop=sometimes" is ignored: expected a level"#);
}

#[test]
fn levels_are_read_from_directives() {
    for (directives, on, off, rejected) in [
        ("", "shop=info tower_telemetry=warn", "shop=debug opentelemetry=info", 0),
        ("debug", "shop=debug opentelemetry=warn", "shop=trace opentelemetry=info", 0),
        ("shop=debug", "shop=debug shop=warn tower_telemetry=warn", "till=error", 0),
        ("off", "", "shop=error tower_telemetry=error", 0),
        ("tower_telemetry=off", "", "tower_telemetry=warn", 0),
        ("error,opentelemetry=info", "opentelemetry=info", "shop=warn", 0),
        (" warn , shop = debug ,", "shop=warn", "till=info", 1),
        ("shop[{user=1}]=debug", "shop=info", "shop=debug", 1),
        ("shop[span]=trace,warn", "shop=warn", "shop=info", 1),
        ("warn,[{a=1,b=2}]=trace,shop=debug", "shop=debug", "till=info", 1),
        ("a=b=c,shop=4x,error", "shop=error", "shop=warn", 2),
    ] {
        let levels = Levels::new(directives);
        assert_eq!(levels.rejected().len(), rejected, "{directives}: {:?}", levels.rejected());
        let subscriber = tracing_subscriber::registry().with(levels);
        tracing::subscriber::with_default(subscriber, || {
            for (names, expected) in [(on, true), (off, false)] {
                for name in names.split_whitespace() {
                    assert_eq!(is_enabled(name), expected, "{directives:?}: {name}");
                }
            }
        });
    }
}

/// `tracing` needs the target and the level of a callsite at compile time.
fn is_enabled(name: &str) -> bool {
    use tracing::{Level, enabled};

    match name {
        "shop=error" => enabled!(target: "shop", Level::ERROR),
        "shop=warn" => enabled!(target: "shop", Level::WARN),
        "shop=info" => enabled!(target: "shop", Level::INFO),
        "shop=debug" => enabled!(target: "shop", Level::DEBUG),
        "shop=trace" => enabled!(target: "shop", Level::TRACE),
        "till=error" => enabled!(target: "till", Level::ERROR),
        "till=info" => enabled!(target: "till", Level::INFO),
        "opentelemetry=warn" => enabled!(target: "opentelemetry_sdk", Level::WARN),
        "opentelemetry=info" => enabled!(target: "opentelemetry_sdk", Level::INFO),
        "tower_telemetry=error" => enabled!(target: "tower_telemetry", Level::ERROR),
        "tower_telemetry=warn" => enabled!(target: "tower_telemetry", Level::WARN),
        name => panic!("{name} is not listed"),
    }
}
