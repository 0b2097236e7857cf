//! A pool of connections that are instrumented.

use std::{fmt, future::Future, sync::Arc};

use sqlx::{Database, Error, SqlSafeStr, pool::CloseEvent};

use super::{
    ConnectOptionsOf, PoolBuilder, PoolConnection, Transaction,
    connection_wait::ConnectionWait,
    operations::Operations,
    pool_usage::{Lease, PoolUsage},
};
use crate::database;

/// A pool of sqlx whose connections, transactions and queries are recorded.
///
/// Its methods are those of [`sqlx::Pool`], and `&Pool` is a [`sqlx::Executor`], too. Cloning is
/// cheap, and clones are the same pool.
///
/// See the [module](super) for an example and for what is emitted.
pub struct Pool<DB: Database> {
    pub(super) shared: Arc<Shared<DB>>,
}

pub(super) struct Shared<DB: Database> {
    pub(super) pool: sqlx::Pool<DB>,
    pub(super) operations: Operations,
    pub(super) usage: Arc<PoolUsage>,
}

impl<DB: Database> Pool<DB> {
    /// Configures the telemetry of a pool of sqlx. `Pool::from(pool)` has the default one.
    pub fn builder(pool: sqlx::Pool<DB>) -> PoolBuilder<DB> {
        PoolBuilder::new(pool)
    }

    /// Creates a pool with sqlx's default options, and connects it.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid or no connection could be made.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        sqlx::Pool::connect(url).await.map(Self::from)
    }

    /// Creates a pool with sqlx's default pool options and these connect options, and connects it.
    ///
    /// # Errors
    ///
    /// Returns an error if no connection could be made.
    pub async fn connect_with(options: ConnectOptionsOf<DB>) -> Result<Self, Error> {
        sqlx::Pool::connect_with(options).await.map(Self::from)
    }

    /// Creates a pool with sqlx's default options, which connects when a connection is needed.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid.
    pub fn connect_lazy(url: &str) -> Result<Self, Error> {
        sqlx::Pool::connect_lazy(url).map(Self::from)
    }

    /// Creates a pool with sqlx's default pool options and these connect options, which connects
    /// when a connection is needed.
    pub fn connect_lazy_with(options: ConnectOptionsOf<DB>) -> Self {
        sqlx::Pool::connect_lazy_with(options).into()
    }

    /// Waits for a connection. The wait is recorded.
    ///
    /// # Errors
    ///
    /// Returns an error if no connection became available in time, the pool was closed, or a new
    /// connection could not be made.
    pub fn acquire(
        &self,
    ) -> impl Future<Output = Result<PoolConnection<DB>, Error>> + Send + use<DB> {
        let pool = self.clone();
        async move {
            let Shared { pool, operations, usage } = &*pool.shared;
            let wait = ConnectionWait::start(usage, &operations.database);
            let acquired = pool.acquire().await;
            wait.end(&acquired);
            Ok(PoolConnection::new(acquired?, operations.clone(), Lease::new(usage)))
        }
    }

    /// Returns a connection if one is idle.
    pub fn try_acquire(&self) -> Option<PoolConnection<DB>> {
        let Shared { pool, operations, usage } = &*self.shared;
        let connection = pool.try_acquire()?;
        Some(PoolConnection::new(connection, operations.clone(), Lease::new(usage)))
    }

    /// Waits for a connection, and begins a transaction.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`acquire`](Self::acquire) and of the `BEGIN`.
    pub async fn begin(&self) -> Result<Transaction<'static, DB>, Error> {
        Transaction::of_pooled(self.acquire().await?, None).await
    }

    /// Begins a transaction if a connection is idle.
    ///
    /// # Errors
    ///
    /// Returns the error of the `BEGIN`.
    pub async fn try_begin(&self) -> Result<Option<Transaction<'static, DB>>, Error> {
        match self.try_acquire() {
            Some(connection) => Transaction::of_pooled(connection, None).await.map(Some),
            None => Ok(None),
        }
    }

    /// Waits for a connection, and begins a transaction with this statement.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`acquire`](Self::acquire) and of the statement.
    pub async fn begin_with(
        &self,
        statement: impl SqlSafeStr,
    ) -> Result<Transaction<'static, DB>, Error> {
        let statement = statement.into_sql_str();
        Transaction::of_pooled(self.acquire().await?, Some(statement)).await
    }

    /// Begins a transaction with this statement if a connection is idle.
    ///
    /// # Errors
    ///
    /// Returns the error of the statement.
    pub async fn try_begin_with(
        &self,
        statement: impl SqlSafeStr,
    ) -> Result<Option<Transaction<'static, DB>>, Error> {
        let statement = statement.into_sql_str();
        match self.try_acquire() {
            Some(connection) => Transaction::of_pooled(connection, Some(statement)).await.map(Some),
            None => Ok(None),
        }
    }

    /// Closes the pool, as [`sqlx::Pool::close`] does.
    pub fn close(&self) -> impl Future<Output = ()> + '_ {
        self.inner().close()
    }

    /// Returns true if the pool was closed.
    pub fn is_closed(&self) -> bool {
        self.inner().is_closed()
    }

    /// Returns a future that ends when the pool is closed.
    pub fn close_event(&self) -> CloseEvent {
        self.inner().close_event()
    }

    /// Returns the number of open connections, idle ones included.
    pub fn size(&self) -> u32 {
        self.inner().size()
    }

    /// Returns the number of idle connections.
    pub fn num_idle(&self) -> usize {
        self.inner().num_idle()
    }

    /// Returns the options for new connections.
    pub fn connect_options(&self) -> Arc<ConnectOptionsOf<DB>> {
        self.inner().connect_options()
    }

    /// Sets the options for new connections. Telemetry goes on to show the server of the first
    /// options.
    pub fn set_connect_options(&self, options: ConnectOptionsOf<DB>) {
        self.inner().set_connect_options(options);
    }

    /// Returns the options of the pool.
    pub fn options(&self) -> &sqlx::pool::PoolOptions<DB> {
        self.inner().options()
    }

    /// Returns the pool of sqlx, for functions that need it: migrations, `PgListener`.
    ///
    /// Only the state of the pool is recorded of what it does: no queries, and no waits.
    pub fn inner(&self) -> &sqlx::Pool<DB> {
        &self.shared.pool
    }

    /// Returns the database as the kernel knows it, for operations that sqlx has no `Executor` for.
    pub fn database(&self) -> &database::Database {
        &self.shared.operations.database
    }
}

impl<DB: Database> From<sqlx::Pool<DB>> for Pool<DB> {
    fn from(pool: sqlx::Pool<DB>) -> Self {
        Self::builder(pool).build()
    }
}

impl<DB: Database> Clone for Pool<DB> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<DB: Database> fmt::Debug for Pool<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { pool, operations, usage } = &*self.shared;
        f.debug_struct("Pool")
            .field("pool", pool)
            .field("operations", operations)
            .field("usage", usage)
            .finish()
    }
}
