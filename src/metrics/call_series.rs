//! A cache of the series of gRPC calls.

use super::cached_series::CachedSeries;
use crate::{
    convention::{attribute_set::AttributeSet, grpc::call_key::CallKey},
    hash_trie::HashTrie,
};

/// A bounded cache from the key of a call to the attributes of its series.
///
/// Calls need no budget: the known methods and the codes bound their series.
pub(super) struct CallSeries(HashTrie<Entry>);

struct Entry {
    key: CallKey<Box<str>>,
    series: CachedSeries,
}

impl CallSeries {
    /// Creates a cache for a metric with this limit of series.
    pub(super) fn new(limit: usize) -> Self {
        Self(HashTrie::new(limit))
    }

    /// Returns the series of `key`, inserted if absent. `None` if the cache is full.
    #[inline]
    pub(super) fn get_or_insert(
        &self,
        key: &CallKey<&str>,
        labels: impl FnOnce() -> AttributeSet,
    ) -> Option<&CachedSeries> {
        let make = |number| Entry {
            key: key.to_owned(),
            // Only the series of HTTP are bound: `with_bound_instruments` says so.
            series: CachedSeries::new(&labels(), number, false),
        };
        let entry = self.0.get_or_insert(key, |entry| entry.key.is(key), make);
        entry.map(|entry| &entry.series)
    }
}
