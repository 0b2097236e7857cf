//! A metric, and its series.

use std::collections::BTreeSet;

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::metrics::data::ResourceMetrics;

use crate::digest::{self, Point};

/// A metric as it was when [`TestTelemetry::metric`](super::TestTelemetry::metric) was called, or some of its series.
#[derive(Debug, Clone)]
pub struct RecordedMetric {
    name: String,
    unit: String,
    series: Vec<Series>,
}

#[derive(Debug, Clone)]
struct Series {
    labels: Vec<KeyValue>,
    /// Measurements of a histogram.
    count: u64,
    sum: f64,
}

impl RecordedMetric {
    pub(super) fn of(metrics: &ResourceMetrics, name: &str) -> Option<Self> {
        let all = metrics.scope_metrics().flat_map(|scope| scope.metrics());
        let mut named = all.filter(|metric| metric.name() == name).peekable();
        let unit = named.peek()?.unit().to_owned();
        let mut series = Vec::new();
        for metric in named {
            digest::visit(metric, |labels, point| {
                let (count, sum) = match point {
                    Point::Value(value) => (0, value),
                    Point::Histogram { count, sum, .. } => (count, sum),
                };
                let labels = labels.iter().copied().cloned().collect();
                series.push(Series { labels, count, sum });
            });
        }
        Some(Self { name: name.to_owned(), unit, series })
    }

    /// Returns the unit.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Returns the series with this label.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    #[must_use]
    pub fn with(&self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let has = |series: &&Series| {
            series.labels.iter().any(|pair| pair.key.as_str() == key && pair.value == value)
        };
        let series: Vec<_> = self.series.iter().filter(has).cloned().collect();
        let all = Vec::from_iter(self.series.iter().map(|series| &series.labels));
        assert!(!series.is_empty(), "{} has no series with {key}={value:?}: {all:?}", self.name);
        Self { name: self.name.clone(), unit: self.unit.clone(), series }
    }

    /// Returns the series without this label.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        let mut series = self.series.clone();
        series.retain(|series| series.labels.iter().all(|pair| pair.key.as_str() != key));
        Self { name: self.name.clone(), unit: self.unit.clone(), series }
    }

    /// Returns the number of measurements of a histogram, in all series. It is 0 for other instruments.
    pub fn count(&self) -> u64 {
        self.series.iter().map(|series| series.count).sum()
    }

    /// Returns the sum of all series: of the measurements of a histogram, or of the values of another instrument.
    pub fn sum(&self) -> f64 {
        self.series.iter().map(|series| series.sum).sum()
    }

    /// Returns the number of series.
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// Returns the keys of the labels of all series, to check that no other label appears.
    pub fn label_keys(&self) -> BTreeSet<String> {
        let labels = self.series.iter().flat_map(|series| &series.labels);
        labels.map(|pair| pair.key.to_string()).collect()
    }

    /// Returns the value of a label, if all series have the same.
    pub fn label(&self, key: &str) -> Option<&Value> {
        let of = |series: &'_ Series| -> Option<usize> {
            series.labels.iter().position(|pair| pair.key.as_str() == key)
        };
        let (first, rest) = self.series.split_first()?;
        let value = &first.labels[of(first)?].value;
        let is_same =
            |series: &Series| of(series).is_some_and(|at| series.labels[at].value == *value);
        rest.iter().all(is_same).then_some(value)
    }
}
