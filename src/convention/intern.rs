//! Strings that repeat, made once.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashSet;

/// A bounded set of strings that are shared instead of made anew for each request.
///
/// Reading takes no lock, so it costs the same from many threads; adding copies the set, which
/// happens once for each string. Callers may choose what is in it, and its hasher is a fast one: the
/// limit is what bounds the harm of strings that collide.
#[derive(Debug)]
pub(super) struct Interner {
    strings: ArcSwap<HashSet<Arc<str>>>,
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
        let strings = self.strings.load();
        if let Some(known) = strings.get(text) {
            return Some(Arc::clone(known));
        }
        if strings.len() >= self.limit {
            return None;
        }
        drop(strings);
        self.strings.rcu(|strings| {
            let mut strings = HashSet::clone(strings);
            if strings.len() < self.limit {
                strings.get_or_insert_with(text, |text| text.into());
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
