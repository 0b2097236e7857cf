//! The pauses between attempts.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Exponential pauses with jitter.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Returns the pause before the next attempt: the one that the receiver asks for, or twice the
    /// last one, up to [`LONGEST`], with up to a quarter more.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        if let Some(asked) = asked {
            return asked.min(LONGEST_ASKED);
        }
        let pause = FIRST.saturating_mul(1 << self.attempts.min(8)).min(LONGEST);
        self.attempts += 1;
        pause + pause.mul_f64(random() / 4.0)
    }
}

/// Returns a random number from 0 to 1. The keys of a hasher are random.
fn random() -> f64 {
    f64::from(u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or(0))
        / f64::from(u32::MAX)
}

const FIRST: Duration = Duration::from_millis(250);

/// A receiver that is back is found soon.
const LONGEST: Duration = Duration::from_secs(5);

/// A receiver can't ask for more.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let mut backoff = Backoff::default();
        for expected in [250, 500, 1000, 2000, 4000, 5000, 5000] {
            let least = Duration::from_millis(expected);
            let pause = backoff.pause(None);
            assert!((least..=least.mul_f64(1.25)).contains(&pause), "{expected}: {pause:?}");
        }
        assert_eq!(backoff.pause(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(backoff.pause(Some(Duration::MAX)), LONGEST_ASKED);
        let differs = (0..100).map(|_| Backoff::default().pause(None)).collect::<Vec<_>>();
        assert!(differs.iter().any(|pause| *pause != differs[0]), "jitter");
    }
}
