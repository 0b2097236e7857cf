//! Shared strings.

use std::sync::Arc;

use crate::hash_trie::HashTrie;

/// A bounded set of strings that are shared instead of allocated for each request.
#[derive(Debug)]
pub(crate) struct Interner(HashTrie<Arc<str>>);

impl Interner {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(HashTrie::new(capacity))
    }

    /// Returns the shared string if it is in the set.
    pub(crate) fn get(&self, text: &str) -> Option<Arc<str>> {
        self.0.get(text, |known| **known == *text).cloned()
    }

    /// Returns the shared string, or a new one if the set is full.
    pub(crate) fn intern(&self, text: &str) -> Arc<str> {
        self.insert(text).unwrap_or_else(|| text.into())
    }

    /// Returns the shared string, inserted if absent. `None` if the set is full.
    pub(crate) fn insert(&self, text: &str) -> Option<Arc<str>> {
        self.0.get_or_insert(text, |known| **known == *text, |_| text.into()).cloned()
    }
}
