//! Wraps the SDK's processors and exporters to account for delivery.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};

use opentelemetry::{Context, InstrumentationScope, trace::Span as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};
use pin_project_lite::pin_project;
use tokio::runtime::Handle;

use super::ledger::Ledger;

/// An exporter that runs in the private runtime, on whatever thread it is called, and reports to
/// the ledger.
#[derive(Debug)]
pub(crate) struct Followed<E> {
    pub(crate) exporter: E,
    pub(crate) runtime: Handle,
    pub(crate) ledger: Arc<Ledger>,
}

impl<E> Followed<E> {
    fn follow(
        &self,
        items: usize,
        export: impl Future<Output = OTelSdkResult> + Send,
    ) -> impl Future<Output = OTelSdkResult> + Send {
        let runtime = self.runtime.clone();
        Entered { future: self.ledger.follow(items as u64, export), runtime }
    }
}

impl<E: SpanExporter> SpanExporter for Followed<E> {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        self.follow(batch.len(), self.exporter.export(batch))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Followed<E> {
    fn export(&self, batch: LogBatch<'_>) -> impl Future<Output = OTelSdkResult> + Send {
        let items = batch.iter().count();
        self.follow(items, self.exporter.export(batch))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Followed<E> {
    fn export(&self, metrics: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        // An export contains all series, so exports are counted.
        self.ledger.admit();
        self.follow(1, self.exporter.export(metrics))
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        // The reader calls this after its last export.
        self.ledger.close();
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

pin_project! {
    /// Polls a future inside of a runtime, which its timers and connections then use.
    struct Entered<F> {
        #[pin]
        future: F,
        runtime: Handle,
    }
}

impl<F: Future> Future for Entered<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.runtime.enter();
        this.future.poll(cx)
    }
}

/// A processor that counts items, and drops those that exceed the queue of the inner processor.
pub(crate) struct Counted<P> {
    pub(crate) processor: P,
    pub(crate) ledger: Arc<Ledger>,
}

impl<P> fmt::Debug for Counted<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

impl<P: SpanProcessor> SpanProcessor for Counted<P> {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        if span.span_context().is_sampled() {
            self.ledger.start();
        }
        self.processor.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.ledger.admit() {
            self.processor.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

impl<P: LogProcessor> LogProcessor for Counted<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.ledger.admit() {
            self.processor.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}
