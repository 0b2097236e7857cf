//! Exemplars of histograms, as OpenMetrics writes them.

use std::fmt::Write;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};

use super::{
    exposition_escape::push_escaped,
    families::Stream,
    label_writer::label_name,
    number::{self, Format},
};
use crate::exemplars::{Exemplar, Matcher, Snapshot, StreamFacts, latest};

/// Returns the exemplars of a stream's data points. `None`: it has none.
pub(super) fn of_stream(snapshot: &Snapshot, stream: &Stream<'_>) -> Option<Matcher<KeyValue>> {
    let (metric, scope) = (stream.metric, stream.scope);
    let facts = StreamFacts {
        scope_name: scope.name(),
        scope_version: scope.version().unwrap_or_default(),
        name: metric.name(),
        description: metric.description(),
        unit: metric.unit(),
    };
    match metric.data() {
        AggregatedMetrics::F64(data) => of_data(snapshot, facts, data),
        AggregatedMetrics::U64(data) => of_data(snapshot, facts, data),
        AggregatedMetrics::I64(data) => of_data(snapshot, facts, data),
    }
}

fn of_data<T>(
    snapshot: &Snapshot,
    facts: StreamFacts<'_>,
    data: &MetricData<T>,
) -> Option<Matcher<KeyValue>> {
    match data {
        MetricData::Histogram(histogram) => {
            let attributes = histogram.data_points().flat_map(|point| point.attributes());
            snapshot.of_stream(facts, attributes)
        }
        MetricData::ExponentialHistogram(histogram) => {
            let attributes = histogram.data_points().flat_map(|point| point.attributes());
            snapshot.of_stream(facts, attributes)
        }
        MetricData::Gauge(_) | MetricData::Sum(_) => None,
    }
}

/// Writes the latest exemplar of a bucket, above one boundary and up to another, if there is one.
pub(super) fn write(exemplars: &[Exemplar<'_>], above: f64, up_to: f64, out: &mut String) {
    let Some(exemplar) = latest(exemplars, above, up_to) else { return };
    // Writing to a string cannot fail.
    let Exemplar { trace_id, span_id, .. } = exemplar;
    let _ = write!(out, " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"");
    let mut room = MAX_CHARACTERS - TRACE_CHARACTERS;
    let mut names = Vec::new();
    for KeyValue { key, value, .. } in exemplar.filtered {
        let (name, value) = (label_name(key.as_str(), false), value.as_str());
        let size = name.chars().count() + value.chars().count();
        let is_taken = ["trace_id", "span_id"].contains(&&*name) || names.contains(&name);
        if size > room || is_taken || value.is_empty() {
            continue;
        }
        room -= size;
        let _ = write!(out, ",{name}=\"");
        push_escaped(out, &value);
        out.push('"');
        names.push(name);
    }
    out.push_str("} ");
    number::float(exemplar.value, Format::OpenMetrics, out);
    let milliseconds = exemplar.time / 1_000_000;
    let _ = write!(out, " {}.{:03}", milliseconds / 1000, milliseconds % 1000);
}

/// The limit of OpenMetrics for the names and values of an exemplar's labels.
const MAX_CHARACTERS: usize = 128;

/// The characters of `trace_id`, `span_id` and their values.
const TRACE_CHARACTERS: usize = 8 + 32 + 7 + 16;
