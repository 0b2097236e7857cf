//! OTLP exporters against receivers with moods: what arrives, what is reported, what the notices say.

mod limits;
mod moods;
mod notes;
mod own_providers;
mod queues;
mod tls;

#[path = "../receiver/mod.rs"]
mod receiver;

use std::{collections::HashMap, thread};

use opentelemetry::{
    logs::{LogRecord, Logger, LoggerProvider},
    metrics::MeterProvider,
    trace::{Span, Tracer, TracerProvider},
};
use tower_telemetry::Telemetry;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const PROTOCOLS: [&str; 3] = ["grpc", "http/protobuf", "http/json"];

/// Runs a check for each protocol at the same time.
fn each_protocol(check: impl Fn(&'static str) + Sync) {
    notes::listen();
    thread::scope(|scope| {
        for protocol in PROTOCOLS {
            scope.spawn({
                let check = &check;
                move || check(protocol)
            });
        }
    });
}

/// Sets telemetry up that reads only these variables, and exports soon.
fn telemetry(variables: &[(&str, &str)]) -> Telemetry {
    let mut all = HashMap::from([
        ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "10".to_owned()),
        ("OTEL_BLRP_SCHEDULE_DELAY".to_owned(), "10".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL".to_owned(), "100".to_owned()),
    ]);
    all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let builder = Telemetry::builder().with_variables(move |name| all.get(name).cloned());
    builder.without_globals().build().unwrap()
}

/// Records one span, one measurement and one log record.
fn one_of_each(telemetry: &Telemetry) {
    spans(telemetry, 1);
    telemetry.meter_provider().meter("test").u64_counter("orders").build().add(1, &[]);
    let logger = telemetry.logger_provider().logger("test");
    let mut record = logger.create_log_record();
    record.set_body("record".into());
    logger.emit(record);
}

fn spans(telemetry: &Telemetry, count: usize) {
    let tracer = telemetry.tracer_provider().tracer("test");
    (0..count).for_each(|_| tracer.start("span").end());
}

/// Runs the shutdown without a runtime of the test's own.
fn shutdown(telemetry: &Telemetry, millis: u64) -> Result<(), tower_telemetry::setup::Undelivered> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(telemetry.shutdown(std::time::Duration::from_millis(millis)))
}
