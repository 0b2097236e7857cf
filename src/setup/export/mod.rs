//! The middle floor: exporters and the processors that feed them. It uses `settings` alone.

mod assembly;
mod batch_queue;
mod exporter_metrics;
mod items;
mod ledger;
mod log_target;
mod notices;
mod otlp;
mod own_provider;
mod pipelines;
mod private_runtime;
mod told;

pub use self::otlp::{OtlpLogExporter, OtlpMetricExporter, OtlpSpanExporter};
pub(crate) use self::{
    assembly::{Parts, assemble},
    ledger::Ledger,
    otlp::Phase,
};
