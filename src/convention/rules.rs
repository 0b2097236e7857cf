//! The options of a layer with its caches: the input of every rule.

use super::{cache::Caches, options::Options, side::Side, values::truncated};

/// Options and caches. Rules are functions of these and of the facts of an exchange.
pub(crate) struct Rules {
    pub(crate) options: Options,
    pub(super) caches: Caches,
}

impl Rules {
    pub(crate) fn new(options: Options) -> Self {
        Self { caches: Caches::new(&options), options }
    }

    pub(crate) fn side(&self) -> Side {
        self.options.side()
    }

    /// Truncates a value that the other side controls.
    pub(super) fn truncated<'a>(&self, value: &'a str) -> &'a str {
        truncated(value, self.options.value_limit)
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("side", &self.side()).finish_non_exhaustive()
    }
}
