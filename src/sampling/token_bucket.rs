//! A token bucket without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Gives out tokens at a steady rate, and as many at once as it holds.
///
/// One number is enough for it: the time at which it will be full again, if nobody takes another token
/// (the *generic cell rate algorithm*). A token moves this time by the interval between two tokens.
#[derive(Debug)]
pub(super) struct TokenBucket {
    origin: Instant,
    /// Nanoseconds after `origin`.
    full_at: AtomicU64,
    /// Nanoseconds between two tokens. `None`: there are no tokens.
    interval: Option<u64>,
    /// Nanoseconds in which an empty bucket fills.
    depth: u64,
}

impl TokenBucket {
    /// Creates a full bucket. A rate that is not above zero gives out nothing.
    pub(super) fn new(per_second: f64, size: u32) -> Self {
        // The conversion saturates.
        let interval = || ((NANOS_PER_SECOND / per_second) as u64).min(LONGEST_INTERVAL);
        let interval = (per_second > 0.0).then(interval);
        Self {
            origin: Instant::now(),
            full_at: AtomicU64::new(0),
            interval,
            depth: interval.unwrap_or(0).saturating_mul(size.into()),
        }
    }

    /// Takes a token, if there is one now.
    pub(super) fn take(&self) -> bool {
        self.take_at(self.origin.elapsed())
    }

    /// `since_origin` is the time since the bucket was created.
    fn take_at(&self, since_origin: Duration) -> bool {
        let Some(interval) = self.interval else { return false };
        let now = u64::try_from(since_origin.as_nanos()).unwrap_or(u64::MAX);
        let take = |full_at: u64| {
            let full_at = full_at.max(now).checked_add(interval)?;
            (full_at - now <= self.depth).then_some(full_at)
        };
        // No other memory depends on it.
        self.full_at.fetch_update(Relaxed, Relaxed, take).is_ok()
    }
}

const NANOS_PER_SECOND: f64 = 1e9;

/// 146 years, so that the first token fits into the number.
const LONGEST_INTERVAL: u64 = u64::MAX / 4;

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, thread};

    use super::*;

    /// For each row: rate, size, and how many of the attempts at some millisecond succeed.
    #[test]
    fn tokens_come_at_the_rate() {
        type Row = (f64, u32, &'static [(u64, usize, usize)]);
        let rows: [Row; 9] = [
            (10.0, 10, &[(0, 50, 10), (99, 9, 0), (100, 9, 1), (1000, 50, 9), (9000, 50, 10)]),
            (10.0, 1, &[(0, 9, 1), (50, 9, 0), (100, 9, 1), (5000, 9, 1)]),
            (0.5, 1, &[(0, 9, 1), (1999, 9, 0), (2000, 9, 1)]),
            (1000.0, 3, &[(0, 9, 3), (1, 9, 1), (3, 9, 2)]),
            (0.0, 5, &[(0, 9, 0), (10_000, 9, 0)]),
            (-1.0, 5, &[(0, 9, 0), (10_000, 9, 0)]),
            (f64::NAN, 5, &[(0, 9, 0)]),
            (f64::INFINITY, 1, &[(0, 999, 999), (1, 999, 999)]),
            (f64::MIN_POSITIVE, 1, &[(0, 9, 1), (31_536_000_000, 9, 0)]),
        ];
        for (rate, size, steps) in rows {
            let bucket = TokenBucket::new(rate, size);
            for (millis, attempts, expected) in steps {
                let now = Duration::from_millis(*millis);
                let taken = (0..*attempts).filter(|_| bucket.take_at(now)).count();
                assert_eq!(taken, *expected, "{rate} per second, {size} at once, {millis} ms");
            }
        }
    }

    #[test]
    fn concurrent_takers_share_the_tokens() {
        let bucket = TokenBucket::new(1.0, 1000);
        let taken = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let count = (0..1000).filter(|_| bucket.take_at(Duration::ZERO)).count();
                    taken.fetch_add(count, Relaxed);
                });
            }
        });
        assert_eq!(taken.into_inner(), 1000);
    }
}
