//! The lowest floor: reads settings from code and environment, and checks them before anything
//! starts.

mod batch;
mod builder;
mod destination;
#[cfg(feature = "detectors")]
mod detected;
mod endpoint;
mod environment;
mod exemplar_filter;
mod exporter;
mod extensions;
mod headers;
mod optional;
mod otlp;
mod plan;
mod propagators;
mod resource;
mod sampler;
mod setup_error;
mod signal;
mod specification;
mod tls;
mod variables;
mod views;

pub(crate) use self::{
    batch::Batch, destination::Destination, plan::Plan, propagators::Propagator,
};
pub use self::{
    builder::TelemetryBuilder,
    exporter::Exporter,
    otlp::{Compression, Otlp, OtlpProtocol},
    setup_error::SetupError,
    signal::Signal,
};
