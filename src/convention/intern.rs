//! Strings that repeat, made once.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;

/// A bounded set of strings that are shared instead of made anew for each request.
///
/// Reading takes no lock, so it costs the same from many threads; adding copies the set, which
/// happens once for each string.
#[derive(Debug, Default)]
pub(super) struct Interner {
    strings: ArcSwap<HashMap<Box<str>, Arc<str>>>,
}

impl Interner {
    /// The shared string, if it has been added.
    pub(super) fn get(&self, text: &str) -> Option<Arc<str>> {
        self.strings.load().get(text).cloned()
    }

    /// The shared string; one that is not shared where the set is full.
    pub(super) fn intern(&self, text: &str) -> Arc<str> {
        if let Some(known) = self.get(text) {
            return known;
        }
        let shared = Arc::<str>::from(text);
        if self.strings.load().len() < LIMIT {
            self.strings.rcu(|strings| {
                let mut strings = HashMap::clone(strings);
                if strings.len() < LIMIT {
                    strings.insert(text.into(), Arc::clone(&shared));
                }
                strings
            });
        }
        shared
    }
}

/// As many as a metric has series by default in the SDK: a service with more has no use of them.
const LIMIT: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded() {
        let interner = Interner::default();
        for i in 0..LIMIT + 100 {
            assert_eq!(&*interner.intern(&i.to_string()), i.to_string());
        }
        assert_eq!(interner.strings.load().len(), LIMIT);
        assert!(Arc::ptr_eq(&interner.intern("7"), &interner.intern("7")));
        assert!(interner.get("nobody added this").is_none());
    }
}
