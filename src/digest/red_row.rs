//! Rate, errors and duration of one operation.

use opentelemetry::KeyValue;

use super::{Buckets, Point};

/// The sum of all series of one operation.
#[derive(Debug, Default, Clone)]
pub(crate) struct RedRow {
    pub(crate) count: u64,
    pub(crate) errors: u64,
    /// Seconds of all measurements.
    pub(crate) sum: f64,
    pub(crate) buckets: Buckets,
}

impl RedRow {
    /// Adds a series of a histogram of durations. Other series have no part in it.
    pub(crate) fn add(&mut self, attributes: &[&KeyValue], point: Point) {
        let Point::Histogram { count, sum, bounds, counts, range } = point else { return };
        self.count += count;
        if attributes.iter().any(|pair| pair.key.as_str() == "error.type") {
            self.errors += count;
        }
        self.sum += sum;
        self.buckets.add(bounds, counts.into_iter(), range);
    }
}
