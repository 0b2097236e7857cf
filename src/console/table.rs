//! Metrics as a table.
//!
//! ```text
//! active 0                                       count errors    p50    p95    p99
//! GET /users/{id}                                   12      0  1.0ms  2.1ms  2.4ms
//! → GET 127.0.0.1:8000                               4      0  1.2ms  2.0ms  2.0ms
//! shop.orders                                        3
//! ```

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    time::Duration,
};

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::metrics::data::{Metric, ResourceMetrics};

use super::tree::shown;
use crate::{
    digest::{self, Operation, Point, RedRow},
    stdout::{Colours, Escaped},
};

/// The table as it was printed last.
#[derive(Debug, Default)]
pub(super) struct Table {
    printed: Content,
}

#[derive(Debug, Default, Clone)]
struct Content {
    /// Active requests of the server, if it has any.
    active: Option<f64>,
    rows: BTreeMap<String, RedRow>,
    others: BTreeMap<String, String>,
}

impl Table {
    /// Returns the table, or nothing if no operation has ended and no value of others has changed since it was
    /// printed.
    pub(super) fn render(
        &mut self,
        metrics: &ResourceMetrics,
        own_scope: &InstrumentationScope,
        colours: Colours,
    ) -> String {
        let mut content = Content::default();
        for scope in metrics.scope_metrics() {
            let is_own = scope.scope().name() == own_scope.name();
            scope.metrics().for_each(|metric| content.add(metric, is_own));
        }
        let counts = |content: &Content| {
            Vec::from_iter(content.rows.iter().map(|(name, row)| (name.clone(), row.count)))
        };
        if counts(&content) == counts(&self.printed) && content.others == self.printed.others {
            return String::new();
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = content.write(&mut text, &self.printed, colours);
        self.printed = content;
        text
    }
}

impl Content {
    fn add(&mut self, metric: &Metric, is_own: bool) {
        let name = metric.name();
        digest::visit(metric, |attributes, point| {
            match (Operation::of_point(name, attributes), point) {
                (Some(operation), point @ Point::Histogram { .. }) => {
                    self.rows.entry(row(&operation)).or_default().add(attributes, point);
                }
                (_, Point::Value(value)) if name == "http.server.active_requests" => {
                    *self.active.get_or_insert_default() += value;
                }
                // The other metrics of this crate are about resources, which change all the time.
                _ if is_own => {}
                (_, point) => {
                    let value = value(&point, metric.unit());
                    self.others.insert(labelled(name, attributes), value);
                }
            }
        });
    }

    fn write(&self, text: &mut String, printed: &Self, colours: Colours) -> fmt::Result {
        let (dim, end) = (colours.dim(), colours.end());
        if !self.rows.is_empty() {
            let active = self.active.map(|active| format!("active {active}")).unwrap_or_default();
            writeln!(
                text,
                "{dim}{active:LABEL$} {:>7} {:>6} {:>8} {:>8} {:>8}{end}",
                "count", "errors", "p50", "p95", "p99"
            )?;
        }
        for (label, row) in self.rows.iter().take(MOST_ROWS) {
            let colour = if row.errors > 0 { colours.red() } else { "" };
            let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|part| percentile(row, part));
            write!(text, "{} {:>7} {colour}{:>6}", fitted(label), row.count, row.errors)?;
            writeln!(
                text,
                "{} {p50:>8} {p95:>8} {p99:>8}",
                if colour.is_empty() { "" } else { end }
            )?;
        }
        let changed =
            |(label, value): &(&String, &String)| printed.others.get(*label) != Some(value);
        let mut others = self.others.iter().filter(changed);
        for (label, value) in others.by_ref().take(MOST_ROWS) {
            writeln!(text, "{} {value:>7}", fitted(label))?;
        }
        match self.rows.len().saturating_sub(MOST_ROWS) + others.count() {
            0 => Ok(()),
            more => writeln!(text, "{dim}… {more} more rows{end}"),
        }
    }
}

/// Returns the text of a data point.
fn value(point: &Point, unit: &str) -> String {
    // `{request}` is an annotation and no unit.
    let unit = if unit.starts_with('{') { "" } else { unit };
    match point {
        Point::Value(value) => format!("{value} {unit}").trim_end().to_owned(),
        Point::Histogram { count, sum, .. } => {
            let mean = sum / (*count).max(1) as f64;
            format!("{count}, mean {mean:.3} {unit}").trim_end().to_owned()
        }
    }
}

/// Returns a percentile as text.
fn percentile(row: &RedRow, part: f64) -> String {
    match row.buckets.percentile(part).map(Duration::try_from_secs_f64) {
        Some(Ok(duration)) => shown(duration),
        _ => "-".to_owned(),
    }
}

/// Returns the label of a row.
fn row(operation: &Operation) -> String {
    if operation.is_outbound() { format!("→ {}", operation.name) } else { operation.name.clone() }
}

fn labelled(name: &str, attributes: &[&KeyValue]) -> String {
    let mut label = name.to_owned();
    for pair in attributes {
        let _ = write!(label, " {}={}", pair.key, pair.value);
    }
    label
}

/// Returns a label of [`LABEL`] columns, or a longer one uncut.
fn fitted(label: &str) -> String {
    format!("{:LABEL$}", Escaped(label).to_string())
}

/// Columns of a label, so that a row fits into 80 columns.
const LABEL: usize = 38;

/// The rows of each kind that are printed.
const MOST_ROWS: usize = 20;
