//! Global providers that are installed late, or replaced.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

/// Decides when to ask for a provider again.
///
/// It answers "ask" for the first requests, and later for one request out of [`ASK_EVERY`], so that a
/// program without a provider pays little.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    /// Consecutive misses: no provider was found, or it did nothing.
    misses: AtomicU32,
    skipped: AtomicU32,
}

impl Retry {
    /// Returns true if no provider is expected.
    pub(crate) fn gave_up(&self) -> bool {
        self.misses.load(Ordering::Relaxed) >= MAX_MISSES
    }

    /// Returns true if this request should not ask.
    pub(crate) fn skips(&self) -> bool {
        if !self.gave_up() {
            return false;
        }
        // `fetch_add` would cost more, and a lost count only delays the next question.
        let skipped = self.skipped.load(Ordering::Relaxed);
        self.skipped.store(skipped.wrapping_add(1), Ordering::Relaxed);
        skipped % ASK_EVERY != ASK_EVERY - 1
    }

    /// Records the answer.
    pub(crate) fn answered(&self, is_miss: bool) {
        // The counter is shared by all threads, so it is written only if it changes.
        match (is_miss, self.misses.load(Ordering::Relaxed)) {
            (false, 0) | (true, MAX_MISSES..) => {}
            (false, _) => self.misses.store(0, Ordering::Relaxed),
            (true, _) => _ = self.misses.fetch_add(1, Ordering::Relaxed),
        }
    }
}

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

const MAX_MISSES: u32 = 256;
const ASK_EVERY: u32 = 128;

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

    #[test]
    fn asks_often_first_and_seldom_later() {
        let retry = Retry::default();
        let mut asked = 0;
        for _ in 0..MAX_MISSES + 10 * ASK_EVERY {
            if !retry.skips() {
                asked += 1;
                retry.answered(true);
            }
        }
        assert_eq!(asked, MAX_MISSES + 10);
        retry.answered(false);
        assert!(!retry.skips(), "a provider was found");
    }
}
