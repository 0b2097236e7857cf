//! Metrics: operations with their distribution, and resources.

use std::collections::BTreeMap;

use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics};
use serde_json::{Value, json};

use super::{sdk_json, store::Store};
use crate::digest::{self, Operation, Point, RedRow};

/// The operations, and the number of active requests.
pub(super) struct Operations {
    rows: BTreeMap<Operation, RedRow>,
    pub(super) active: Option<f64>,
}

impl Operations {
    pub(super) fn of(metrics: &ResourceMetrics) -> Self {
        let mut operations = Self { rows: BTreeMap::new(), active: None };
        metrics
            .scope_metrics()
            .flat_map(|scope| scope.metrics())
            .for_each(|metric| operations.add(metric));
        operations
    }

    fn add(&mut self, metric: &Metric) {
        let name = metric.name();
        digest::visit(metric, |attributes, point| match point {
            Point::Value(value) if name == "http.server.active_requests" => {
                *self.active.get_or_insert_default() += value;
            }
            point => {
                if let Some(operation) = Operation::of_point(name, attributes) {
                    self.rows.entry(operation).or_default().add(attributes, point);
                }
            }
        });
    }

    /// Returns the rows, each bucket with a trace of the store.
    pub(super) fn json(&self, store: &Store) -> Value {
        self.rows.iter().map(|(operation, row)| json_of(operation, row, store)).collect()
    }
}

fn json_of(operation: &Operation, row: &RedRow, store: &Store) -> Value {
    let mut below = -1.0;
    let buckets = row.buckets.iter().map(|(bound, count)| {
        let above = below;
        below = bound.unwrap_or(f64::INFINITY);
        let pin = store.pin_within(operation, above, below).filter(|_| count > 0);
        let trace = pin.map(|pin| {
            json!({
                "id": pin.trace.id.to_string(),
                "duration": pin.duration.as_secs_f64(),
                "is_error": pin.is_error,
            })
        });
        json!({ "le": bound, "count": count, "trace": trace })
    });
    let buckets: Value = buckets.collect();
    json!({
        "key": key(operation),
        "kind": operation.kind.as_str(),
        "name": operation.name,
        "count": row.count,
        "errors": row.errors,
        "sum": row.sum,
        "p50": row.buckets.percentile(0.5),
        "p95": row.buckets.percentile(0.95),
        "p99": row.buckets.percentile(0.99),
        "buckets": buckets,
    })
}
/// Returns the text by which a page names an operation.
pub(super) fn key(operation: &Operation) -> String {
    format!("{} {}", operation.kind.as_str(), operation.name)
}

/// Returns the metrics that are not about operations.
pub(super) fn resources(metrics: &ResourceMetrics) -> Value {
    let metrics = metrics.scope_metrics().flat_map(|scope| scope.metrics());
    let metrics = metrics.filter_map(|metric| {
        let mut points = Vec::new();
        digest::visit(metric, |attributes, point| {
            if Operation::of_point(metric.name(), attributes).is_some() {
                return;
            }
            let (value, count, sum) = match point {
                Point::Value(value) => (Some(value), None, None),
                Point::Histogram { count, sum, .. } => (None, Some(count), Some(sum)),
            };
            let attributes = sdk_json::attributes(attributes.iter().copied());
            points.push(
                json!({ "attributes": attributes, "value": value, "count": count, "sum": sum }),
            );
        });
        points.truncate(MOST_POINTS);
        (!points.is_empty()).then(|| {
            json!({
                "name": metric.name(),
                "unit": metric.unit(),
                "description": metric.description(),
                "kind": kind(metric),
                "points": points,
            })
        })
    });
    metrics.collect()
}

fn kind(metric: &Metric) -> &'static str {
    fn of<T>(data: &MetricData<T>) -> &'static str {
        match data {
            MetricData::Sum(sum) if sum.is_monotonic() => "counter",
            MetricData::Sum(_) => "updown",
            MetricData::Gauge(_) => "gauge",
            MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) => "histogram",
        }
    }
    match metric.data() {
        AggregatedMetrics::F64(data) => of(data),
        AggregatedMetrics::U64(data) => of(data),
        AggregatedMetrics::I64(data) => of(data),
    }
}

/// Series of a metric that a page shows.
const MOST_POINTS: usize = 200;
