//! The histogram of durations.

use opentelemetry::metrics::{Histogram, Meter};

use super::attribute_names::OPERATION_DURATION;

pub(super) fn histogram(meter: &Meter) -> Histogram<f64> {
    meter
        .f64_histogram(OPERATION_DURATION)
        .with_unit("s")
        .with_description("Duration of database client operations.")
        .with_boundaries(BOUNDARIES.to_vec())
        .build()
}

/// Seconds (semantic conventions, `db.client.operation.duration`).
pub(crate) const BOUNDARIES: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
