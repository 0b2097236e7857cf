//! A cache of series.

use super::cached_series::CachedSeries;
use crate::{convention::series_key::SeriesKey, hash_trie::HashTrie};

/// A bounded cache from series key to attributes, so that repeated requests don't build them again.
pub(super) struct SeriesCache(HashTrie<Entry>);

struct Entry {
    key: SeriesKey<Box<str>>,
    series: CachedSeries,
}

impl SeriesCache {
    /// Returns the series of `key`, inserting `make(n)` if absent; `n` is the number of earlier series
    /// (approximate under concurrency). `None` if the cache is full.
    pub(super) fn get_or_insert(
        &self,
        key: &SeriesKey<&str>,
        make: impl FnOnce(usize) -> CachedSeries,
    ) -> Option<&CachedSeries> {
        let is_it = |entry: &Entry| entry.key.is(key);
        let make = |number| Entry { key: key.to_owned(), series: make(number) };
        self.0.get_or_insert(key, is_it, make).map(|entry| &entry.series)
    }
}

impl Default for SeriesCache {
    fn default() -> Self {
        Self(HashTrie::new(MAX_SERIES))
    }
}

/// The SDK's default limit of series per metric.
const MAX_SERIES: usize = 2000;
