//! sqlx with telemetry, against a real PostgreSQL and SQLite.

mod calls;
mod cancelled;
#[allow(dead_code, reason = "the tests of the kernel use the rest")]
#[path = "../database/support.rs"]
mod database;
mod failures;
mod global;
mod golden;
#[path = "../golden_file/mod.rs"]
mod golden_file;
mod inner;
mod pools;
#[path = "../debian/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "the tests of resources use the rest")]
#[path = "../resources/support.rs"]
mod resources;
mod storm;
mod support;
mod transactions;
mod waits;
