//! Retries batches that a broken connection cut off.

use std::time::Duration;

use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    logs::{LogBatch, LogExporter},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};
use tokio::time;

use crate::setup::settings::OtlpProtocol;

/// An OTLP exporter that retries after a broken connection.
///
/// The inner exporter retries by the status that the receiver answers, and over HTTP also without
/// an answer. Over gRPC, tonic reports a connection that breaks during a request (a Collector
/// restarts) as UNKNOWN or INTERNAL. The inner exporter does not retry these, and the batch would
/// be lost.
#[derive(Debug)]
pub(crate) struct Reconnecting<E> {
    pub(crate) exporter: E,
    pub(crate) protocol: OtlpProtocol,
    pub(crate) batch_timeout: Duration,
}

impl<E> Reconnecting<E> {
    async fn until_answered<F>(&self, mut attempt: impl FnMut() -> F) -> OTelSdkResult
    where
        F: Future<Output = OTelSdkResult>,
    {
        let mut last = OTelSdkError::Timeout(self.batch_timeout);
        let attempts = async {
            loop {
                match attempt().await {
                    Err(error) if is_cut_off(&error) => last = error,
                    result => break result,
                }
                time::sleep(PAUSE).await;
            }
        };
        let result = time::timeout(self.batch_timeout, attempts).await;
        result.unwrap_or(Err(last))
    }
}

impl<E: SpanExporter> SpanExporter for Reconnecting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        match self.protocol {
            OtlpProtocol::Grpc => self.until_answered(|| self.exporter.export(batch.clone())).await,
            OtlpProtocol::HttpProtobuf => self.exporter.export(batch).await,
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Reconnecting<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records: Vec<_> = batch.iter().collect();
        self.until_answered(|| self.exporter.export(LogBatch::new(&records))).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Reconnecting<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.until_answered(|| self.exporter.export(metrics)).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

/// Returns true if no answer came. The exporter appends the cause to a status only if the transport
/// created it: `gRPC code: Unknown: transport error: …`.
fn is_cut_off(error: &OTelSdkError) -> bool {
    let OTelSdkError::InternalFailure(text) = error else { return false };
    text.split_once("gRPC code: ").is_some_and(|(_, code)| code.contains(": "))
}

const PAUSE: Duration = Duration::from_millis(500);
