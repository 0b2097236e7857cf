//! Pools, limits, connections, the process and the runtime, read back from the SDK.

mod attempts;
mod clients;
mod connections;
mod global;
mod golden;
mod pools;
mod process;
mod runtime;
mod saturation;
mod support;

#[path = "../golden_file/mod.rs"]
mod golden_file;
