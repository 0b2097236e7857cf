//! Views: bucket boundaries, attributes and cardinality limits of instruments.

use opentelemetry::Key;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, Stream};

use super::SetupError;

/// The settings of instruments, by name. The SDK creates a stream for each view that matches, so
/// all settings of an instrument are merged into one view.
#[derive(Debug, Default)]
pub(crate) struct Views(Vec<View>);

#[derive(Debug)]
struct View {
    instrument: String,
    setting: Setting,
}

#[derive(Debug)]
enum Setting {
    Boundaries(Vec<f64>),
    Attributes(Vec<Key>),
    CardinalityLimit(usize),
}

impl Views {
    pub(crate) fn boundaries(&mut self, instrument: String, boundaries: Vec<f64>) {
        self.push(instrument, Setting::Boundaries(boundaries));
    }

    pub(crate) fn attributes(&mut self, instrument: String, keys: Vec<Key>) {
        self.push(instrument, Setting::Attributes(keys));
    }

    pub(crate) fn cardinality_limit(&mut self, instrument: String, limit: usize) {
        self.push(instrument, Setting::CardinalityLimit(limit));
    }

    fn push(&mut self, instrument: String, setting: Setting) {
        self.0.push(View { instrument, setting });
    }

    /// Reports invalid settings, because the SDK ignores an invalid stream silently.
    pub(crate) fn check(&self) -> Result<(), SetupError> {
        for View { instrument, setting } in &self.0 {
            let (name, stream) = match setting {
                Setting::Boundaries(boundaries) => {
                    ("with_boundaries", Stream::builder().with_aggregation(histogram(boundaries)))
                }
                Setting::CardinalityLimit(limit) => {
                    ("with_cardinality_limit", Stream::builder().with_cardinality_limit(*limit))
                }
                Setting::Attributes(_) => continue,
            };
            stream.build().map_err(|error| {
                SetupError::setting(name, format_args!("{error}, for {instrument:?}"))
            })?;
        }
        Ok(())
    }

    /// Returns the stream of an instrument that has settings. Later settings override earlier ones.
    pub(crate) fn stream(&self, instrument: &Instrument) -> Option<Stream> {
        let mut views = self.0.iter().filter(|view| matches(&view.instrument, instrument.name()));
        let first = views.next()?;
        let mut stream = Stream::builder();
        for View { setting, .. } in std::iter::once(first).chain(views) {
            stream = match setting {
                Setting::Boundaries(boundaries) if is_histogram(instrument) => {
                    stream.with_aggregation(histogram(boundaries))
                }
                Setting::Boundaries(_) => stream,
                Setting::Attributes(keys) => stream.with_allowed_attribute_keys(keys.clone()),
                Setting::CardinalityLimit(limit) => stream.with_cardinality_limit(*limit),
            };
        }
        stream.build().ok()
    }
}

/// Compares a name, or the part of a pattern before its `*`, without regard to case.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => {
            name.get(..beginning.len()).is_some_and(|name| name.eq_ignore_ascii_case(beginning))
        }
        None => pattern.eq_ignore_ascii_case(name),
    }
}

fn is_histogram(instrument: &Instrument) -> bool {
    instrument.kind() == InstrumentKind::Histogram
}

fn histogram(boundaries: &[f64]) -> Aggregation {
    Aggregation::ExplicitBucketHistogram { boundaries: boundaries.to_vec(), record_min_max: true }
}
