//! Database operations: what is recorded of them, and what never is.

mod global;
mod operations;
mod properties;
mod summaries;
mod support;
