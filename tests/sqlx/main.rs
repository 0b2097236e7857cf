//! sqlx with telemetry, against a real PostgreSQL and SQLite.

mod calls;
mod cancelled;
#[allow(dead_code)] // for the tests of the kernel
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
#[allow(dead_code)] // for the tests of resources
#[path = "../resources/support.rs"]
mod resources;
mod storm;
mod support;
mod transactions;
mod waits;
