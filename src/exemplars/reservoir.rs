//! The exemplars of one series.

use std::{
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry::{
    KeyValue,
    trace::{SpanContext, SpanId, TraceId},
};

use super::{
    instrument::{Exemplified, InstrumentExemplars},
    slot::{Measurement, Slot},
};

/// The sampled span that a measurement belongs to, and when it was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampled {
    trace_id: TraceId,
    span_id: SpanId,
    /// Nanoseconds since the Unix epoch.
    time: u64,
}

impl Sampled {
    /// Returns `None` if the span is not sampled. The time is asked for only if it is.
    #[inline]
    pub(crate) fn of(span: &SpanContext, time: impl FnOnce() -> SystemTime) -> Option<Self> {
        span.is_sampled().then(|| Self {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            time: nanos(time()),
        })
    }
}

/// Returns the nanoseconds since the Unix epoch.
#[inline]
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Enough for 584 years. `as_nanos` would need 128 bits.
    since.as_secs().wrapping_mul(1_000_000_000).wrapping_add(since.subsec_nanos().into())
}

/// One slot for each bucket of a series.
#[derive(Debug)]
pub(super) struct Reservoir {
    pub(super) instrument: Arc<Exemplified>,
    #[cfg_attr(not(feature = "setup"), expect(dead_code, reason = "only exports need it"))]
    pub(super) labels: Arc<[KeyValue]>,
    slots: Box<[Slot]>,
}

impl Reservoir {
    pub(super) fn new(instrument: Arc<Exemplified>, labels: Arc<[KeyValue]>) -> Self {
        let slots = (0..=instrument.boundaries.len()).map(|_| Slot::default()).collect();
        Self { instrument, labels, slots }
    }

    #[inline]
    pub(super) fn offer(&self, value: f64, sampled: &Sampled) {
        let Sampled { trace_id, span_id, time } = *sampled;
        let boundaries = &self.instrument.boundaries;
        // Most values are in a low bucket, so this is faster than a binary search.
        let bucket = boundaries.iter().position(|bound| value <= *bound);
        let bucket = bucket.unwrap_or(boundaries.len());
        if let Some(slot) = self.slots.get(bucket) {
            slot.offer(&Measurement { trace_id, span_id, value, time });
        }
    }

    /// Returns the measurements whose time is in the window, which begins after `window.0`. Those of
    /// invalid spans are left out here, so that requests don't have to check.
    #[cfg(feature = "setup")]
    pub(super) fn read(&self, (after, until): (u64, u64)) -> impl Iterator<Item = Measurement> {
        let is_in = move |read: &Measurement| {
            let is_valid = read.trace_id != TraceId::INVALID && read.span_id != SpanId::INVALID;
            is_valid && read.time > after && read.time <= until
        };
        self.slots.iter().filter_map(move |slot| slot.read(is_in))
    }
}

/// The exemplars of a cached series, for one instrument. Allocated for the first sampled measurement.
#[derive(Debug, Default)]
pub(crate) struct SeriesExemplars(OnceLock<Option<Arc<Reservoir>>>);

impl SeriesExemplars {
    #[inline]
    pub(crate) fn offer(
        &self,
        instrument: &InstrumentExemplars,
        labels: &Arc<[KeyValue]>,
        value: f64,
        sampled: &Sampled,
    ) {
        let reservoir = match self.0.get() {
            Some(reservoir) => reservoir,
            None => self.allocate(instrument, labels),
        };
        if let Some(reservoir) = reservoir {
            reservoir.offer(value, sampled);
        }
    }

    #[cold]
    fn allocate(
        &self,
        instrument: &InstrumentExemplars,
        labels: &Arc<[KeyValue]>,
    ) -> &Option<Arc<Reservoir>> {
        self.0.get_or_init(|| instrument.reservoir(labels))
    }
}
