//! The options of a pool's telemetry.

use std::{fmt, sync::Arc};

use opentelemetry::{
    metrics::MeterProvider,
    trace::{Tracer, TracerProvider},
};
use sqlx::Database;

use super::{
    Pool, connect_options::Target, operations::Operations, pool_usage::PoolUsage, sqlx_pool::Shared,
};
use crate::database;

/// Configures the telemetry of a [`Pool`].
///
/// # Example
///
/// ```
/// use sqlx::{Sqlite, sqlite::SqlitePoolOptions};
/// use tower_telemetry::integrations::sqlx::Pool;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqlx::Error> {
/// let pool = SqlitePoolOptions::new().max_connections(4).connect("sqlite::memory:").await?;
/// let pool = Pool::builder(pool)
///     .with_name("orders")
///     .with_database(|database| database.without_query_text())
///     .build();
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until it builds"]
pub struct PoolBuilder<DB: Database> {
    pool: sqlx::Pool<DB>,
    operations: Operations,
    name: String,
    meters: Option<Box<dyn MeterProvider>>,
}

impl<DB: Database> PoolBuilder<DB> {
    pub(super) fn new(pool: sqlx::Pool<DB>) -> Self {
        let target = Target::of::<DB>(&pool.connect_options());
        let operations = Operations { database: target.database(), counts_rows: false };
        Self { pool, operations, name: target.pool_name(), meters: None }
    }

    /// Sets `db.client.connection.pool.name`. The default is
    /// `{server.address}:{server.port}/{db.namespace}`, as far as they are known.
    ///
    /// A second pool of the process with the same name gets a number: `orders#2`.
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Changes what operations tell of the database: its namespace, its server, whether they have
    /// the text of the query, the outcome of errors.
    ///
    /// [`Database::with_error`](database::Database::with_error) replaces the rules for sqlx's errors.
    pub fn with_database(
        mut self,
        change: impl FnOnce(database::Database) -> database::Database,
    ) -> Self {
        self.operations.database = change(self.operations.database);
        self
    }

    /// Records `db.response.returned_rows`, the number of rows, on spans.
    pub fn with_returned_rows(mut self) -> Self {
        self.operations.counts_rows = true;
        self
    }

    /// Uses this provider instead of the global one, which is looked up until there is one.
    pub fn with_tracer_provider<P>(self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
    {
        self.with_database(|database| database.with_tracer_provider(provider))
    }

    /// Uses this provider instead of the global one, which is looked up until there is one.
    pub fn with_meter_provider<P>(self, provider: &P) -> Self
    where
        P: MeterProvider + Clone + 'static,
    {
        let this = self.with_database(|database| database.with_meter_provider(provider));
        Self { meters: Some(Box::new(provider.clone())), ..this }
    }

    /// Creates the pool, whose metrics are reported from now on, until the pool and its connections
    /// are dropped.
    pub fn build(self) -> Pool<DB> {
        let Self { pool, operations, name, meters } = self;
        let usage = Arc::new(PoolUsage::new(&name, pool.clone(), meters.as_deref()));
        Pool { shared: Arc::new(Shared { pool, operations, usage }) }
    }
}

impl<DB: Database> fmt::Debug for PoolBuilder<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("pool", &self.pool)
            .field("operations", &self.operations)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
