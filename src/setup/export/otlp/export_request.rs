//! The requests of OTLP, one for each signal.

use std::mem;

use opentelemetry::InstrumentationScope;
use opentelemetry_proto::{
    tonic::{
        collector::{
            logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
            trace::v1::ExportTraceServiceRequest,
        },
        metrics::v1::{Metric, metric::Data},
    },
    transform::{
        common::tonic::ResourceAttributesWithSchema, logs::tonic::group_logs_by_resource_and_scope,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{
    logs::{LogBatch, SdkLogRecord},
    trace::SpanData,
};
use serde::Serialize;

/// A request that exports telemetry.
pub(crate) trait ExportRequest: prost::Message + Serialize + Sized + 'static {
    /// The path of the gRPC method.
    const METHOD: &'static str;

    /// Returns the number of spans, data points or log records.
    fn items(&self) -> u64;

    /// Moves about half of the items into a second request. Returns `None` if it can't be split.
    fn split(&mut self) -> Option<Self>;
}

/// An item that waits to be exported in a batch with others.
pub(crate) trait Batched: Send + Sized + 'static {
    type Request: ExportRequest;

    fn request(batch: Vec<Self>, resource: &ResourceAttributesWithSchema) -> Self::Request;
}

impl Batched for SpanData {
    type Request = ExportTraceServiceRequest;

    fn request(batch: Vec<Self>, resource: &ResourceAttributesWithSchema) -> Self::Request {
        let resource_spans = group_spans_by_resource_and_scope(batch, resource);
        ExportTraceServiceRequest { resource_spans }
    }
}

/// A log record and its scope.
pub(crate) type ScopedRecord = (SdkLogRecord, InstrumentationScope);

impl Batched for ScopedRecord {
    type Request = ExportLogsServiceRequest;

    fn request(batch: Vec<Self>, resource: &ResourceAttributesWithSchema) -> Self::Request {
        let batch: Vec<_> = batch.iter().map(|(record, scope)| (record, scope)).collect();
        logs_request(&LogBatch::new(&batch), resource)
    }
}

/// Returns the request for log records.
pub(crate) fn logs_request(
    batch: &LogBatch<'_>,
    resource: &ResourceAttributesWithSchema,
) -> ExportLogsServiceRequest {
    let mut resource_logs = group_logs_by_resource_and_scope(batch, resource);
    let scopes = resource_logs.iter_mut().flat_map(|resource| &mut resource.scope_logs);
    for record in scopes.flat_map(|scope| &mut scope.log_records) {
        if is_source_line(&record.event_name) {
            record.event_name.clear();
        }
    }
    ExportLogsServiceRequest { resource_logs }
}

/// Returns true for the name that `tracing` gives an event without one: `event src/main.rs:12`.
///
/// `event_name` tells kinds of events apart, and each line of a source would be one.
fn is_source_line(name: &str) -> bool {
    let place = name.strip_prefix("event ").and_then(|place| place.rsplit_once(':'));
    place.is_some_and(|(_, line)| line.parse::<u32>().is_ok())
}

impl ExportRequest for ExportTraceServiceRequest {
    const METHOD: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    fn items(&self) -> u64 {
        let scopes = self.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.map(|scope| scope.spans.len() as u64).sum()
    }

    fn split(&mut self) -> Option<Self> {
        let [resource] = &mut self.resource_spans[..] else { return None };
        let second = split_resource(resource, |of| &mut of.scope_spans, |of| &mut of.spans)?;
        Some(Self { resource_spans: vec![second] })
    }
}

impl ExportRequest for ExportLogsServiceRequest {
    const METHOD: &'static str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

    fn items(&self) -> u64 {
        let scopes = self.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        scopes.map(|scope| scope.log_records.len() as u64).sum()
    }

    fn split(&mut self) -> Option<Self> {
        // The transform makes one resource for each scope.
        let half = self.resource_logs.len() / 2;
        if half > 0 {
            return Some(Self { resource_logs: self.resource_logs.split_off(half) });
        }
        let [resource] = &mut self.resource_logs[..] else { return None };
        let second = split_resource(resource, |of| &mut of.scope_logs, |of| &mut of.log_records)?;
        Some(Self { resource_logs: vec![second] })
    }
}

impl ExportRequest for ExportMetricsServiceRequest {
    const METHOD: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

    fn items(&self) -> u64 {
        let scopes = self.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| &scope.metrics).map(data_points).sum()
    }

    fn split(&mut self) -> Option<Self> {
        let [resource] = &mut self.resource_metrics[..] else { return None };
        let second = split_resource(resource, |of| &mut of.scope_metrics, |of| &mut of.metrics)?;
        Some(Self { resource_metrics: vec![second] })
    }
}

fn data_points(metric: &Metric) -> u64 {
    let points = match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    };
    points as u64
}

/// Moves the second half of all items into a copy of their resource.
fn split_resource<R: Clone, S: Clone, I>(
    resource: &mut R,
    scopes: impl Fn(&mut R) -> &mut Vec<S>,
    items: impl Fn(&mut S) -> &mut Vec<I>,
) -> Option<R> {
    let rest = split_scopes(scopes(resource), items)?;
    // The copy is made without the items that stay.
    let kept = mem::replace(scopes(resource), rest);
    let second = resource.clone();
    *scopes(resource) = kept;
    Some(second)
}

/// Moves the second half of all items into copies of their scopes.
fn split_scopes<S: Clone, I>(
    scopes: &mut Vec<S>,
    items: impl Fn(&mut S) -> &mut Vec<I>,
) -> Option<Vec<S>> {
    let total: usize = scopes.iter_mut().map(|scope| items(scope).len()).sum();
    let mut room = total / 2;
    if room == 0 {
        return None;
    }
    let mut rest = Vec::new();
    for scope in scopes.iter_mut() {
        let mut kept = mem::take(items(scope));
        let moved = kept.split_off(room.min(kept.len()));
        room -= kept.len();
        if !moved.is_empty() {
            let mut copy = scope.clone();
            *items(&mut copy) = moved;
            rest.push(copy);
        }
        *items(scope) = kept;
    }
    scopes.retain_mut(|scope| !items(scope).is_empty());
    Some(rest)
}
