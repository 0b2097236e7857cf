//! Processors, readers and resources that the code adds.

use std::{
    process,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use opentelemetry::{
    Context, InstrumentationScope, Key, KeyValue, Value,
    logs::LogRecord,
    trace::{Span as _, Tracer, TracerProvider},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{LogProcessor, SdkLogRecord},
    metrics::{InMemoryMetricExporter, PeriodicReader},
    trace::{Span, SpanData, SpanProcessor},
};
use tower_telemetry::{logs::LogFormat, setup::TelemetryBuilder};

use crate::{
    all_signals, builder,
    lines::nothing_exported,
    printed::{line_with, printed},
    receiver::{Receiver, attribute},
    spans,
};

const LONG: Duration = Duration::from_secs(20);

/// Appends its name to the list of calls, and to an attribute of what it sees.
#[derive(Debug, Clone)]
struct Step {
    name: &'static str,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Step {
    fn call(&self) -> KeyValue {
        let mut calls = self.calls.lock().unwrap();
        calls.push(self.name);
        KeyValue::new(format!("step.{}", self.name), i64::try_from(calls.len()).unwrap())
    }
}

impl SpanProcessor for Step {
    fn on_start(&self, span: &mut Span, _: &Context) {
        span.set_attribute(self.call());
    }

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for Step {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        let KeyValue { key, value, .. } = self.call();
        let Value::I64(at) = value else { panic!("{value:?}") };
        record.add_attribute(key, at);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Returns a builder with two processors of each kind, and the list of their calls.
fn with_steps(builder: TelemetryBuilder) -> (TelemetryBuilder, Arc<Mutex<Vec<&'static str>>>) {
    let calls = Arc::default();
    let step = |name| Step { name, calls: Arc::clone(&calls) };
    let builder = builder
        .with_span_processor(step("span one"))
        .with_log_processor(step("log one"))
        .with_span_processor(step("span two"))
        .with_log_processor(step("log two"));
    (builder, calls)
}

#[tokio::test]
async fn processors_run_in_order_and_before_the_exporters() {
    let receiver = Receiver::start();
    let (builder, calls) = with_steps(builder(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]));
    let telemetry = builder.build().unwrap();
    all_signals(&telemetry);
    telemetry.shutdown(LONG).await.unwrap();
    let expected = ["span one", "span two", "span one", "span two", "log one", "log two"];
    assert_eq!(*calls.lock().unwrap(), expected);
    let received = receiver.received();
    let order =
        received.spans().iter().find(|span| span.name == "order").unwrap().attributes.clone();
    let log = received.log_records()[0].attributes.clone();
    for (attributes, one, two) in
        [(&order, ("span one", "1"), ("span two", "2")), (&log, ("log one", "5"), ("log two", "6"))]
    {
        for (name, at) in [one, two] {
            assert_eq!(attribute(attributes, &format!("step.{name}")).as_deref(), Some(at));
        }
    }
}

#[tokio::test]
async fn a_disabled_sdk_calls_no_processor_and_no_reader() {
    let (builder, calls) = with_steps(builder(&[("OTEL_SDK_DISABLED", "true")]));
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let telemetry = builder.with_metric_reader(reader).build().unwrap();
    all_signals(&telemetry);
    telemetry.shutdown(LONG).await.unwrap();
    assert!(calls.lock().unwrap().is_empty());
    assert!(exporter.get_finished_metrics().unwrap().is_empty());
}

#[tokio::test]
async fn a_reader_has_the_resource_and_the_views() {
    let exporter = InMemoryMetricExporter::default();
    let none = [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_TRACES_EXPORTER", "none")];
    let telemetry = builder(&none)
        .with_exporters(tower_telemetry::setup::Signal::Logs, [])
        .with_service_name("shop")
        .with_only_attributes("orders", ["nothing"])
        .with_metric_reader(PeriodicReader::builder(exporter.clone()).build())
        .build()
        .unwrap();
    all_signals(&telemetry);
    telemetry.flush(LONG).await.unwrap();
    let metrics = exporter.get_finished_metrics().unwrap();
    let last = metrics.last().unwrap();
    assert_eq!(last.resource().get(&Key::new("service.name")), Some(Value::from("shop")));
    let orders = last.scope_metrics().flat_map(|scope| scope.metrics());
    let orders: Vec<_> = orders.filter(|metric| metric.name() == "orders").collect();
    let text = format!("{orders:?}");
    assert!(orders.len() == 1 && !text.contains("gift"), "{text}");
    telemetry.shutdown(LONG).await.unwrap();
}

#[test]
fn resources_are_merged_in_order_and_under_the_environment() {
    let with = |pairs: &[(&'static str, &'static str)], url: &'static str| {
        let pairs = pairs.iter().map(|(key, value)| KeyValue::new(*key, *value));
        Resource::builder_empty().with_schema_url(pairs, url).build()
    };
    type Row = (
        &'static [(&'static str, &'static str)],
        Box<dyn Fn(TelemetryBuilder) -> TelemetryBuilder>,
        &'static [(&'static str, Option<&'static str>)],
        Option<&'static str>,
    );
    let rows: Vec<Row> = vec![
        (
            &[],
            Box::new(|it| {
                it.with_service_version("1.2.3").with_resource(Resource::builder().build())
            }),
            &[("service.version", Some("1.2.3")), ("service.name", Some("in code"))],
            None,
        ),
        (
            &[],
            Box::new(move |it| {
                it.with_resource(with(&[("a", "1"), ("service.name", "two")], "https://x/1"))
                    .with_resource(with(&[("a", "2"), ("b", "3")], "https://x/1"))
                    .with_attribute(KeyValue::new("b", "4"))
            }),
            &[("a", Some("2")), ("b", Some("4")), ("service.name", Some("two"))],
            Some("https://x/1"),
        ),
        (
            &[("OTEL_RESOURCE_ATTRIBUTES", "a=9"), ("OTEL_SERVICE_NAME", "three")],
            Box::new(move |it| {
                it.with_resource(with(&[("a", "1"), ("service.name", "two")], "https://x/1"))
                    .with_resource(with(&[("b", "3")], "https://x/2"))
            }),
            &[("a", Some("9")), ("b", Some("3")), ("service.name", Some("three"))],
            None,
        ),
    ];
    for (variables, change, expected, url) in rows {
        let exporter = InMemoryMetricExporter::default();
        let mut variables = variables.to_vec();
        let none = ["OTEL_METRICS_EXPORTER", "OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER"];
        variables.extend(none.map(|name| (name, "none")));
        let builder = change(builder(&variables).with_service_name("in code"));
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let telemetry = builder.with_metric_reader(reader).build().unwrap();
        all_signals(&telemetry);
        drop(telemetry);
        let metrics = exporter.get_finished_metrics().unwrap();
        let resource = metrics.last().unwrap().resource();
        for (key, value) in expected {
            assert_eq!(resource.get(&Key::new(*key)), value.map(Value::from), "{key}");
        }
        assert_eq!(resource.schema_url(), url);
    }
}

/// The conventions' names, and nothing that may be a secret.
#[test]
fn detected_attributes() {
    let exporter = InMemoryMetricExporter::default();
    let none = ["OTEL_METRICS_EXPORTER", "OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER"];
    let mut variables = none.map(|name| (name, "none")).to_vec();
    variables.push(("OTEL_RESOURCE_ATTRIBUTES", "host.name=chosen"));
    let telemetry = builder(&variables)
        .with_detected_attributes()
        .with_attribute(KeyValue::new("os.type", "in code"))
        .with_metric_reader(PeriodicReader::builder(exporter.clone()).build())
        .build()
        .unwrap();
    all_signals(&telemetry);
    drop(telemetry);
    let metrics = exporter.get_finished_metrics().unwrap();
    let resource = metrics.last().unwrap().resource();
    let value = |key: &'static str| resource.get(&Key::new(key)).map(|value| value.to_string());
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    assert_eq!(value("host.arch").as_deref(), Some(arch));
    assert_eq!(value("host.name").as_deref(), Some("chosen"));
    assert_eq!(value("os.type").as_deref(), Some("in code"));
    assert_eq!(value("process.pid"), Some(process::id().to_string()));
    assert_eq!(value("process.runtime.name").as_deref(), Some("rustc"));
    assert!(value("process.runtime.description").unwrap().starts_with("rustc 1."));
    assert!(value("process.executable.name").unwrap().starts_with("setup-"));
    assert_eq!(value("process.command_args"), None);
    let id = value("container.id");
    assert!(id.is_none_or(|id| id.len() >= 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
}

/// A processor whose shutdown lasts until the test ends.
#[derive(Debug)]
struct Blocks(Mutex<mpsc::Receiver<()>>);

impl SpanProcessor for Blocks {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        let _ = self.0.lock().unwrap().recv();
        Ok(())
    }
}

#[tokio::test]
async fn a_processor_that_blocks_does_not_hold_up_the_shutdown() {
    let receiver = Receiver::start();
    let (end, ends) = mpsc::channel();
    let telemetry = builder(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())])
        .with_span_processor(Blocks(Mutex::new(ends)))
        .build()
        .unwrap();
    spans(&telemetry, 3);
    let tracer = telemetry.tracer_provider().tracer("test");
    drop(tracer.start("span"));
    let began = Instant::now();
    let undelivered = telemetry.shutdown(Duration::from_secs(1)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(undelivered.spans(), 4, "{undelivered}");
    drop(end);
}

/// A processor sees the records of `with_log_lines` without an exporter of logs.
#[test]
fn a_log_processor_needs_no_exporter() {
    let lines = printed("extensions::a_log_processor_needs_no_exporter", || {
        let (builder, calls) = with_steps(nothing_exported());
        let telemetry = builder.with_log_lines(LogFormat::Pretty).build().unwrap();
        tracing::info!("seen");
        println!("calls: {:?}", calls.lock().unwrap());
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    line_with(&lines, r#"calls: ["log one", "log two"]"#);
}
