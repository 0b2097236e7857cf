//! Setup, delivery and shutdown, with a receiver of OTLP in this process.

mod baggage;
mod batches;
mod console;
mod delivery;
mod end;
mod environment;
mod errors;
mod extensions;
mod flush;
mod formats;
mod lines;
mod log_level;
mod notices;
mod printed;
mod pull;
mod sampling;
mod serve;
mod settings;
mod usage;
mod views;

#[path = "../debian/mod.rs"]
mod debian;
#[path = "../receiver/mod.rs"]
mod receiver;
#[path = "../debian/scraper.rs"]
mod scraper;

use std::collections::HashMap;

use opentelemetry::{
    Context, KeyValue,
    trace::{Span, TraceContextExt, Tracer, TracerProvider},
};
use tower_telemetry::{Telemetry, setup::TelemetryBuilder};

/// Returns a builder that reads only these variables, and installs nothing for the process.
fn builder(variables: &[(&str, &str)]) -> TelemetryBuilder {
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Telemetry::builder().with_variables(move |name| variables.get(name).cloned()).without_globals()
}

fn telemetry(variables: &[(&str, &str)]) -> Telemetry {
    builder(variables).build().unwrap()
}

/// Starts and ends spans.
fn spans(telemetry: &Telemetry, count: usize) {
    let tracer = telemetry.tracer_provider().tracer("test");
    for _ in 0..count {
        tracer.start("span").end();
    }
}

fn log_records(telemetry: &Telemetry, count: usize) {
    use opentelemetry::logs::{LogRecord, Logger, LoggerProvider};

    let logger = telemetry.logger_provider().logger("test");
    for _ in 0..count {
        let mut record = logger.create_log_record();
        record.set_body("record".into());
        logger.emit(record);
    }
}

/// Records a span with a child, a measurement and a log record in it.
fn all_signals(telemetry: &Telemetry) {
    use opentelemetry::metrics::MeterProvider;
    use tracing_subscriber::layer::SubscriberExt;

    let tracer = telemetry.tracer_provider().tracer("shop");
    let cx = Context::new().with_span(tracer.start("order"));
    let attached = cx.clone().attach();
    tracer.start("pay").end();
    let counter = telemetry.meter_provider().meter("shop").u64_counter("orders").build();
    counter.add(3, &[KeyValue::new("kind", "gift")]);
    let subscriber = tracing_subscriber::registry()
        .with(tower_telemetry::logs::bridge(telemetry.logger_provider()));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(target: "shop", amount = 3, "ordered");
    });
    drop(attached);
    cx.span().end();
}
