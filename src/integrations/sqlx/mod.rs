//! sqlx: pools, connections and transactions with telemetry, which are used like sqlx's own (feature
//! `sqlx`, for sqlx 0.9, which needs Rust 1.94).
//!
//! # Example
//!
//! One line changes, the type of the pool: instead of `use sqlx::SqlitePool;`
//!
//! ```
//! use sqlx::{FromRow, Sqlite};
//! use tower_telemetry::integrations::sqlx::Pool;
//!
//! type SqlitePool = Pool<Sqlite>;
//!
//! #[derive(FromRow)]
//! struct Song {
//!     title: String,
//! }
//!
//! async fn songs(pool: &SqlitePool) -> Result<Vec<Song>, sqlx::Error> {
//!     let songs = sqlx::query_as("SELECT title FROM songs WHERE year > $1").bind(1970);
//!     songs.fetch_all(pool).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), sqlx::Error> {
//! let pool = SqlitePool::connect("sqlite::memory:").await?;
//! let mut transaction = pool.begin().await?;
//! sqlx::query("CREATE TABLE songs (title TEXT, year INT)").execute(&mut *transaction).await?;
//! transaction.commit().await?;
//! assert!(songs(&pool).await?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! A pool with options is wrapped: `Pool::from(PgPoolOptions::new().connect(url).await?)`.
//! [`Pool::builder`] has the options of telemetry.
//!
//! # What is emitted
//!
//! Operations have the attributes that [`database`](crate::database) lists. `db.system.name`,
//! `db.namespace`, `server.address` and `server.port` are read from the connect options.
//!
//! | call | span and `db.client.operation.duration` |
//! |---|---|
//! | `query`, `query_as`, `query_scalar`, the macros, `raw_sql`, a text: `execute`, `fetch_*` | one operation, named by the summary of the SQL; `raw_sql` with several statements is one |
//! | a stream: `fetch`, `fetch_many`, `execute_many` | from the first poll until the stream ends; `cancelled` if it is dropped earlier |
//! | `begin`, `commit`, `rollback` | `BEGIN`, `COMMIT`, `ROLLBACK`; inside a transaction `SAVEPOINT`, `RELEASE SAVEPOINT`, `ROLLBACK TO SAVEPOINT` |
//! | `begin_with` | named by the statement |
//! | a transaction that is dropped | a span `ROLLBACK` without a duration, because the driver sends it later |
//! | `prepare` | `PREPARE` |
//! | `ping`, `close`, connecting | – |
//!
//! The text of a query is recorded as it is if values are bound to it, else with `?` for literals.
//!
//! | failure | `db.response.status_code` | `error.type` |
//! |---|---|---|
//! | an error of the database | the SQLSTATE; SQLite's extended result code | the same |
//! | another error of sqlx | – | its kind: `connection_reset`, `io`, `tls`, `protocol`, `decode`, `worker_crashed`, … |
//! | dropped before its end | – | `cancelled` |
//!
//! `RowNotFound` and a row that can't be decoded are errors of the caller: the operation succeeds.
//! Messages are never recorded.
//!
//! Each pool reports these metrics, with `db.client.connection.pool.name`:
//!
//! | instrument | |
//! |---|---|
//! | `db.client.connection.count` | by state: `used`, `idle` |
//! | `db.client.connection.limit`, `.idle.min` | the options `max_connections`, `min_connections` |
//! | `db.client.connection.pending_requests` | callers that wait |
//! | `db.client.connection.timeouts` | waits that ended with `PoolTimedOut` |
//! | `db.client.connection.wait_time` | waits that ended with a connection, including the time to connect if a new one was needed |
//! | `db.client.connection.use_time` | from the wait's end until the connection is dropped |
//!
//! They end with the pool: when its last clone and its last connection are dropped. `.create_time`
//! is missing because sqlx doesn't tell how long a connection took to be created, and `.idle.max`
//! because its pools have no such limit.
//!
//! # Waits
//!
//! A query by `&pool` first waits for a connection, and its operation starts when it has one. A wait
//! of a millisecond or more is a span `wait for connection` (`INTERNAL`) beside that of the query. A
//! wait that fails is one, however short, with the `error.type` `pool_timed_out`, `pool_closed`,
//! `cancelled` or the kind of the error.
//!
//! # What doesn't work
//!
//! | with sqlx | here |
//! |---|---|
//! | functions that take `&PgPool` or `&mut PgConnection` | take `&Pool<Postgres>`, `&mut Connection<Postgres>`, or `impl PgExecutor<'_>`, which works for both |
//! | functions that take `impl Acquire` | take `&Pool<DB>`: `Acquire` is bound to sqlx's own connections |
//! | `sqlx::migrate!().run(&pool)` | `.run(pool.inner())` |
//! | `PgListener::connect_with(&pool)` | `PgListener::connect_with(pool.inner())`: what is received is not recorded |
//! | `COPY`: `connection.copy_in_raw(..)` | `connection.inner_mut().copy_in_raw(..)`; [`Pool::database`] makes an operation of it |
//! | `PgAdvisoryLock::acquire(connection)` | with `connection.inner_mut()` |
//! | the methods of `sqlx::Connection` | those of [`Connection`]; others by `inner_mut()` |
//! | `transaction.as_mut()` | is the instrumented connection, not sqlx's |
//! | generic code, `for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>` | the same, or shorter `DB: Driver` |
//!
//! MySQL's error number isn't known without its driver, so `db.response.status_code` is the SQLSTATE
//! there, too. sqlx does not tell PostgreSQL's default database, so `db.namespace` is missing if the
//! options name none.
//!
//! This feature turns on sqlx's feature `macros`, because without it the methods of `Executor`
//! would depend on the features that other crates turn on.

mod connect_options;
mod connection_wait;
mod driver;
mod executors;
mod operation_stream;
mod operations;
mod pool_builder;
mod pool_name;
mod pool_usage;
mod produced_stream;
mod sqlx_connection;
mod sqlx_errors;
mod sqlx_pool;
mod sqlx_transaction;
mod taken_query;

use sqlx::{Database, Either, Error};

pub use self::{
    driver::Driver,
    pool_builder::PoolBuilder,
    sqlx_connection::{Connection, PoolConnection},
    sqlx_pool::Pool,
    sqlx_transaction::Transaction,
};

/// The connect options of a database.
type ConnectOptionsOf<DB> = <<DB as Database>::Connection as sqlx::Connection>::Options;

/// An item of a stream of results: the end of a statement, or a row.
type StepOf<DB> = Result<Either<<DB as Database>::QueryResult, <DB as Database>::Row>, Error>;
