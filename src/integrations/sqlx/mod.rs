//! Pools, connections and transactions of sqlx.

mod connect_options;
mod connection_wait;
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

use sqlx::Database;

pub use self::{
    pool_builder::PoolBuilder,
    sqlx_connection::{Connection, PoolConnection},
    sqlx_pool::Pool,
    sqlx_transaction::Transaction,
};

/// The connect options of a database.
type ConnectOptionsOf<DB> = <<DB as Database>::Connection as sqlx::Connection>::Options;
