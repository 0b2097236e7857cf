//! Items under way: each of them has exactly one outcome.

use std::{mem, sync::Arc, time::Duration};

use super::{
    ledger::Ledger,
    otlp::{Answer, ExportFailure},
};

/// Items that are being exported. Dropping it counts them as lost, so an export that panics or is
/// cancelled is accounted for, too.
#[derive(Debug)]
pub(crate) struct Items {
    ledger: Arc<Ledger>,
    count: u64,
}

impl Items {
    pub(crate) fn new(ledger: &Arc<Ledger>, count: u64) -> Self {
        ledger.depart(count);
        Self { ledger: Arc::clone(ledger), count }
    }

    /// Splits off the items of a second request.
    pub(crate) fn split(mut self, second: u64) -> (Self, Self) {
        self.count = self.count.saturating_sub(second);
        let second = Self { ledger: Arc::clone(&self.ledger), count: second };
        (self, second)
    }

    /// The receiver took them, or all but those that it rejected.
    pub(crate) fn delivered(mut self, answer: &Answer) {
        let count = mem::take(&mut self.count);
        self.ledger.delivered(count, answer);
    }

    /// They were refused, or dropped after some time of attempts.
    pub(crate) fn lost(mut self, failure: ExportFailure, after: Option<Duration>) -> ExportFailure {
        let count = mem::take(&mut self.count);
        self.ledger.lost(count, &failure, after);
        failure
    }

    /// The shutdown gave them up.
    pub(crate) fn given_up(mut self, failure: ExportFailure) -> ExportFailure {
        let count = mem::take(&mut self.count);
        self.ledger.given_up(count, &failure);
        failure
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        if self.count > 0 {
            self.ledger.lost(self.count, &ExportFailure::Broken, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{export::notices::Route, settings::Signal};

    /// Each item has one outcome, also if the export ends without one.
    #[test]
    fn dropped_items_are_lost() {
        let ledger = Arc::new(Ledger::new(Route {
            signal: Signal::Traces,
            url: "http://127.0.0.1:1/v1/traces".to_owned(),
            capacity: None,
            limit: None,
            component: String::new(),
            address: String::new(),
            port: 1,
        }));
        ledger.record(10);
        let (first, second) = Items::new(&ledger, 10).split(4);
        assert_eq!((ledger.pending(), ledger.in_flight()), (10, 10));
        first.delivered(&Answer { rejected: 1, message: String::new() });
        assert_eq!((ledger.delivered_items(), ledger.in_flight()), (5, 4));
        drop(second);
        assert_eq!((ledger.pending(), ledger.in_flight(), ledger.dropped()), (0, 0, 5));
        let losses = [("panic".to_owned(), 4), ("rejected".to_owned(), 1)];
        assert_eq!(ledger.losses(), losses.into());
    }
}
