//! The operator's knowledge of the delivery of one signal.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::otlp::ExportFailure;

/// The outage, the losses, and the part of them that notices have reported.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// From the first failure until the next success.
    pub(super) outage: Option<Outage>,
    /// Lost items by `error.type`.
    pub(super) lost: BTreeMap<String, u64>,
    /// Losses that a notice has reported.
    pub(super) reported: u64,
    /// Losses that had been reported at the last success.
    pub(super) settled: u64,
    /// Losses that were old news when the shutdown began.
    pub(super) old_news: u64,
    /// The shutdown began during an outage of the destination.
    pub(super) was_failing: bool,
    /// Overflows that a notice has reported.
    pub(super) reported_overflow: u64,
    /// The time at which overflows that no notice has reported were first noticed.
    pub(super) overflow_noticed: Option<Instant>,
    /// The earliest times of the next notices about failures, rejections and overflows.
    pub(super) pauses: [Option<Instant>; 3],
}

/// Exports have failed since the last success.
#[derive(Debug)]
pub(super) struct Outage {
    pub(super) failure: ExportFailure,
    pub(super) is_told: bool,
}

/// The kinds of notices, each of which is repeated at most once in [`NOTICE_PAUSE`].
#[derive(Clone, Copy)]
pub(super) enum Notice {
    Failure,
    Rejection,
    Overflow,
}

impl Told {
    pub(super) fn lose(&mut self, items: u64, kind: String) {
        if items > 0 {
            *self.lost.entry(kind).or_default() += items;
        }
    }

    /// Returns the losses that no notice has reported.
    pub(super) fn untold(&self) -> u64 {
        self.lost.values().sum::<u64>() - self.reported
    }

    /// Marks all losses as reported. Returns those that were not.
    pub(super) fn tell_losses(&mut self) -> u64 {
        let untold = self.untold();
        self.reported += untold;
        if let Some(outage) = &mut self.outage {
            outage.is_told = true;
        }
        untold
    }

    /// Marks all losses and overflows as reported. Returns those that were not.
    pub(super) fn tell_all(&mut self, overflowed: u64) -> u64 {
        let overflow = overflowed - self.reported_overflow;
        self.reported_overflow = overflowed;
        self.overflow_noticed = None;
        self.tell_losses() + overflow
    }

    /// A request succeeded: what was reported is old news.
    pub(super) fn succeed(&mut self) {
        self.outage = None;
        self.settled = self.reported + self.reported_overflow;
    }

    /// The shutdown begins. The losses of an outage that lasts are no old news, even if a notice has
    /// reported them: the shutdown reports the whole outage.
    pub(super) fn end(&mut self, was_failing: bool) {
        let reported = self.reported + self.reported_overflow;
        self.old_news = if self.outage.is_some() { self.settled } else { reported };
        self.was_failing = was_failing;
    }

    /// Stores the reason of the outage. Returns true if the operator knows of the outage.
    pub(super) fn fail(&mut self, failure: &ExportFailure) -> bool {
        let is_told = self.outage.as_ref().is_some_and(|outage| outage.is_told);
        self.outage = Some(Outage { failure: failure.clone(), is_told });
        is_told
    }

    /// Returns true if a notice may be given now, and begins its pause then.
    pub(super) fn may_tell(&mut self, notice: Notice) -> bool {
        let now = Instant::now();
        let pause = &mut self.pauses[notice as usize];
        let may = pause.is_none_or(|end| now >= end);
        if may {
            *pause = Some(now + NOTICE_PAUSE);
        }
        may
    }
}

/// A notice of one kind is repeated at most this often.
const NOTICE_PAUSE: Duration = Duration::from_secs(60);
