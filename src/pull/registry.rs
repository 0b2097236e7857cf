//! Owners of metric names, remembered between scrapes.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use super::metric_name::{Kind, MetricName};
use crate::stdout;

/// The instrument that owns each name, and the warnings that were given.
///
/// The first owner stays, because the SDK lists scopes in no fixed order: otherwise two instruments
/// with one name would take turns. Bounded by the number of instruments, none of which the SDK ever
/// removes.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// By the names of samples, such as `a_bucket`.
    owners: HashMap<String, Arc<Owner>>,
    warned: HashSet<String>,
}

#[derive(Debug)]
struct Owner {
    metric: String,
    kind: Kind,
    instrument: String,
    scope: String,
}

/// An instrument that asks for a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instrument<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) scope: &'a str,
}

impl Registry {
    /// Returns false, and warns the first time, if another instrument has this name or one of the
    /// names that come with it: a histogram `a` also has `a_count`.
    ///
    /// Instruments of one name and one type in several scopes share a metric.
    pub(super) fn admit(&mut self, instrument: Instrument<'_>, name: &MetricName) -> bool {
        let is_same = |owner: &Owner| {
            owner.metric == name.full
                && owner.kind == instrument.kind
                && owner.instrument == instrument.name
        };
        if self.owners.get(&name.full).is_some_and(|owner| is_same(owner)) {
            return true;
        }
        let samples = samples(name, instrument.kind);
        let taken = samples.iter().find_map(|sample| match &**sample {
            TARGET_INFO => Some((sample, "the resource".to_owned())),
            sample_name => Some((sample, self.owners.get(sample_name)?.to_string())),
        });
        if let Some((sample, owner)) = taken {
            self.warn_once(format!("{} {sample}", instrument.name), || {
                format!(
                    "{owner} and {instrument} both become {sample} for Prometheus: the second is \
                     not exported; rename one of them"
                )
            });
            return false;
        }
        let owner = Arc::new(Owner {
            metric: name.full.clone(),
            kind: instrument.kind,
            instrument: instrument.name.to_owned(),
            scope: instrument.scope.to_owned(),
        });
        self.owners.extend(samples.into_iter().map(|sample| (sample, Arc::clone(&owner))));
        true
    }

    /// Returns true if an instrument has a sample of this name.
    pub(super) fn has(&self, sample: &str) -> bool {
        self.owners.contains_key(sample)
    }

    /// Gives a warning unless one was given for this key.
    pub(super) fn warn_once(&mut self, key: String, text: impl FnOnce() -> String) {
        if self.warned.len() < MAX_WARNINGS && self.warned.insert(key) {
            stdout::warn(&text());
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, instrument: name, scope, .. } = self;
        Instrument { kind: *kind, name, scope }.fmt(f)
    }
}

impl fmt::Display for Instrument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, scope } = self;
        write!(f, "the {} {name:?} (scope {scope:?})", kind.as_str())
    }
}

/// Returns the names of a metric's samples. OpenMetrics also reserves a histogram's own name, and
/// `_created` even if that is not written.
fn samples(name: &MetricName, kind: Kind) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        Kind::Counter => &["_total"],
        Kind::Gauge => &[""],
        Kind::Histogram => &["", "_bucket", "_count", "_sum", "_created"],
    };
    let family = name.family(kind);
    suffixes.iter().map(|suffix| format!("{family}{suffix}")).collect()
}

pub(super) const TARGET_INFO: &str = "target_info";

/// Limits memory if a program keeps making faulty instruments.
const MAX_WARNINGS: usize = 1000;
