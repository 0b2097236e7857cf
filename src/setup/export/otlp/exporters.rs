//! The exporters as the SDK's traits want them.

use std::{fmt, sync::Arc, time::Duration};

use opentelemetry_proto::{
    tonic::collector::metrics::v1::ExportMetricsServiceRequest,
    transform::common::tonic::ResourceAttributesWithSchema,
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    logs::{LogBatch, LogExporter},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};
use tokio::{runtime::Handle, sync::watch};

use super::{
    export_request::{Batched, ExportRequest, logs_request},
    otlp_sender::{OtlpSender, Phase},
};
use crate::{
    exemplars::{Exemplars, annotate::annotate},
    setup::export::{items::Items, private_runtime::PrivateRuntime},
};

/// Sends a request in the private runtime, on whatever thread the SDK polls this.
async fn send<R: ExportRequest>(
    runtime: &Handle,
    sender: &Arc<OtlpSender>,
    request: R,
) -> OTelSdkResult {
    let count = request.items();
    if count == 0 {
        return Ok(());
    }
    sender.ledger.record(count);
    let items = Items::new(&sender.ledger, count);
    let sender = Arc::clone(sender);
    let sent = runtime.spawn(async move { sender.deliver(request, items).await }).await;
    // The runtime has ended, or the export panicked.
    sent.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())))
}

/// The part that the exporters of all signals have in common.
pub(crate) struct Core {
    pub(crate) sender: Arc<OtlpSender>,
    pub(crate) runtime: Handle,
    /// Present in an exporter for another provider than that of `Telemetry`.
    pub(crate) own: Option<Own>,
}

/// The parts that end with an exporter.
pub(crate) struct Own {
    pub(crate) phase: watch::Sender<Phase>,
    /// Dropped with the exporter, which ends its thread.
    pub(crate) _runtime: PrivateRuntime,
}

impl Core {
    async fn send<R: ExportRequest>(&self, request: R) -> OTelSdkResult {
        if self.sender.ledger.is_closed() {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        send(&self.runtime, &self.sender, request).await
    }

    /// Marks that the last export has ended. Ends exports that are still under way, unless `Telemetry`
    /// does.
    fn shutdown(&self) -> OTelSdkResult {
        self.sender.ledger.close();
        if let Some(own) = &self.own {
            own.phase.send_replace(Phase::Abandoned);
        }
        Ok(())
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sender.fmt(f)
    }
}

/// Exports spans by OTLP, for a tracer provider of your own.
///
/// [`Otlp::span_exporter`](crate::setup::Otlp::span_exporter) creates it. It connects and sends on a
/// thread of its own, so it works with each of the SDK's span processors, with any runtime and with
/// none.
///
/// A failed request is retried as the OTLP specification says, for `OTEL_BSP_EXPORT_TIMEOUT` if that is
/// set and otherwise until it is delivered. The operator is told of outages, refusals and partial
/// success.
#[derive(Debug)]
pub struct OtlpSpanExporter {
    pub(crate) core: Core,
    pub(crate) resource: ResourceAttributesWithSchema,
}

impl SpanExporter for OtlpSpanExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.core.send(SpanData::request(batch, &self.resource)).await
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.core.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

/// Exports log records by OTLP, for a logger provider of your own.
///
/// [`Otlp::log_exporter`](crate::setup::Otlp::log_exporter) creates it. It behaves as
/// [`OtlpSpanExporter`] does; its variable is `OTEL_BLRP_EXPORT_TIMEOUT`.
#[derive(Debug)]
pub struct OtlpLogExporter {
    pub(crate) core: Core,
    pub(crate) resource: ResourceAttributesWithSchema,
}

impl LogExporter for OtlpLogExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.core.send(logs_request(&batch, &self.resource)).await
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.core.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

/// Exports metrics by OTLP, for a meter provider of your own.
///
/// [`Otlp::metric_exporter`](crate::setup::Otlp::metric_exporter) creates it. It behaves as
/// [`OtlpSpanExporter`] does. A failed request is retried for `OTEL_METRIC_EXPORT_TIMEOUT` (30 seconds);
/// the next one contains its measurements, too, unless the temporality is delta. Deltas are retried
/// until they are delivered, unless the variable is set.
///
/// [`with_exemplars`](Self::with_exemplars) adds exemplars.
#[derive(Debug)]
pub struct OtlpMetricExporter {
    pub(crate) core: Core,
    pub(crate) temporality: Temporality,
    pub(crate) exemplars: Option<Exemplars>,
}

impl OtlpMetricExporter {
    /// Sends the exemplars of the layers and databases that have the same [`Exemplars`].
    ///
    /// See [`docs/exemplars.md`](https://docs.rs/crate/tower-telemetry/latest/source/docs/exemplars.md).
    #[must_use]
    pub fn with_exemplars(mut self, exemplars: &Exemplars) -> Self {
        self.exemplars = Some(exemplars.clone());
        self
    }
}

impl PushMetricExporter for OtlpMetricExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut request = ExportMetricsServiceRequest::from(metrics);
        if let Some(exemplars) = &self.exemplars {
            annotate(exemplars, &mut request);
        }
        self.core.send(request).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.core.shutdown()
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}
