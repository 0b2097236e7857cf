//! OTLP exporters: requests, the client that sends them, and the one retry loop.

mod backoff;
mod connector;
mod export_failure;
mod export_request;
mod exporters;
mod obstacle;
mod otlp_client;
mod otlp_sender;
mod receiver_answer;

pub use self::exporters::{OtlpLogExporter, OtlpMetricExporter, OtlpSpanExporter};
pub(crate) use self::{
    export_failure::ExportFailure,
    export_request::{Batched, ExportRequest, ScopedRecord},
    exporters::{Core, Own},
    otlp_client::OtlpClient,
    otlp_sender::{OtlpSender, Phase},
    receiver_answer::Answer,
};
