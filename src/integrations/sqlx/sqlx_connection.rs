//! Connections that are instrumented.

use std::{
    fmt,
    future::Future,
    ops::{Deref, DerefMut},
};

use futures_core::future::BoxFuture;
use sqlx::{Connection as _, Database, Error, SqlSafeStr};

use super::{
    ConnectOptionsOf, Transaction, connect_options::Target, operations::Operations,
    pool_usage::Lease,
};
use crate::database;

/// A connection whose queries and transactions are recorded. `&mut Connection` is a
/// [`sqlx::Executor`].
///
/// Those of a [`Pool`](super::Pool) come as [`PoolConnection`]; a connection of its own is wrapped
/// by [`connect`](Self::connect) or [`new`](Self::new).
///
/// # Example
///
/// ```
/// use sqlx::Sqlite;
/// use tower_telemetry::integrations::sqlx::Connection;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqlx::Error> {
/// let mut connection = Connection::<Sqlite>::connect("sqlite::memory:").await?;
/// sqlx::query("CREATE TABLE songs (title TEXT)").execute(&mut connection).await?;
/// connection.close().await?;
/// # Ok(())
/// # }
/// ```
pub struct Connection<DB: Database> {
    raw: Raw<DB>,
    pub(super) operations: Operations,
    /// Transactions and savepoints that are open. Drivers count those that they have ended, which is
    /// later than a drop.
    pub(super) depth: usize,
}

enum Raw<DB: Database> {
    Own(DB::Connection),
    Pooled(sqlx::pool::PoolConnection<DB>),
}

impl<DB: Database> Connection<DB> {
    /// Connects to the database at this URL.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid or the connection could not be made.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::connect_with(&url.parse()?).await
    }

    /// Connects with these options. Only what happens on the connection is recorded, not the
    /// connecting.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection could not be made.
    pub async fn connect_with(options: &ConnectOptionsOf<DB>) -> Result<Self, Error> {
        Ok(Self::new(DB::Connection::connect_with(options).await?, options))
    }

    /// Wraps a connection that was made with these options.
    pub fn new(connection: DB::Connection, options: &ConnectOptionsOf<DB>) -> Self {
        let database = Target::of::<DB>(options).database();
        Self::of(Raw::Own(connection), Operations { database, counts_rows: false })
    }

    /// Changes what operations tell of the database, and to whom: see
    /// [`PoolBuilder::with_database`](super::PoolBuilder::with_database).
    #[must_use]
    pub fn with_database(
        mut self,
        change: impl FnOnce(database::Database) -> database::Database,
    ) -> Self {
        self.operations.database = change(self.operations.database);
        self
    }

    fn of(raw: Raw<DB>, operations: Operations) -> Self {
        Self { raw, operations, depth: 0 }
    }

    /// Begins a transaction, or a savepoint inside a transaction.
    ///
    /// # Errors
    ///
    /// Returns the error of the statement.
    pub async fn begin(&mut self) -> Result<Transaction<'_, DB>, Error> {
        Transaction::of_borrowed(self, None).await
    }

    /// Begins a transaction with this statement.
    ///
    /// # Errors
    ///
    /// Returns the error of the statement, and an error inside a transaction.
    pub async fn begin_with(
        &mut self,
        statement: impl SqlSafeStr,
    ) -> Result<Transaction<'_, DB>, Error> {
        Transaction::of_borrowed(self, Some(statement.into_sql_str())).await
    }

    /// Runs `callback` in a transaction, which is committed if it succeeds and rolled back if it
    /// fails.
    ///
    /// # Errors
    ///
    /// Returns the error of `callback`, or that of beginning or ending the transaction.
    pub async fn transaction<F, R, E>(&mut self, callback: F) -> Result<R, E>
    where
        for<'t> F: FnOnce(&'t mut Transaction<'_, DB>) -> BoxFuture<'t, Result<R, E>>,
        E: From<Error>,
    {
        let mut transaction = self.begin().await?;
        let result = callback(&mut transaction).await;
        match &result {
            Ok(_) => transaction.commit().await?,
            Err(_) => transaction.rollback().await?,
        }
        result
    }

    /// Returns true inside a transaction.
    pub fn is_in_transaction(&self) -> bool {
        self.inner().is_in_transaction()
    }

    /// Asks the server whether it is there. That is not recorded.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection is broken.
    pub fn ping(&mut self) -> impl Future<Output = Result<(), Error>> + Send + '_ {
        self.inner_mut().ping()
    }

    /// Closes the connection. Inside a pool, this allows for another one.
    ///
    /// # Errors
    ///
    /// Returns an error if the server could not be told.
    pub async fn close(self) -> Result<(), Error> {
        match self.raw {
            Raw::Own(connection) => connection.close().await,
            Raw::Pooled(connection) => connection.close().await,
        }
    }

    /// Returns the connection of sqlx.
    pub fn inner(&self) -> &DB::Connection {
        match &self.raw {
            Raw::Own(connection) => connection,
            Raw::Pooled(connection) => connection,
        }
    }

    /// Returns the connection of sqlx, for functions that need it: `COPY`, advisory locks, the cache
    /// of statements.
    ///
    /// Nothing that is done with it is recorded.
    pub fn inner_mut(&mut self) -> &mut DB::Connection {
        match &mut self.raw {
            Raw::Own(connection) => connection,
            Raw::Pooled(connection) => connection,
        }
    }

    /// Returns the database as the kernel knows it, for operations that sqlx has no `Executor` for.
    pub fn database(&self) -> &database::Database {
        &self.operations.database
    }
}

