//! Formats of log lines, in `fmt` layers with a writer of the test.

use std::{
    error::Error,
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tower_telemetry::logs::{JsonFormat, PrettyFormat, WithTraceContext};
use tracing::Subscriber;
use tracing_subscriber::{
    Layer, Registry,
    fmt::{FormatEvent, FormatFields, MakeWriter},
    layer::SubscriberExt,
};

use crate::printed::{SPAN, TRACE, within_span};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Returns what a layer writes, with and without a current span.
fn written<L>(layer: impl FnOnce(Buffer) -> L, log: impl FnOnce()) -> String
where
    L: Layer<Registry> + Send + Sync,
    tracing_subscriber::layer::Layered<L, Registry>: Subscriber + Send + Sync,
{
    let buffer = Buffer::default();
    let subscriber = tracing_subscriber::registry().with(layer(buffer.clone()));
    tracing::subscriber::with_default(subscriber, log);
    String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
}

fn json_text(format: JsonFormat, log: impl FnOnce()) -> String {
    let layer = |buffer| {
        let layer = tracing_subscriber::fmt::layer().fmt_fields(format.clone());
        layer.event_format(format).with_writer(buffer)
    };
    let text = written(layer, log);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    text
}

fn json_line(format: JsonFormat, log: impl FnOnce()) -> Value {
    let text = json_text(format, log);
    let mut line: Value = serde_json::from_str(&text).unwrap();
    let object = line.as_object_mut().unwrap();
    let times = ["timestamp", "time", "@timestamp"].map(|key| object.remove(key));
    let [time] = &times.into_iter().flatten().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!(time.as_str().unwrap().len(), "2026-11-23T09:30:00.123456Z".len());
    line
}

fn pretty_line(ansi: bool, log: impl FnOnce()) -> String {
    let format = PrettyFormat::new().without_time();
    let layer = |buffer| {
        let layer = tracing_subscriber::fmt::layer().with_ansi(ansi).fmt_fields(format.clone());
        layer.event_format(format).with_writer(buffer)
    };
    let text = written(layer, log);
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line:?}");
    line.to_owned()
}

#[derive(Debug)]
struct Outer(Inner);
#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no order")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no\nconnection")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl Error for Inner {}

fn pays() {
    within_span(|| {
        let span = tracing::info_span!("order", id = 7, user = tracing::field::Empty);
        let _entered = span.entered();
        tracing::warn!(target: "shop", amount = 3, gift.kind = "book", "paid");
    });
}

#[test]
fn json_presets_have_the_keys_of_their_collectors() {
    let spans = json!([{ "id": 7, "name": "order" }]);
    for (format, expected) in [
        (
            JsonFormat::new(),
            json!({
                "trace_id": TRACE, "span_id": SPAN, "trace_flags": "01",
                "level": "WARN", "target": "shop", "spans": spans,
                "fields": { "message": "paid", "amount": 3, "gift.kind": "book" },
            }),
        ),
        (
            JsonFormat::new()
                .with_message_key("msg")
                .with_level_key("severity")
                .with_service_name("till"),
            json!({
                "trace_id": TRACE, "span_id": SPAN, "trace_flags": "01",
                "severity": "WARN", "msg": "paid", "target": "shop", "spans": spans,
                "service.name": "till", "fields": { "amount": 3, "gift.kind": "book" },
            }),
        ),
        (
            JsonFormat::google_cloud("my-project").with_service_name("till"),
            json!({
                "logging.googleapis.com/trace": format!("projects/my-project/traces/{TRACE}"),
                "logging.googleapis.com/spanId": SPAN,
                "logging.googleapis.com/trace_sampled": true,
                "severity": "WARNING", "message": "paid", "target": "shop", "spans": spans,
                "service": "till", "fields": { "amount": 3, "gift.kind": "book" },
            }),
        ),
        (
            JsonFormat::google_cloud(""),
            json!({
                "logging.googleapis.com/trace": TRACE,
                "logging.googleapis.com/spanId": SPAN,
                "logging.googleapis.com/trace_sampled": true,
                "severity": "WARNING", "message": "paid", "target": "shop", "spans": spans,
                "fields": { "amount": 3, "gift.kind": "book" },
            }),
        ),
        (
            JsonFormat::datadog().with_service_name("till"),
            json!({
                "dd.trace_id": 0xa3ce_929d_0e0e_4736_u64.to_string(),
                "dd.span_id": 0x00f0_67aa_0ba9_02b7_u64.to_string(),
                "status": "WARN", "message": "paid", "logger.name": "shop", "spans": spans,
                "service": "till", "fields": { "amount": 3, "gift.kind": "book" },
            }),
        ),
        (
            JsonFormat::ecs().with_service_name("till"),
            json!({
                "trace.id": TRACE, "span.id": SPAN, "ecs.version": "8.11",
                "log.level": "WARN", "message": "paid", "log.logger": "shop", "spans": spans,
                "service.name": "till", "labels": { "amount": 3, "gift_kind": "book" },
            }),
        ),
    ] {
        assert_eq!(json_line(format, pays), expected);
    }
    let line = json_line(JsonFormat::google_cloud(""), || tracing::trace!("fine"));
    assert_eq!(line["severity"], "DEBUG", "Google Cloud has no level below");
}

