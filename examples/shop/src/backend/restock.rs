//! The background job. It has spans, a histogram and log lines of its own.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use tokio::time;
use tower_telemetry::opentelemetry::{
    Context, KeyValue,
    context::FutureExt,
    global,
    metrics::Histogram,
    trace::{Status, TraceContextExt, Tracer},
};

use super::store::Store;

/// Runs the job every few seconds.
pub(super) async fn run(store: &Store) -> Infallible {
    let duration = global::meter("shop")
        .f64_histogram("shop.job.duration")
        .with_description("Duration of background jobs.")
        .with_unit("s")
        .with_boundaries(vec![0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0])
        .build();
    let mut ticks = time::interval(PERIOD);
    loop {
        ticks.tick().await;
        // The job is no request, so each run is a trace of its own.
        let span = global::tracer("shop").start("restock");
        restock(store, &duration).with_context(Context::new().with_span(span)).await;
    }
}

async fn restock(store: &Store, duration: &Histogram<f64>) {
    let started = Instant::now();
    let mut labels = vec![KeyValue::new("shop.job.name", "restock")];
    match store.restock().await {
        Ok(products) => tracing::info!(products, "restocked"),
        Err(error) => {
            labels.push(KeyValue::new("error.type", "database"));
            Context::current().span().set_status(Status::error("the database failed"));
            tracing::error!(%error, "not restocked");
        }
    }
    duration.record(started.elapsed().as_secs_f64(), &labels);
}

const PERIOD: Duration = Duration::from_secs(5);
