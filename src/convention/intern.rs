//! Strings that repeat, made once.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;

/// A bounded set of strings that are shared instead of made anew for each request.
///
/// Reading takes no lock, so it costs the same from many threads; adding copies the set, which
/// happens once for each string.
#[derive(Debug)]
pub(super) struct Interner {
    strings: ArcSwap<HashMap<Box<str>, Arc<str>>>,
    limit: usize,
}

impl Interner {
    pub(super) fn new(limit: usize) -> Self {
        Self { strings: ArcSwap::default(), limit }
    }

    /// The shared string, if it has been added.
    pub(super) fn get(&self, text: &str) -> Option<Arc<str>> {
        self.strings.load().get(text).cloned()
    }

    /// The shared string; one that is not shared where the set is full.
    pub(super) fn intern(&self, text: &str) -> Arc<str> {
        self.add(text).unwrap_or_else(|| text.into())
    }

    /// The shared string; none where the set is full.
    pub(super) fn add(&self, text: &str) -> Option<Arc<str>> {
        if let Some(known) = self.get(text) {
            return Some(known);
        }
        if self.strings.load().len() >= self.limit {
            return None;
        }
        self.strings.rcu(|strings| {
            let mut strings = HashMap::clone(strings);
            if strings.len() < self.limit {
                strings.entry(text.into()).or_insert_with(|| text.into());
            }
            strings
        });
        self.get(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded() {
        let interner = Interner::new(50);
        for i in 0..100 {
            let text = i.to_string();
            assert_eq!(&*interner.intern(&text), text);
            assert_eq!(interner.add(&text).is_some(), i < 50);
        }
        assert_eq!(interner.strings.load().len(), 50);
        assert!(Arc::ptr_eq(&interner.intern("7"), &interner.intern("7")));
        assert!(interner.get("nobody added this").is_none());
    }
}
