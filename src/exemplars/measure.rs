//! A histogram, and the exemplars of its series.

use opentelemetry::metrics::Histogram;

use super::{Exemplars, InstrumentExemplars, discover};
use crate::convention::instruments::Instrument;

/// A histogram, and the exemplars of its series.
#[derive(Debug)]
pub(crate) struct Measure<T> {
    pub(crate) histogram: Histogram<T>,
    /// `None`: nothing exports exemplars.
    pub(crate) exemplars: Option<InstrumentExemplars>,
}

impl<T> Measure<T> {
    /// Builds a histogram. `given` are the exemplars that the user has chosen.
    pub(crate) fn new(
        instrument: Instrument,
        boundaries: &[f64],
        given: Option<&Exemplars>,
        build: impl FnOnce() -> Histogram<T>,
    ) -> Self {
        let (histogram, found) = discover(build);
        let exemplars = given.or(found.as_ref());
        let exemplars =
            exemplars.map(|exemplars| InstrumentExemplars::new(exemplars, instrument, boundaries));
        Self { histogram, exemplars }
    }
}
