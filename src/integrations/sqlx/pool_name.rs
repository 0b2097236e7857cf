//! Names of pools.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A name that no other pool of the process has, until it is dropped.
///
/// Two pools of one name would overwrite each other's metrics.
#[derive(Debug)]
pub(super) struct PoolName(String);

impl PoolName {
    /// Takes this name, or the name with the lowest free number: `shop`, `shop#2`.
    pub(super) fn take(name: &str) -> Self {
        let mut taken = taken();
        let numbered = (2..).map(|number| format!("{name}#{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        let name = names.find(|name| !taken.contains(name)).expect("the numbers don't end");
        taken.insert(name.clone());
        Self(name)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Drop for PoolName {
    fn drop(&mut self) {
        taken().remove(&self.0);
    }
}

fn taken() -> MutexGuard<'static, BTreeSet<String>> {
    static TAKEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_used_again() {
        let first = PoolName::take("names_are_unique");
        let second = PoolName::take("names_are_unique");
        let third = PoolName::take("names_are_unique");
        assert_eq!(first.as_str(), "names_are_unique");
        assert_eq!(second.as_str(), "names_are_unique#2");
        assert_eq!(third.as_str(), "names_are_unique#3");
        drop(second);
        assert_eq!(PoolName::take("names_are_unique").as_str(), "names_are_unique#2");
    }
}
