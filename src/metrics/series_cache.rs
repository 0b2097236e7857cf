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

/// What a look-up returns.
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

    /// Returns the series of `key`. A new series is admitted by the budget, or reduced. `labels(true)`
    /// returns the reduced labels.
    pub(super) fn find(
        &self,
        key: &SeriesKey<&str>,
        binds: bool,
        labels: impl Fn(bool) -> AttributeSet,
    ) -> Found<'_> {
        let is_it = |entry: &Entry| entry.key.is(key);
        if let Some(entry) = self.exact.get(key, is_it) {
            return Found { series: Some(&entry.series), is_reduced: false };
        }
        if self.budget.admit(&key.group()) {
            let make = |number| Entry::new(key, CachedSeries::new(&labels(false), number, binds));
            let entry = self.exact.get_or_add(key, is_it, make);
            return Found { series: entry.map(|entry| &entry.series), is_reduced: false };
        }
        self.find_reduced(key, labels)
    }

    /// Returns the reduced series of `key`.
    pub(super) fn find_reduced(
        &self,
        key: &SeriesKey<&str>,
        labels: impl Fn(bool) -> AttributeSet,
    ) -> Found<'_> {
        let key = key.reduced();
        let is_it = |entry: &Entry| entry.key.is(&key);
        let make = |number| Entry::new(&key, CachedSeries::new(&labels(true), number, false));
        let entry = self.reduced.get_or_add(&key, is_it, make);
        Found { series: entry.map(|entry| &entry.series), is_reduced: true }
    }
}

impl Entry {
    fn new(key: &SeriesKey<&str>, series: CachedSeries) -> Self {
        Self { key: key.to_owned(), series }
    }
}
