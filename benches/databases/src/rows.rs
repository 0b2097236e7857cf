//! The rows of sqlx 0.9.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use sqlx::{Sqlite, SqlitePool, sqlite::SqlitePoolOptions};
use tower_telemetry::integrations::sqlx::Pool;

use crate::measured::{SCHEMA, SQL, measure};

/// Runs a row. Each row with a provider must have made as many spans of queries as it ran queries.
pub(crate) async fn run(row: &str) {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await;
    let pool: SqlitePool = pool.expect("SQLite opens a database in memory");
    sqlx::raw_sql(SCHEMA).execute(&pool).await.expect("the schema is right");
    let ended = Ended::default();
    let has_provider = !row.contains("sqlx 0.9") && !row.contains("no provider");
    if has_provider {
        install(&ended);
        install_older(&ended);
    }
    let query = || sqlx::query(SQL).bind(1_i64);
    let (place, who) = row.split_once(": ").expect("place: who");
    let is_pool = place == "pool";
    let runs = match who {
        "sqlx 0.9" if is_pool => {
            measure(async || drop(query().fetch_all(&pool).await.unwrap())).await
        }
        "sqlx 0.9" => {
            let mut connection = pool.acquire().await.unwrap();
            measure(async || drop(query().fetch_all(&mut *connection).await.unwrap())).await
        }
        "sqlx-otel 0.5" => {
            let pool = sqlx_otel::PoolBuilder::from(pool).build();
            if is_pool {
                measure(async || drop(query().fetch_all(&pool).await.unwrap())).await
            } else {
                let mut connection = pool.acquire().await.unwrap();
                measure(async || drop(query().fetch_all(&mut connection).await.unwrap())).await
            }
        }
        "tower-telemetry" | "tower-telemetry, no provider" => {
            let pool = Pool::<Sqlite>::from(pool);
            if is_pool {
                measure(async || drop(query().fetch_all(&pool).await.unwrap())).await
            } else {
                let mut connection = pool.acquire().await.unwrap();
                measure(async || drop(query().fetch_all(&mut *connection).await.unwrap())).await
            }
        }
        other => panic!("no row {other}"),
    };
    let spans = ended.0.load(Relaxed);
    assert_eq!(spans, if has_provider { runs } else { 0 }, "{row}: spans of queries");
}

/// Counts the spans of queries that have ended.
#[derive(Debug, Clone, Default)]
struct Ended(Arc<AtomicU64>);

/// Installs providers that record everything and export nothing. A macro, because the neighbour
/// uses an older version of the same traits.
macro_rules! install {
    ($name:ident, $api:ident, $sdk:ident) => {
        fn $name(ended: &Ended) {
            use $sdk::{metrics, trace};
            let tracers = trace::SdkTracerProvider::builder().with_span_processor(ended.clone());
            $api::global::set_tracer_provider(tracers.build());
            let exporter = metrics::InMemoryMetricExporter::default();
            let reader = metrics::PeriodicReader::builder(exporter).with_interval(NEVER).build();
            let meters = metrics::SdkMeterProvider::builder().with_reader(reader).build();
            $api::global::set_meter_provider(meters);
        }

        impl $sdk::trace::SpanProcessor for Ended {
            fn on_start(&self, _: &mut $sdk::trace::Span, _: &$api::Context) {}

            fn on_end(&self, span: $sdk::trace::SpanData) {
                self.0.fetch_add(u64::from(span.name != "wait for connection"), Relaxed);
            }

            fn force_flush(&self) -> $sdk::error::OTelSdkResult {
                Ok(())
            }

            fn shutdown_with_timeout(&self, _: Duration) -> $sdk::error::OTelSdkResult {
                Ok(())
            }
        }
    };
}

install!(install, opentelemetry, opentelemetry_sdk);
install!(install_older, opentelemetry_older, opentelemetry_sdk_older);

const NEVER: Duration = Duration::from_secs(60 * 60 * 24);
