//! Series that were recorded before, found without making their labels anew.

use opentelemetry::KeyValue;

use super::kept::Kept;
use crate::{convention::Identity, hash_trie::HashTrie};

/// What is kept of each series, by what tells it apart.
pub(super) struct Table(HashTrie<Series>);

struct Series {
    identity: Identity<Box<str>>,
    kept: Kept<Box<[KeyValue]>>,
}

impl Table {
    /// What is kept of a series, if it is known or there is room for it.
    pub(super) fn get_or_add(
        &self,
        identity: &Identity<&str>,
        make: impl FnOnce(usize) -> Kept<Box<[KeyValue]>>,
    ) -> Option<&Kept<Box<[KeyValue]>>> {
        let is_it = |series: &Series| series.identity.is(identity);
        let make = |number| Series { identity: identity.to_owned(), kept: make(number) };
        self.0.get_or_add(identity, is_it, make).map(|series| &series.kept)
    }
}

impl Default for Table {
    fn default() -> Self {
        Self(HashTrie::new(MAX_SERIES))
    }
}

/// As many as a metric has by default in the SDK.
const MAX_SERIES: usize = 2000;
