//! The console: traces as trees, and metrics as a table.

use std::time::{Duration, SystemTime};

use opentelemetry::{
    Context, KeyValue,
    metrics::MeterProvider,
    trace::{
        Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceState, Tracer,
        TracerProvider,
    },
};
use tower_telemetry::{Telemetry, logs::LogFormat};

use crate::{
    builder,
    printed::{SPAN, line_with, printed, within_span},
};

const CONSOLE: [(&str, &str); 3] = [
    ("OTEL_TRACES_EXPORTER", "console"),
    ("OTEL_METRICS_EXPORTER", "console"),
    ("OTEL_LOGS_EXPORTER", "console"),
];

fn console() -> Telemetry {
    builder(&CONSOLE).with_log_lines(LogFormat::Auto).build().unwrap()
}

/// Returns the lines between a line that begins with a text and an empty line or the end.
fn tree(lines: &[String], first: &str) -> Vec<String> {
    let from = lines.iter().position(|line| line.starts_with(first));
    let from = from.unwrap_or_else(|| panic!("no line begins with {first:?}: {lines:#?}"));
    let rest = lines[from..].iter().take_while(|line| !line.is_empty() && *line != "end");
    rest.map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn a_trace_is_a_tree() {
    let lines = printed("console::a_trace_is_a_tree", || {
        let telemetry = console();
        let tracer = telemetry.tracer_provider().tracer("test");
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let at = |millis| begin + Duration::from_millis(millis);
        within_span(|| {
            let mut root = tracer
                .span_builder("POST /orders")
                .with_kind(SpanKind::Server)
                .with_start_time(at(0))
                .with_attributes([KeyValue::new("http.response.status_code", 502)])
                .start(&tracer);
            root.set_attribute(KeyValue::new("error.type", "502"));
            root.set_status(Status::error("the supplier is away"));
            let cx = Context::current_with_span(root);
            let child = |name: &'static str, kind, from: u64, to: u64, attributes: &[KeyValue]| {
                let builder = tracer.span_builder(name).with_kind(kind).with_start_time(at(from));
                let attributes = attributes.iter().cloned();
                let mut span = builder.with_attributes(attributes).start_with_context(&tracer, &cx);
                span.add_event_with_timestamp(
                    "sent",
                    at(from + 1),
                    vec![KeyValue::new("bytes", 7)],
                );
                span.end_with_timestamp(at(to));
            };
            let server = [
                KeyValue::new("server.address", "supplier"),
                KeyValue::new("server.port", 8002),
                KeyValue::new("error.type", "timeout"),
            ];
            // Children are ordered by their start, and not by their end.
            child(
                "a second call, whose name has more characters than fit",
                SpanKind::Internal,
                60,
                80,
                &[],
            );
            child("POST", SpanKind::Client, 20, 40, &server);
            cx.span().end_with_timestamp(at(100));
        });
        println!("end");
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    let tree = tree(&lines, "POST /orders");
    let expected = [
        "POST /orders 502                         ████████████████████   100.0ms 4bf92f35",
        "  ! the supplier is away",
        "└ POST → supplier:8002 timeout               ████                20.0ms",
        "    +21.0ms · sent bytes=7",
        "└ a second call, whose name…ers than fit             ████        20.0ms",
        "    +61.0ms · sent bytes=7",
    ];
    assert_eq!(tree[..6], expected, "{tree:#?}");
    assert!(tree.iter().all(|line| line.chars().count() <= 80), "{tree:#?}");
}

#[test]
fn lines_are_within_the_tree_or_beside_it() {
    let lines = printed("console::lines_are_within_the_tree_or_beside_it", || {
        let telemetry = console();
        let tracer = telemetry.tracer_provider().tracer("test");
        tracing::info!("outside");
        tracer.in_span("GET /", |_| {
            tracing::info_span!("order", id = 7).in_scope(|| tracing::warn!(amount = 3, "inside"));
            tracing::info!("beside");
        });
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    let outside = line_with(&lines, "outside");
    let time = outside.split(' ').next().unwrap();
    assert_eq!(time.len(), "09:30:00.123".len(), "{outside}");
    assert!(outside.ends_with("  INFO setup::console: outside"), "{outside}");
    let tree = tree(&lines, "GET /");
    assert!(tree[1].ends_with("  WARN order{id=7}: setup::console: inside amount=3"), "{tree:#?}");
    assert!(tree[2].ends_with("  INFO setup::console: beside"), "{tree:#?}");
    assert!(tree[1].starts_with("  +"), "{tree:#?}");
    assert_eq!(lines.iter().filter(|line| line.contains("inside")).count(), 1, "{lines:#?}");
}

/// A server's span of the same process has a remote parent, and ends before its client's.
#[test]
fn a_trace_is_printed_when_none_of_its_spans_is_open() {
    let lines = printed("console::a_trace_is_printed_when_none_of_its_spans_is_open", || {
        let telemetry = console();
        let tracer = telemetry.tracer_provider().tracer("test");
        tracer.in_span("client", |cx| {
            let remote = cx.span().span_context().clone();
            let remote = opentelemetry::trace::SpanContext::new(
                remote.trace_id(),
                remote.span_id(),
                remote.trace_flags(),
                true,
                remote.trace_state().clone(),
            );
            let cx = Context::new().with_remote_span_context(remote);
            tracer.start_with_context("server", &cx).end();
        });
        // Ends after its parent: a tree of its own.
        let late = tracer.in_span("parent", |cx| tracer.start_with_context("late", &cx));
        drop(late);
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    assert!(tree(&lines, "client")[1].starts_with("└ server"), "{lines:#?}");
    assert!(tree(&lines, "parent")[1].starts_with("└ late"), "{lines:#?}");
}

#[test]
fn lines_of_a_long_trace_do_not_wait_for_its_end() {
    let lines = printed("console::lines_of_a_long_trace_do_not_wait_for_its_end", || {
        let variables = [CONSOLE[0], ("OTEL_METRICS_EXPORTER", "none"), CONSOLE[2]];
        let telemetry = builder(&variables).with_log_lines(LogFormat::Pretty).build().unwrap();
        let tracer = telemetry.tracer_provider().tracer("test");
        tracer.in_span("hangs", |_| {
            tracing::info!("first");
            // The program does nothing meanwhile, as a request that hangs.
            std::thread::sleep(Duration::from_millis(1500));
            println!("still hangs");
        });
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    let at = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
    assert!(at("first") < at("still hangs"), "{lines:#?}");
}

#[test]
fn the_console_is_bounded() {
    let lines = printed("console::the_console_is_bounded", || {
        let variables = [CONSOLE[0], ("OTEL_METRICS_EXPORTER", "none"), CONSOLE[2]];
        let telemetry = builder(&variables).build().unwrap();
        let tracer = telemetry.tracer_provider().tracer("test");
        // More than 200 spans in one trace.
        tracer.in_span("large", |cx| {
            (0..250).for_each(|_| tracer.start_with_context("small", &cx).end());
        });
        // More than 1000 traces at a time, and more than 20 in a second.
        let mut open: Vec<_> = (0..1500).map(|_| tracer.start("one of many")).collect();
        open.iter_mut().step_by(3).for_each(|span| span.set_status(Status::error("failed")));
        drop(open);
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    // The root ends last, and is there.
    assert!(tree(&lines, "large")[1].starts_with("└ small"), "{lines:#?}");
    line_with(&lines, "… 50 more spans and lines");
    let printed = lines.iter().filter(|line| line.starts_with("one of many")).count();
    let mut failed = lines.iter().filter(|line| line.contains("! failed")).count();
    let mut traces = printed;
    for line in lines.iter().filter(|line| line.contains("traces more")) {
        let mut numbers = line.split(' ').filter_map(|word| word.parse::<usize>().ok());
        traces += numbers.next().unwrap();
        failed += numbers.next().unwrap();
    }
    assert!((10..200).contains(&printed), "{printed}");
    assert_eq!((traces, failed), (1500, 500), "{lines:#?}");
}

/// Runs a function within a span of another process, of the same trace.
fn within_remote(cx: &Context, f: impl FnOnce()) {
    let context = cx.span().span_context().clone();
    let remote = SpanContext::new(
        context.trace_id(),
        SpanId::from_hex(SPAN).unwrap(),
        context.trace_flags(),
        true,
        TraceState::default(),
    );
    let _attached = Context::new().with_remote_span_context(remote).attach();
    f();
}

/// A trace with too many lines has its span nevertheless, and lines of a span elsewhere are not lost.
#[test]
fn a_trace_with_many_lines_has_its_span() {
    let lines = printed("console::a_trace_with_many_lines_has_its_span", || {
        let telemetry = console();
        let tracer = telemetry.tracer_provider().tracer("test");
        tracer.in_span("talks", |cx| {
            (0..300).for_each(|number| tracing::info!("line {number}"));
            within_remote(&cx, || tracing::info!("of another process"));
        });
        tracer.in_span("calls", |cx| {
            within_remote(&cx, || tracing::info!("of another process"));
        });
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    let talks = tree(&lines, "talks");
    assert!(talks[1].ends_with("line 0") && talks[150].ends_with("line 149"), "{talks:#?}");
    line_with(&lines, "… 151 more spans and lines");
    assert!(tree(&lines, "calls")[1].ends_with("of another process"), "{lines:#?}");
}

#[test]
fn the_table_is_printed_if_something_has_changed() {
    let lines = printed("console::the_table_is_printed_if_something_has_changed", || {
        let telemetry = builder(&CONSOLE).build().unwrap();
        let meter = telemetry.meter_provider().meter("test");
        let durations = meter.f64_histogram("http.server.request.duration").with_unit("s").build();
        let orders = meter.u64_counter("shop.orders").with_unit("{order}").build();
        let route = |name: &'static str| KeyValue::new("http.route", name);
        let get = KeyValue::new("http.request.method", "GET");
        durations.record(0.002, &[get.clone(), route("/users/{id}")]);
        durations.record(0.004, &[get, route("/users/{id}"), KeyValue::new("error.type", "500")]);
        orders.add(3, &[KeyValue::new("kind", "gift")]);
        for _ in 0..3 {
            telemetry.meter_provider().force_flush().unwrap();
        }
        println!("end");
        orders.add(1, &[]);
        telemetry.meter_provider().force_flush().unwrap();
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    let rows = lines.iter().filter(|line| line.starts_with("GET /users/{id} ")).collect::<Vec<_>>();
    assert_eq!(rows.len(), 2, "once before the end, and once after it: {lines:#?}");
    let words: Vec<_> = rows[0].split_whitespace().collect();
    assert_eq!(words[..4], ["GET", "/users/{id}", "2", "1"], "{words:?}");
    let gifts = lines.iter().filter(|line| line.starts_with("shop.orders kind=gift ")).count();
    assert_eq!(gifts, 1, "only what has changed: {lines:#?}");
    assert!(line_with(&lines, "shop.orders  ").ends_with(" 1"));
}
