//! Pools with telemetry in memory, and their records as short lines.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use opentelemetry_sdk::trace::SpanData;
use sqlx::{
    Database, Postgres, Sqlite,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tower_telemetry::integrations::sqlx::Pool;

use crate::{database::Telemetry, postgres::PostgresServer, resources};

/// A pool of a database with the table `songs`.
pub(crate) struct Shop<DB: Database> {
    pub(crate) pool: Pool<DB>,
    pub(crate) telemetry: Telemetry,
    pub(crate) server: Option<Arc<PostgresServer>>,
}

const SCHEMA: &str = "CREATE TABLE songs (id BIGINT PRIMARY KEY, title TEXT NOT NULL)";

pub(crate) async fn sqlite(options: SqlitePoolOptions) -> Shop<Sqlite> {
    let memory: SqliteConnectOptions = "sqlite::memory:".parse().unwrap();
    // A database in memory lives as long as one of its connections.
    let pool = options.min_connections(1).connect_with(memory).await.unwrap();
    sqlx::raw_sql(SCHEMA).execute(&pool).await.unwrap();
    shop(pool, None).await
}

pub(crate) async fn postgres(options: PgPoolOptions) -> Shop<Postgres> {
    let server = PostgresServer::shared();
    let pool = options.connect_with(server.new_database().await).await.unwrap();
    sqlx::raw_sql(SCHEMA).execute(&pool).await.unwrap();
    shop(pool, Some(server)).await
}

async fn shop<DB: Database>(pool: sqlx::Pool<DB>, server: Option<Arc<PostgresServer>>) -> Shop<DB> {
    let telemetry = Telemetry::new();
    let pool = Pool::builder(pool)
        .with_name("shop")
        .with_tracer_provider(&telemetry.tracers)
        .with_meter_provider(&telemetry.meters)
        .build();
    let shop = Shop { pool, telemetry, server };
    shop.settled().await;
    shop
}

impl<DB: Database> Shop<DB> {
    /// The spans that have ended since the last call: `name: ok` or `name: error.type`.
    ///
    /// Without waits that succeeded: the machine decides how long they are.
    pub(crate) fn spans(&self) -> Vec<String> {
        let spans = self.telemetry.spans();
        spans.iter().map(short).filter(|span| span != "wait for connection: ok").collect()
    }

    /// Metrics of the pool without their common prefix, and with `used` and `idle` for the state.
    pub(crate) fn pool_metrics(&self) -> BTreeMap<String, f64> {
        let points = resources::points(&self.telemetry.collect()).into_iter();
        let of_pool = points.filter_map(|(line, value)| {
            let (name, attributes) = line.strip_prefix("db.client.connection.")?.split_once('{')?;
            let state = attributes.split("state=").nth(1).and_then(|rest| rest.split('}').next());
            Some((state.unwrap_or(name).to_owned(), value))
        });
        of_pool.collect()
    }

    pub(crate) fn pool_metric(&self, name: &str) -> f64 {
        self.pool_metrics().remove(name).unwrap_or_default()
    }

    /// Counts the durations of operations that have all of these attributes.
    pub(crate) fn durations(&self, attributes: &[&str]) -> u64 {
        let series = self.telemetry.durations().into_iter();
        let has_all = |labels: &str| attributes.iter().all(|attribute| labels.contains(attribute));
        series.filter(|(labels, _)| has_all(labels)).map(|(_, count)| count).sum()
    }

    /// Waits until all connections are back in the pool.
    pub(crate) async fn settled(&self) {
        self.settled_but(0).await;
    }

    /// Waits until all but these connections are back in the pool.
    pub(crate) async fn settled_but(&self, used: usize) {
        while self.pool.num_idle() + used < self.pool.size() as usize {
            tokio::task::yield_now().await;
        }
    }
}

/// `name: ok`, or `name: error.type`.
pub(crate) fn short(span: &SpanData) -> String {
    let error = attribute(span, "error.type").unwrap_or_else(|| "ok".to_owned());
    format!("{}: {error}", span.name)
}

pub(crate) fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key.as_str() == key)?;
    Some(attribute.value.to_string())
}

/// Polls a future once. Panics if it ends.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) {
    let polled = futures_util::poll!(future);
    assert!(polled.is_pending(), "the future has ended");
}
