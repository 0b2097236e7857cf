//! The rows of sqlx 0.8.

#[path = "../../src/measured.rs"]
mod measured;

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use measured::{SCHEMA, SQL, measure};
use opentelemetry::{Context, trace::TracerProvider};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, Span, SpanData, SpanProcessor},
};
use sqlx::{Sqlite, SqlitePool, sqlite::SqlitePoolOptions};
use tracing_subscriber::layer::SubscriberExt;

fn main() {
    let row = env::args().nth(1).expect("the row");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(run(&row));
}

/// Runs a row. That of `sqlx-tracing` must make as many spans as it runs queries.
async fn run(row: &str) {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await;
    let pool: SqlitePool = pool.expect("SQLite opens a database in memory");
    sqlx::raw_sql(SCHEMA).execute(&pool).await.expect("the schema is right");
    let ended = Ended::default();
    let query = || sqlx::query(SQL).bind(1_i64);
    let (place, who) = row.split_once(": ").expect("place: who");
    let is_pool = place == "pool";
    let has_spans = who != "sqlx 0.8";
    if has_spans {
        let tracers = SdkTracerProvider::builder().with_span_processor(ended.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(tracers.tracer("older"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber).expect("no other is installed");
    }
    let runs = match (has_spans, is_pool) {
        (false, true) => measure(async || drop(query().fetch_all(&pool).await.unwrap())).await,
        (false, false) => {
            let mut connection = pool.acquire().await.unwrap();
            measure(async || drop(query().fetch_all(&mut *connection).await.unwrap())).await
        }
        (true, true) => {
            let pool = sqlx_tracing::Pool::<Sqlite>::from(pool);
            measure(async || drop(query().fetch_all(&pool).await.unwrap())).await
        }
        (true, false) => {
            let pool = sqlx_tracing::Pool::<Sqlite>::from(pool);
            let mut connection = pool.acquire().await.unwrap();
            measure(async || drop(query().fetch_all(&mut connection).await.unwrap())).await
        }
    };
    let spans = ended.0.load(Relaxed);
    assert_eq!(spans, if has_spans { runs } else { 0 }, "{row}: spans of queries");
}

/// Counts the spans that have ended.
#[derive(Debug, Clone, Default)]
struct Ended(Arc<AtomicU64>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        self.0.fetch_add(1, Relaxed);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
