//! A cache of series.

use super::{cached_series::CachedSeries, series_budget::SeriesBudget};
use crate::{
    convention::{attribute_set::AttributeSet, series_key::SeriesKey},
    hash_trie::HashTrie,
};

/// A bounded cache from series key to attributes, so that repeated requests don't build them again.
///
/// Series beyond the budget are reduced: they have fewer labels.
pub(super) struct SeriesCache {
    exact: HashTrie<Entry>,
    reduced: HashTrie<Entry>,
    budget: SeriesBudget,
}

struct Entry {
    key: SeriesKey<Box<str>>,
    series: CachedSeries,
}

/// A series that was added.
pub(super) struct Found<'a> {
    /// `None` if the cache is full.
    pub(super) series: Option<&'a CachedSeries>,
    pub(super) is_reduced: bool,
}

impl SeriesCache {
    /// Creates a cache for a metric with this limit of series.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            exact: HashTrie::new(limit),
            reduced: HashTrie::new(limit / 2),
            budget: SeriesBudget::new(limit),
        }
    }

    /// Returns the series of `key`, if it is cached with all its labels.
    #[inline]
    pub(super) fn get(&self, key: &SeriesKey<&str>) -> Option<&CachedSeries> {
        self.exact.get(key, |entry| entry.key.is(key)).map(|entry| &entry.series)
    }

    /// Adds the series of `key`: with all its labels if the budget admits it, else reduced.
    /// `labels(true)` returns the reduced labels.
    #[cold]
    pub(super) fn insert(
        &self,
        key: &SeriesKey<&str>,
        binds: bool,
        labels: impl Fn(bool) -> AttributeSet,
    ) -> Found<'_> {
        let is_it = |entry: &Entry| entry.key.is(key);
        if self.budget.admit(&key.group()) {
            let make = |number| Entry::new(key, CachedSeries::new(&labels(false), number, binds));
            let entry = self.exact.get_or_insert(key, is_it, make);
            return Found { series: entry.map(|entry| &entry.series), is_reduced: false };
        }
        self.reduced(key, labels)
    }

    /// Returns the reduced series of `key`, inserted if absent.
    #[cold]
    pub(super) fn reduced(
        &self,
        key: &SeriesKey<&str>,
        labels: impl Fn(bool) -> AttributeSet,
    ) -> Found<'_> {
        let key = key.reduced();
        let is_it = |entry: &Entry| entry.key.is(&key);
        let make = |number| Entry::new(&key, CachedSeries::new(&labels(true), number, false));
        let entry = self.reduced.get_or_insert(&key, is_it, make);
        Found { series: entry.map(|entry| &entry.series), is_reduced: true }
    }
}

impl Entry {
    fn new(key: &SeriesKey<&str>, series: CachedSeries) -> Self {
        Self { key: key.to_owned(), series }
    }
}
