//! All exemplars at the time of an export, by their instruments.

use std::sync::Arc;

use super::{
    Exemplars,
    matching::{Attribute, Matcher},
    reservoir::Reservoir,
};
use crate::convention::{emit, instruments::Instrument};

/// The reservoirs of a handle at the time of an export.
pub(crate) struct Snapshot {
    reservoirs: Vec<Arc<Reservoir>>,
}

/// The facts of a metric stream that tell which instrument it is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamFacts<'a> {
    pub(crate) scope_name: &'a str,
    pub(crate) scope_version: &'a str,
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) unit: &'a str,
}

impl Exemplars {
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { reservoirs: self.reservoirs() }
    }
}

impl Snapshot {
    /// Returns the exemplars of a stream. `None`: it has none. `attributes` are those of all its data
    /// points.
    pub(crate) fn of_stream<'a, A: Attribute + 'a>(
        &self,
        stream: StreamFacts<'_>,
        attributes: impl Iterator<Item = &'a A>,
    ) -> Option<Matcher<A>> {
        if !is_own_scope(stream) {
            return None;
        }
        let is_named = |reservoir: &&Arc<Reservoir>| name(reservoir) == stream.name;
        let mut reservoirs: Vec<_> = self.reservoirs.iter().filter(is_named).collect();
        if reservoirs.is_empty() {
            // A view has renamed the stream. Descriptions tell our instruments apart.
            let is_described = |reservoir: &&Arc<Reservoir>| {
                let Instrument { unit, description, .. } = reservoir.instrument.instrument;
                (unit, description) == (stream.unit, stream.description)
            };
            reservoirs = self.reservoirs.iter().filter(is_described).collect();
        }
        (!reservoirs.is_empty()).then(|| Matcher::new(&reservoirs, attributes))
    }
}

/// Returns true if the instrument is one of this version of this crate.
fn is_own_scope(stream: StreamFacts<'_>) -> bool {
    let own = emit::scope();
    (stream.scope_name, Some(stream.scope_version)) == (own.name(), own.version())
}

fn name(reservoir: &Reservoir) -> &'static str {
    reservoir.instrument.instrument.name
}
