//! Series that were recorded before, found without making their labels anew.

use std::{hash::BuildHasher, sync::Arc};

use arc_swap::ArcSwap;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::convention::Identity;

/// What is kept of each series, by what tells it apart. Bounded; reading takes no lock.
pub(super) struct Table<T> {
    series: ArcSwap<HashTable<Arc<Series<T>>>>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
pub(super) struct Series<T> {
    identity: Identity<Box<str>>,
    pub(super) kept: T,
}

impl<T> Table<T> {
    /// Gives what is kept of a series to `record`; none, where there is no room for it.
    pub(super) fn with<R>(
        &self,
        identity: &Identity<&str>,
        make: impl FnOnce(usize) -> T,
        record: impl FnOnce(&Arc<Series<T>>) -> R,
    ) -> Option<R> {
        let hash = self.hasher.hash_one(identity);
        let is_it = |series: &Arc<Series<T>>| series.identity.is(identity);
        let known = self.series.load();
        if let Some(known) = known.find(hash, is_it) {
            return Some(record(known));
        }
        if known.len() >= MAX_SERIES {
            return None;
        }
        let new = Arc::new(Series { identity: identity.to_owned(), kept: make(known.len()) });
        drop(known);
        self.series.rcu(|known| {
            let mut series = HashTable::clone(known);
            if series.find(hash, is_it).is_none() && series.len() < MAX_SERIES {
                let hash_of = |series: &Arc<Series<T>>| self.hasher.hash_one(&series.identity);
                series.insert_unique(hash, Arc::clone(&new), hash_of);
            }
            series
        });
        self.series.load().find(hash, is_it).map(record)
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { series: ArcSwap::default(), hasher: DefaultHashBuilder::default() }
    }
}

/// As many as a metric has by default in the SDK.
const MAX_SERIES: usize = 2000;
