//! Exemplars: sampled traces of the measurements in a histogram.
//!
//! The SDK has none, and its data points can't be changed. So measurements are offered here beside the
//! SDK, and put on the data points when these are exported.

#[cfg(feature = "setup")]
pub(crate) mod annotate;
#[cfg(all(test, feature = "setup"))]
mod annotate_tests;
mod discovery;
mod exemplar_registry;
mod instrument;
#[cfg(feature = "setup")]
mod matching;
mod measure;
mod reservoir;
#[cfg(all(test, feature = "setup"))]
mod rig;
mod slot;
#[cfg(feature = "setup")]
mod snapshot;

#[cfg(feature = "setup")]
pub(crate) use self::discovery::announce;
pub use self::exemplar_registry::Exemplars;
pub(crate) use self::{
    discovery::discover,
    instrument::InstrumentExemplars,
    measure::Measure,
    reservoir::{Sampled, SeriesExemplars},
};
#[cfg(feature = "prometheus")]
pub(crate) use self::{
    matching::{Exemplar, Matcher, latest},
    snapshot::{Snapshot, StreamFacts},
};
