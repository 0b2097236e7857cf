//! The exemplars of one instrument.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::{
    Exemplars,
    reservoir::{Reservoir, Sampled, SeriesExemplars},
};
use crate::{convention::instruments::Instrument, hash_trie::HashTrie};

/// An instrument that has exemplars.
#[derive(Debug)]
pub(super) struct Exemplified {
    #[cfg_attr(not(feature = "setup"), expect(dead_code, reason = "only exports need it"))]
    pub(super) instrument: Instrument,
    /// The upper boundaries of the reservoirs' buckets.
    pub(super) boundaries: Box<[f64]>,
}

/// Takes the exemplars of one instrument's series.
#[derive(Debug)]
pub(crate) struct InstrumentExemplars {
    exemplars: Exemplars,
    exemplified: Arc<Exemplified>,
    /// Series that the recorder does not cache.
    uncached: HashTrie<Uncached>,
}

#[derive(Debug)]
struct Uncached {
    labels: Arc<[KeyValue]>,
    exemplars: SeriesExemplars,
}

impl InstrumentExemplars {
    /// Takes exemplars for an instrument whose histogram has these boundaries. If there are many of
    /// them, some are left out: a bucket can do without an exemplar, and memory is limited.
    pub(crate) fn new(exemplars: &Exemplars, instrument: Instrument, boundaries: &[f64]) -> Self {
        let step = boundaries.len().div_ceil(MAX_BOUNDARIES).max(1);
        let boundaries = boundaries.iter().copied().step_by(step).collect();
        Self {
            exemplars: exemplars.clone(),
            exemplified: Arc::new(Exemplified { instrument, boundaries }),
            uncached: HashTrie::new(MAX_UNCACHED),
        }
    }

    /// Offers a measurement of a series that the recorder does not cache.
    pub(crate) fn offer_uncached(&self, labels: &[KeyValue], value: f64, sampled: &Sampled) {
        let is_it = |series: &Uncached| *series.labels == *labels;
        let make = |_| Uncached { labels: labels.into(), exemplars: SeriesExemplars::default() };
        if let Some(series) = self.uncached.get_or_insert(labels, is_it, make) {
            series.exemplars.offer(self, &series.labels, value, sampled);
        }
    }

    /// Returns a new reservoir, unless there are too many.
    pub(super) fn reservoir(&self, labels: &Arc<[KeyValue]>) -> Option<Arc<Reservoir>> {
        self.exemplars.register(|| Reservoir::new(self.exemplified.clone(), Arc::clone(labels)))
    }
}

/// A reservoir of 32 slots has 1.5 KiB.
const MAX_BOUNDARIES: usize = 31;

/// Half of the SDK's default limit of series per metric.
const MAX_UNCACHED: usize = 1000;
