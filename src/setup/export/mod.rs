//! The middle floor: exporters and the processors that feed them. It uses `settings` alone.

mod assembly;
mod console;
mod delivery;
mod ledger;
mod log_target;
mod pipelines;
mod reconnect;
mod transport;

pub(crate) use self::{
    assembly::{Parts, assemble},
    ledger::Ledger,
};
