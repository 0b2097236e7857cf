//! The middle floor: exporters and the processors that feed them. It uses `settings` alone.

use opentelemetry::Context;

mod assembly;
mod console;
mod delivery;
mod ledger;
mod log_target;
mod notice;
mod pipelines;
mod reconnect;
mod transport;

pub(crate) use self::{
    assembly::{Parts, assemble},
    ledger::Ledger,
};

/// Tells the operator something once: through `tracing`, or on standard error without a subscriber.
pub(crate) fn warn(text: &str) {
    notice::warn(text);
}

/// The same after telemetry was shut down. The notice is not exported, because the SDK would
/// complain that it comes too late.
pub(crate) fn warn_after_shutdown(text: &str) {
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    notice::warn(text);
}
