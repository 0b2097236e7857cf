//! The histogram of durations, and its exemplars.

use opentelemetry::metrics::Meter;

use super::attribute_names::OPERATION_DURATION;
use crate::{
    convention::instruments::Instrument,
    exemplars::{Exemplars, InstrumentExemplars, Measure},
};

pub(super) fn duration(meter: &Meter) -> Measure<f64> {
    Measure::new(INSTRUMENT, &BOUNDARIES, None, || {
        meter
            .f64_histogram(INSTRUMENT.name)
            .with_unit(INSTRUMENT.unit)
            .with_description(INSTRUMENT.description)
            .with_boundaries(BOUNDARIES.to_vec())
            .build()
    })
}

/// Takes the exemplars of durations for a handle that the user has chosen.
pub(super) fn exemplars(exemplars: &Exemplars) -> InstrumentExemplars {
    InstrumentExemplars::new(exemplars, INSTRUMENT, &BOUNDARIES)
}

const INSTRUMENT: Instrument = Instrument {
    name: OPERATION_DURATION,
    unit: "s",
    description: "Duration of database client operations.",
};

/// Seconds (semantic conventions, `db.client.operation.duration`).
pub(crate) const BOUNDARIES: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
