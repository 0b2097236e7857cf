//! Finds the data point that a series of ours has become, whatever the provider's views did.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasher,
    sync::Arc,
    time::SystemTime,
};

use foldhash::fast::RandomState;
use opentelemetry::{
    KeyValue, Value,
    trace::{SpanId, TraceId},
};

use super::reservoir::{Reservoir, nanos};

/// The exemplars of one metric stream, by data point.
///
/// A view may drop attributes, and can't be asked which. But the attributes that it keeps are those of the
/// data points. So a series belongs to the data point whose attributes equal its labels, restricted to
/// the keys of all data points.
pub(crate) struct Matcher<A> {
    /// By the hash of the attributes that the view keeps.
    series: HashMap<u64, Vec<Series<A>>>,
    boundaries: Box<[f64]>,
    hasher: RandomState,
}

struct Series<A> {
    reservoir: Arc<Reservoir>,
    kept: Vec<A>,
    filtered: Vec<KeyValue>,
}

/// An attribute of a data point: the SDK's, or OTLP's.
pub(crate) trait Attribute: PartialEq {
    /// Returns the attribute that a label becomes.
    fn of(label: &KeyValue) -> Self;

    fn key(&self) -> &str;

    /// Returns the value if it is a string. Only the hash needs it.
    fn text(&self) -> &str;
}

impl Attribute for KeyValue {
    fn of(label: &KeyValue) -> Self {
        label.clone()
    }

    fn key(&self) -> &str {
        self.key.as_str()
    }

    fn text(&self) -> &str {
        match &self.value {
            Value::String(text) => text.as_str(),
            _ => "",
        }
    }
}

/// An exemplar of a data point.
#[derive(Debug)]
pub(crate) struct Exemplar<'a> {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) value: f64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) time: u64,
    /// The attributes of the measurement that the data point lacks.
    pub(crate) filtered: &'a [KeyValue],
}

impl<A: Attribute> Matcher<A> {
    /// Assigns the reservoirs of an instrument to the data points with these attributes.
    pub(super) fn new<'a>(
        reservoirs: &[&Arc<Reservoir>],
        attributes: impl Iterator<Item = &'a A>,
    ) -> Self
    where
        A: 'a,
    {
        let mut keys: HashSet<&str> = attributes.map(A::key).collect();
        let overflows = keys.remove(OVERFLOW);
        let boundaries = reservoirs.first().map(|first| first.instrument.boundaries.clone());
        let mut matcher = Self {
            series: HashMap::new(),
            boundaries: boundaries.unwrap_or_default(),
            hasher: RandomState::default(),
        };
        for reservoir in reservoirs {
            let (kept, filtered): (Vec<_>, Vec<_>) =
                reservoir.labels.iter().partition(|label| keys.contains(label.key.as_str()));
            // A key that no data point has may be that of a series in the overflow.
            if overflows && !filtered.is_empty() {
                continue;
            }
            let kept: Vec<A> = kept.into_iter().map(A::of).collect();
            let hash = matcher.hash(&mut kept.iter());
            let filtered = filtered.into_iter().cloned().collect();
            let series = Series { reservoir: Arc::clone(reservoir), kept, filtered };
            matcher.series.entry(hash).or_default().push(series);
        }
        matcher
    }

    /// Returns the boundaries of the instrument, which a view may have replaced.
    pub(crate) fn boundaries(&self) -> &[f64] {
        &self.boundaries
    }

    /// Returns the exemplars of the data point with these attributes, in ascending order of their values.
    /// `start` and `time` are those of the data point.
    pub(crate) fn of_point(
        &self,
        attributes: &[&A],
        start: SystemTime,
        time: SystemTime,
    ) -> Vec<Exemplar<'_>> {
        let is_it = |series: &&Series<A>| {
            series.kept.len() == attributes.len()
                && attributes.iter().all(|attribute| series.kept.contains(attribute))
        };
        let (start, time) = (nanos(start), nanos(time));
        let window = (start.max(time.saturating_sub(MAX_AGE)), time);
        let hash = self.hash(&mut attributes.iter().copied());
        let mut exemplars = Vec::new();
        for series in self.series.get(&hash).into_iter().flatten().filter(is_it) {
            exemplars.extend(series.reservoir.read(window).map(|read| Exemplar {
                trace_id: read.trace_id,
                span_id: read.span_id,
                value: read.value,
                time: read.time,
                filtered: &series.filtered,
            }));
        }
        exemplars.sort_by(|a, b| a.value.total_cmp(&b.value));
        exemplars
    }

    /// The order of the attributes does not matter.
    fn hash<'a>(&self, attributes: &mut dyn Iterator<Item = &'a A>) -> u64
    where
        A: 'a,
    {
        let hash = |attribute: &A| self.hasher.hash_one((attribute.key(), attribute.text()));
        attributes.fold(0, |sum: u64, attribute| sum.wrapping_add(hash(attribute)))
    }
}

/// Returns the latest exemplar of a bucket, above one boundary and up to another.
pub(crate) fn latest<'e, 'a>(
    exemplars: &'e [Exemplar<'a>],
    above: f64,
    up_to: f64,
) -> Option<&'e Exemplar<'a>> {
    let start = exemplars.partition_point(|exemplar| exemplar.value <= above);
    let end = exemplars.partition_point(|exemplar| exemplar.value <= up_to);
    exemplars.get(start..end)?.iter().max_by_key(|exemplar| exemplar.time)
}

/// The attribute of the SDK's series for measurements beyond the cardinality limit.
const OVERFLOW: &str = "otel.metric.overflow";

/// Nanoseconds. An older trace may be deleted already, and tells little about the present.
const MAX_AGE: u64 = 600 * 1_000_000_000;
