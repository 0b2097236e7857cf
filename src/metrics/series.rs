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

struct Series<T> {
    identity: Identity<Box<str>>,
    kept: T,
}

impl<T> Table<T> {
    /// Gives what is kept of a series to `record`: `false`, where there is no room for it.
    pub(super) fn with(
        &self,
        identity: &Identity<&str>,
        make: impl FnOnce(usize) -> T,
        record: impl FnOnce(&T),
    ) -> bool {
        let hash = self.hasher.hash_one(identity);
        let known = self.series.load();
        let find = |series: &HashTable<Arc<Series<T>>>| {
            series.find(hash, |known| known.identity.is(identity)).map(Arc::clone)
        };
        if let Some(known) = known.find(hash, |known| known.identity.is(identity)) {
            record(&known.kept);
            return true;
        }
        if known.len() >= MAX_SERIES {
            return false;
        }
        let new = Arc::new(Series { identity: identity.to_owned(), kept: make(known.len()) });
        drop(known);
        self.series.rcu(|known| {
            let mut series = HashTable::clone(known);
            if find(&series).is_none() && series.len() < MAX_SERIES {
                let hash_of = |known: &Arc<Series<T>>| self.hasher.hash_one(&known.identity);
                series.insert_unique(hash, Arc::clone(&new), hash_of);
            }
            series
        });
        let added = find(&self.series.load());
        if let Some(added) = &added {
            record(&added.kept);
        }
        added.is_some()
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { series: ArcSwap::default(), hasher: DefaultHashBuilder::default() }
    }
}

/// As many as a metric has by default in the SDK.
const MAX_SERIES: usize = 2000;
