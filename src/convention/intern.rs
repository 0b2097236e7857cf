//! Strings that repeat, made once.

use std::sync::Arc;

use crate::hash_trie::HashTrie;

/// A bounded set of strings that are shared instead of made anew for each request.
#[derive(Debug)]
pub(super) struct Interner(HashTrie<Arc<str>>);

impl Interner {
    pub(super) fn new(limit: usize) -> Self {
        Self(HashTrie::new(limit))
    }

    /// The shared string, if it has been added.
    pub(super) fn get(&self, text: &str) -> Option<Arc<str>> {
        self.0.get(text, |known| **known == *text).cloned()
    }

    /// The shared string; one that is not shared where the set is full.
    pub(super) fn intern(&self, text: &str) -> Arc<str> {
        self.add(text).unwrap_or_else(|| text.into())
    }

    /// The shared string; none where the set is full.
    pub(super) fn add(&self, text: &str) -> Option<Arc<str>> {
        self.0.get_or_add(text, |known| **known == *text, |_| text.into()).cloned()
    }
}