#[test]
fn json_values_have_their_types() {
    let line = json_line(JsonFormat::new(), || {
        tracing::info!(
            signed = -1_i64,
            unsigned = u64::MAX,
            large = u128::MAX,
            float = 1.5e300,
            whole = 1.0,
            infinite = f64::INFINITY,
            truth = true,
            text = "a \"quoted\" \\ text",
            display = %1.5,
            debug = ?["a"],
            r#type = "raw",
        );
    });
    let expected = json!({
        "signed": -1, "unsigned": u64::MAX, "large": u128::MAX.to_string(),
        "float": 1.5e300, "whole": 1.0, "infinite": null, "truth": true,
        "text": "a \"quoted\" \\ text", "display": "1.5", "debug": "[\"a\"]", "type": "raw",
    });
    assert_eq!(line["fields"], expected);
    let line = json_line(JsonFormat::datadog(), || tracing::info!("only a message"));
    assert_eq!(line["fields"], json!({}));
    let line = json_line(JsonFormat::datadog(), || tracing::info!(only = "a field"));
    assert_eq!((line.get("message"), &line["fields"]["only"]), (None, &json!("a field")));
}

#[test]
fn a_value_that_a_span_records_later_replaces_the_former_one() {
    let text = json_text(JsonFormat::new(), || {
        let empty = tracing::field::Empty;
        let span = tracing::info_span!("order", a = 1, text = "x\",\"a\":[", b = empty, last = 2);
        span.record("b", "first");
        span.record("a", 3);
        span.record("b", 4.5);
        let _entered = span.entered();
        tracing::info_span!("bare").in_scope(|| tracing::info!("paid"));
    });
    assert_eq!(text.matches(r#""a":"#).count(), 1, "{text}");
    let line: Value = serde_json::from_str(&text).unwrap();
    let order = json!({ "a": 3, "text": "x\",\"a\":[", "b": 4.5, "last": 2, "name": "order" });
    assert_eq!(line["spans"], json!([order, { "name": "bare" }]));
}

#[test]
fn errors_keep_their_sources() {
    let error = Outer(Inner);
    let error = || {
        let error = &error as &(dyn Error + 'static);
        tracing::error!(error, "failed");
    };
    let fields = json_line(JsonFormat::new(), error)["fields"].clone();
    let sources = json!(["no\nconnection"]);
    let expected = json!({ "message": "failed", "error": "no order", "error.sources": sources });
    assert_eq!(fields, expected);

    let line = json_line(JsonFormat::ecs(), error);
    assert_eq!(line["error.message"], "no order");
    assert_eq!(line["labels"], json!({ "error": "no order", "error_sources": sources }));

    let line = pretty_line(false, error);
    let expected = r"ERROR setup::formats: failed error=no order error.sources=[no\nconnection]";
    assert_eq!(line, expected);
}

/// A value that forges a line, clears a terminal, and reverses what is displayed.
const HOSTILE: &str = "a\nforged\r\u{1b}[2J\u{9b}2J\u{85}\u{7f}\u{0}\u{2028}\u{202e}z";

#[test]
fn no_value_can_forge_a_line_or_steer_a_terminal() {
    #[derive(Debug)]
    struct Failed;
    impl fmt::Display for Failed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(HOSTILE)
        }
    }
    impl Error for Failed {}
    struct Raw;
    impl fmt::Debug for Raw {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(HOSTILE)
        }
    }
    let failed = Failed;
    let failed = &failed as &(dyn Error + 'static);
    type Row<'a> = (&'static str, &'a dyn Fn());
    let rows: &[Row<'_>] = &[
        ("message", &|| tracing::info!("{HOSTILE}")),
        ("literal message", &|| tracing::info!("a\nforged\r\u{1b}[2J z")),
        ("text", &|| tracing::info!(value = HOSTILE)),
        ("display", &|| tracing::info!(value = %HOSTILE)),
        ("debug", &|| tracing::info!(value = ?Raw)),
        ("error", &|| tracing::info!(value = failed)),
        ("source", &|| {
            let error = io::Error::other(Wrapper(Failed));
            tracing::info!(value = &error as &(dyn Error + 'static));
        }),
        ("name of a field", &|| tracing::info!("a\nforged\u{1b}[2J" = 1)),
        ("target", &|| tracing::info!(target: "a\nforged\u{1b}[2J", "hello")),
        ("name of a span", &|| {
            tracing::info_span!("a\nforged\u{1b}[2J").in_scope(|| tracing::info!("hello"));
        }),
        ("text of a span", &|| {
            tracing::info_span!("s", value = HOSTILE).in_scope(|| tracing::info!("hello"));
        }),
        ("display of a span", &|| {
            tracing::info_span!("s", value = %HOSTILE).in_scope(|| tracing::info!("hello"));
        }),
        ("recorded later", &|| {
            let span = tracing::info_span!("s", value = tracing::field::Empty, other = 1);
            span.record("value", tracing::field::debug(Raw));
            span.in_scope(|| tracing::info!("hello"));
        }),
    ];
    let is_hostile = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}');
    for (what, log) in rows {
        for is_coloured in [false, true] {
            let mut line = pretty_line(is_coloured, log);
            assert!(line.contains("forged"), "{what}: {line:?}");
            assert_eq!(line.contains('\u{1b}'), is_coloured, "{what}: {line:?}");
            for own in ["0", "1", "2", "3", "32"] {
                line = line.replace(&format!("\u{1b}[{own}m"), "");
            }
            assert!(!line.contains(is_hostile), "{what}: {line:?}");
        }
        for format in [JsonFormat::new(), JsonFormat::ecs()] {
            let text = json_text(format, log);
            let line = text.strip_suffix('\n').unwrap();
            assert!(!line.contains(is_hostile), "{what}: {line:?}");
            let value: Value = serde_json::from_str(line).unwrap();
            assert!(value.to_string().contains("forged"), "{what}: {line:?}");
        }
    }
    let line = json_line(JsonFormat::new(), || tracing::info!(value = %HOSTILE));
    assert_eq!(line["fields"]["value"], HOSTILE, "an escape loses nothing");
}

/// An error with a hostile source.
#[derive(Debug)]
struct Wrapper<E>(E);

impl<E> fmt::Display for Wrapper<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrapper")
    }
}

