//! The shop as processes: what `load` has sent is what `/metrics` and OTLP tell, by route and status.

#[path = "../../../../tests/debian/postgres.rs"]
#[allow(dead_code, reason = "the tests of the crate use more of it")]
mod postgres;
#[path = "../../../../tests/receiver/mod.rs"]
mod receiver;

mod alone;
mod counts;
mod ends;
mod faults;
mod processes;
mod routes;
mod scrape;
mod traces;
