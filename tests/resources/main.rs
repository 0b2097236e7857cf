//! Pools, limits, connections, the process and the runtime, read back from the SDK.

mod attempts;
mod clients;
mod connections;
mod global;
// tokio has more metrics under its flag, and other systems have fewer of the process.
#[cfg(all(target_os = "linux", not(tokio_unstable)))]
mod golden;
mod pools;
mod process;
mod runtime;
mod saturation;
mod support;

#[cfg(all(target_os = "linux", not(tokio_unstable)))]
#[path = "../golden_file/mod.rs"]
mod golden_file;