impl<E: Error + 'static> Error for Wrapper<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn a_line_allocates_nothing() {
    fn allocations<F>(format: F) -> u64
    where
        F: for<'a> FormatFields<'a> + FormatEvent<Registry, F> + Clone + Send + Sync + 'static,
    {
        let layer = tracing_subscriber::fmt::layer().fmt_fields(format.clone());
        let layer = layer.event_format(format).with_writer(io::sink);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let mut count = 0;
            within_span(|| {
                let _entered = tracing::info_span!("order", id = 7, user = "alice").entered();
                let line = |n| tracing::info!(amount = n, user = "alice", took = ?1.5, "paid");
                // The buffer of the thread grows with the first line.
                line(1);
                count = allocation_counter::measure(|| line(2)).count_total;
            });
            count
        })
    }
    assert_eq!(allocations(JsonFormat::new()), 0);
    assert_eq!(allocations(JsonFormat::google_cloud("project")), 0);
    assert_eq!(allocations(PrettyFormat::new()), 0);
}

#[test]
fn a_custom_fmt_layer_gets_the_ids() {
    let logs = || {
        within_span(|| tracing::info!(amount = 3, "inside"));
        tracing::info!("outside");
    };
    let text = |buffer| {
        tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_writer(buffer)
            .map_event_format(WithTraceContext::text)
    };
    let expected =
        format!(" INFO inside amount=3 trace_id={TRACE} span_id={SPAN}\n INFO outside\n");
    assert_eq!(written(text, logs), expected);

    let json = |buffer| {
        tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .without_time()
            .with_writer(buffer)
            .map_event_format(WithTraceContext::json)
    };
    let text = written(json, logs);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = json!({
        "trace_id": TRACE, "span_id": SPAN, "trace_flags": "01",
        "level": "INFO", "message": "inside", "amount": 3, "target": "setup::formats",
    });
    assert_eq!(lines[0], expected);
    assert!(lines[1].get("trace_id").is_none(), "{}", lines[1]);
}
