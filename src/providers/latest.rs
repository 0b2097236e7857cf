//! Global providers that are replaced.

use std::sync::OnceLock;

/// A value that can be replaced while others read it without a lock.
///
/// Earlier values stay until this is dropped, so it suits values that change a few times per process.
#[derive(Debug)]
pub(crate) struct Latest<T>(OnceLock<Box<Node<T>>>);

#[derive(Debug)]
struct Node<T> {
    value: T,
    next: Latest<T>,
}

impl<T> Latest<T> {
    /// Returns the value that was set last.
    pub(crate) fn get(&self) -> Option<&T> {
        let mut node = self.0.get()?;
        while let Some(next) = node.next.0.get() {
            node = next;
        }
        Some(&node.value)
    }

    pub(crate) fn set(&self, value: T) {
        let mut place = &self.0;
        let mut node = Box::new(Node { value, next: Self::default() });
        while let Err(rejected) = place.set(node) {
            node = rejected;
            while let Some(next) = place.get() {
                place = &next.next.0;
            }
        }
    }
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_latest_value() {
        let latest = Latest::default();
        assert_eq!(latest.get(), None);
        for i in 0..3 {
            latest.set(i);
            assert_eq!(latest.get(), Some(&i));
        }
    }

    #[test]
    fn concurrent_values_are_not_lost() {
        let latest = Latest::default();
        std::thread::scope(|scope| {
            for i in 0..4 {
                let latest = &latest;
                scope.spawn(move || latest.set(i));
            }
        });
        let mut values = Vec::new();
        let mut place = &latest;
        while let Some(node) = place.0.get() {
            values.push(node.value);
            place = &node.next;
        }
        values.sort_unstable();
        assert_eq!(values, [0, 1, 2, 3]);
    }
}
