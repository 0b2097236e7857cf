//! Global providers that are installed late.

use std::sync::atomic::{AtomicU32, Ordering};

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

const MAX_MISSES: u32 = 256;
const ASK_EVERY: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

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
