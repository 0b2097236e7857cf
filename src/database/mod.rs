//! Database operations as spans and durations, for any client.
//!
//! A [`Database`] describes the server; an [`Operation`] is one call. The kernel has no dependency
//! on a client: wrap the calls of yours.
//!
//! # Example: a client with futures
//!
//! ```
//! use std::io;
//!
//! use tower_telemetry::database::Database;
//!
//! # struct Connection;
//! # impl Connection {
//! #     async fn get(&mut self, _: &str) -> Result<Option<String>, io::Error> { Ok(None) }
//! # }
//! /// A redis connection, instrumented.
//! struct Cache {
//!     connection: Connection,
//!     database: Database,
//! }
//!
//! impl Cache {
//!     async fn get(&mut self, key: &str) -> Result<Option<String>, io::Error> {
//!         let get = self.database.operation("GET").with_text("GET ?");
//!         get.instrument(self.connection.get(key)).await
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), io::Error> {
//! let database = Database::new("redis").with_namespace("0").with_server_address("cache.internal");
//! let mut cache = Cache { connection: Connection, database };
//! cache.get("user:17").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Example: hooks
//!
//! A client as diesel tells of the start and the finish of a query.
//!
//! ```
//! use tower_telemetry::database::{Database, Outcome, Running};
//!
//! enum Event<'a> {
//!     Start { sql: &'a str },
//!     Finish { error: Option<&'a str> },
//! }
//!
//! struct Instrumentation {
//!     database: Database,
//!     running: Option<Running>,
//! }
//!
//! impl Instrumentation {
//!     fn on_event(&mut self, event: Event<'_>) {
//!         match event {
//!             Event::Start { sql } => {
//!                 self.running = Some(self.database.query(sql).parameterized().start());
//!             }
//!             Event::Finish { error } => {
//!                 let Some(running) = self.running.take() else { return };
//!                 running.finish(match error {
//!                     None => Outcome::success(),
//!                     // The SQLSTATE, never the message.
//!                     Some(code) => Outcome::sql_state(code),
//!                 });
//!             }
//!         }
//!     }
//! }
//!
//! let database = Database::new("postgresql").with_namespace("shop");
//! let mut instrumentation = Instrumentation { database, running: None };
//! instrumentation.on_event(Event::Start { sql: "SELECT * FROM songs WHERE id = $1" });
//! instrumentation.on_event(Event::Finish { error: None });
//! ```
//!
//! Blocking calls are wrapped by [`Operation::run`].
//!
//! # What is emitted
//!
//! A span of kind `CLIENT` and a measurement of the histogram `db.client.operation.duration` (`s`),
//! by the stable conventions:
//!
//! | attribute | span | metric |
//! |---|---|---|
//! | `db.system.name`, `db.namespace` | yes | yes |
//! | `server.address`; `server.port` if it isn't the default | yes | yes |
//! | `db.operation.name`, `db.collection.name`, `db.stored_procedure.name` | as given | as given |
//! | `db.query.summary` | as given, or read from the SQL | the same, for up to 200 of them |
//! | `db.query.text` | parameterized text as given, else `?` for literals; up to 8 KiB | – |
//! | `db.operation.batch.size` | as given | – |
//! | `db.response.status_code`, `error.type` | by [`Outcome`] | the same |
//! | `db.response.returned_rows` | as given | – |
//!
//! The span is named by the summary; else `{operation} {target}`, where the target is the
//! collection, the procedure, the namespace or the server; else by the system. Values, parameters
//! and messages of errors are never recorded.
//!
//! | what happened | `error.type` | span status |
//! |---|---|---|
//! | success | – | unset |
//! | an error | as [`Database::with_error`] says, else the name of the error's type | error |
//! | dropped before its end | `cancelled` | error |
//! | panic | `panic` | error |
//!
//! # Summaries
//!
//! A summary has the operations of the SQL and their targets in order and as written, at most 255
//! characters: `INSERT shipping_details SELECT orders`. A text without a known operation has none.
//! Only the queries inside `WITH` count. Up to 1000 texts of a database are cached.
//!
//! # Cardinality
//!
//! Everything on the metric is of a closed set or bounded, provided that the names that you give
//! are. The 201st summary and later ones are left out of the metric.

mod attribute_names;
mod database_client;
mod dialect;
mod instrumented;
mod keywords;
mod operation;
mod operation_duration;
mod operation_outcome;
mod running;
mod sanitize;
mod statements;
mod summary;
mod tokens;

pub(crate) use self::operation_duration::BOUNDARIES;
pub use self::{
    database_client::Database, operation::Operation, operation_outcome::Outcome, running::Running,
};
