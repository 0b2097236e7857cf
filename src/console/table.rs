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

use super::{
    percentile::Buckets,
    series::{self, Point},
    tree::shown,
};
use crate::stdout::{Colours, Escaped};

/// The table as it was printed last.
#[derive(Debug, Default)]
pub(super) struct Table {
    printed: Content,
}

#[derive(Debug, Default, Clone)]
struct Content {
    /// Active requests of the server, if it has any.
    active: Option<f64>,
    rows: BTreeMap<String, Row>,
    others: BTreeMap<String, String>,
}

/// Operations of one kind.
#[derive(Debug, Default, Clone)]
struct Row {
    count: u64,
    errors: u64,
    buckets: Buckets,
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
        series::visit(metric, |attributes, point| match (operation(name, attributes), point) {
            (Some(label), Point::Histogram { count, bounds, counts, range, .. }) => {
                let row = self.rows.entry(label).or_default();
                row.count += count;
                if series::text(attributes, "error.type").is_some() {
                    row.errors += count;
                }
                row.buckets.add(bounds, counts.into_iter(), range);
            }
            (_, Point::Value(value)) if name == "http.server.active_requests" => {
                *self.active.get_or_insert_default() += value;
            }
            // The other metrics of this crate are about resources, which change all the time.
            _ if is_own => {}
            (_, point) => {
                let value = point.shown(metric.unit());
                self.others.insert(labelled(name, attributes), value);
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
            let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|part| row.percentile(part));
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

impl Point {
    fn shown(&self, unit: &str) -> String {
        // `{request}` is an annotation and no unit.
        let unit = if unit.starts_with('{') { "" } else { unit };
        match self {
            Self::Value(value) => format!("{value} {unit}").trim_end().to_owned(),
            Self::Histogram { count, sum, .. } => {
                let mean = sum / (*count).max(1) as f64;
                format!("{count}, mean {mean:.3} {unit}").trim_end().to_owned()
            }
        }
    }
}

impl Row {
    fn percentile(&self, part: f64) -> String {
        match self.buckets.percentile(part).map(Duration::try_from_secs_f64) {
            Some(Ok(duration)) => shown(duration),
            _ => "-".to_owned(),
        }
    }
}

/// Returns the row of a histogram of durations.
fn operation(metric: &str, attributes: &[&KeyValue]) -> Option<String> {
    let text = |key| series::text(attributes, key);
    let words = |words: &[Option<String>]| {
        Vec::from_iter(words.iter().flatten().map(String::as_str)).join(" ")
    };
    Some(match metric {
        "http.server.request.duration" => words(&[text("http.request.method"), text("http.route")]),
        "rpc.server.call.duration" => words(&[text("rpc.method")]),
        "http.client.request.duration" => {
            let port = text("server.port").map(|port| format!(":{port}")).unwrap_or_default();
            let server = text("server.address").map(|address| format!("{address}{port}"));
            format!("→ {}", words(&[text("http.request.method"), text("url.template"), server]))
        }
        "rpc.client.call.duration" => format!("→ {}", words(&[text("rpc.method")])),
        "db.client.operation.duration" => {
            let summary = text("db.query.summary").or_else(|| text("db.operation.name"));
            format!("→ {}", words(&[text("db.system.name"), summary]))
        }
        _ => return None,
    })
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