impl<DB: Database> fmt::Debug for Connection<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("operations", &self.operations).finish_non_exhaustive()
    }
}

/// A connection of a [`Pool`](super::Pool), which returns to it when it is dropped.
///
/// It dereferences to [`Connection`]: pass `&mut *connection` to a query, as with sqlx's own.
pub struct PoolConnection<DB: Database> {
    // The first field is dropped first: the time of use ends where the way back to the pool begins.
    lease: Lease,
    connection: Connection<DB>,
}

impl<DB: Database> PoolConnection<DB> {
    pub(super) fn new(
        connection: sqlx::pool::PoolConnection<DB>,
        operations: Operations,
        lease: Lease,
    ) -> Self {
        Self { lease, connection: Connection::of(Raw::Pooled(connection), operations) }
    }

    /// Closes the connection, so that the pool can open another one.
    ///
    /// # Errors
    ///
    /// Returns an error if the server could not be told.
    pub async fn close(self) -> Result<(), Error> {
        self.connection.close().await
    }

    /// Closes the connection instead of returning it when it is dropped.
    pub fn close_on_drop(&mut self) {
        if let Raw::Pooled(connection) = &mut self.connection.raw {
            connection.close_on_drop();
        }
    }

    /// Takes the connection out of the pool, which can open another one.
    pub fn detach(self) -> Connection<DB> {
        self.taken(sqlx::pool::PoolConnection::detach)
    }

    /// Takes the connection out of the pool, which counts it as used for ever.
    pub fn leak(self) -> Connection<DB> {
        self.taken(sqlx::pool::PoolConnection::leak)
    }

    fn taken(self, take: fn(sqlx::pool::PoolConnection<DB>) -> DB::Connection) -> Connection<DB> {
        let Connection { raw, operations, .. } = self.connection;
        let raw = match raw {
            Raw::Own(connection) => connection,
            Raw::Pooled(connection) => take(connection),
        };
        Connection::of(Raw::Own(raw), operations)
    }
}

impl<DB: Database> Deref for PoolConnection<DB> {
    type Target = Connection<DB>;

    fn deref(&self) -> &Connection<DB> {
        &self.connection
    }
}

impl<DB: Database> DerefMut for PoolConnection<DB> {
    fn deref_mut(&mut self) -> &mut Connection<DB> {
        &mut self.connection
    }
}

impl<DB: Database> AsMut<Connection<DB>> for PoolConnection<DB> {
    fn as_mut(&mut self) -> &mut Connection<DB> {
        self
    }
}

impl<DB: Database> fmt::Debug for PoolConnection<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolConnection")
            .field("lease", &self.lease)
            .field("connection", &self.connection)
            .finish()
    }
}
