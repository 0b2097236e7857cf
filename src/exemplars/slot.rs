//! The place of one exemplar: written by any thread and read by any thread, without a lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use opentelemetry::trace::{SpanId, TraceId};

/// A measurement in a sampled span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measurement {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) value: f64,
    /// Nanoseconds since the Unix epoch.
    pub(super) time: u64,
}

/// The latest measurement of a bucket: a sequence lock in safe atomics.
///
/// A writer makes the sequence odd, writes, and makes it even again. A second writer gives up, because
/// one exemplar is as good as another. A reader reads again if the sequence has changed, so it never
/// returns a mixture of two measurements.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Zero: empty. Odd: a writer is at work.
    sequence: AtomicU32,
    /// The sequence that was exported last.
    exported: AtomicU32,
    trace_id: [AtomicU64; 2],
    span_id: AtomicU64,
    value: AtomicU64,
    time: AtomicU64,
}

impl Slot {
    /// Stores a measurement, unless one of the same second waits to be exported.
    ///
    /// Otherwise a busy bucket would always hold a measurement that is newer than the data point that is
    /// about to be exported. It also keeps threads from contending for the slot.
    #[inline]
    pub(super) fn offer(&self, new: &Measurement) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        let is_fresh = |time: u64| time.abs_diff(new.time) < NANOS_PER_SECOND;
        let waits = self.exported.load(Ordering::Relaxed) != sequence
            && is_fresh(self.time.load(Ordering::Relaxed));
        if !waits {
            self.write(sequence, new);
        }
    }

    fn write(&self, sequence: u32, new: &Measurement) {
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        let locked = sequence.wrapping_add(1);
        if !sequence.is_multiple_of(2)
            || self.sequence.compare_exchange(sequence, locked, acquire, relaxed).is_err()
        {
            return;
        }
        // A reader that sees one of the values below also sees the odd sequence.
        fence(Ordering::Release);
        let trace_id = u128::from_be_bytes(new.trace_id.to_bytes());
        self.trace_id[0].store((trace_id >> 64) as u64, relaxed);
        self.trace_id[1].store(trace_id as u64, relaxed);
        self.span_id.store(u64::from_be_bytes(new.span_id.to_bytes()), relaxed);
        self.value.store(new.value.to_bits(), relaxed);
        self.time.store(new.time, relaxed);
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// Returns the measurement if `is_wanted`, and makes way for the next one.
    #[cfg(any(feature = "setup", test))]
    pub(super) fn read(&self, is_wanted: impl Fn(&Measurement) -> bool) -> Option<Measurement> {
        // A writer needs a few instructions. If it lost the processor, there is no exemplar this time.
        (0..MAX_READS).find_map(|_| self.try_read()).flatten().and_then(|(sequence, read)| {
            is_wanted(&read).then(|| {
                self.exported.store(sequence, Ordering::Relaxed);
                read
            })
        })
    }

    /// Returns `None` if a writer is at work, and `Some(None)` if the slot is empty.
    #[cfg(any(feature = "setup", test))]
    fn try_read(&self) -> Option<Option<(u32, Measurement)>> {
        let relaxed = Ordering::Relaxed;
        let sequence = self.sequence.load(Ordering::Acquire);
        if sequence == 0 {
            return Some(None);
        }
        let halves = self.trace_id.each_ref().map(|half| half.load(relaxed));
        let trace_id = u128::from(halves[0]) << 64 | u128::from(halves[1]);
        let read = Measurement {
            trace_id: TraceId::from_bytes(trace_id.to_be_bytes()),
            span_id: SpanId::from_bytes(self.span_id.load(relaxed).to_be_bytes()),
            value: f64::from_bits(self.value.load(relaxed)),
            time: self.time.load(relaxed),
        };
        fence(Ordering::Acquire);
        let is_whole = sequence.is_multiple_of(2) && self.sequence.load(relaxed) == sequence;
        is_whole.then_some(Some((sequence, read)))
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(any(feature = "setup", test))]
const MAX_READS: usize = 8;

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicBool, thread};

    use super::*;

    /// A measurement whose parts are all made of `n`.
    fn of(n: u64) -> Measurement {
        Measurement {
            trace_id: TraceId::from_bytes((u128::from(n) << 64 | u128::from(n)).to_be_bytes()),
            span_id: SpanId::from_bytes(n.to_be_bytes()),
            value: n as f64,
            // A second apart, so that each one replaces its predecessor.
            time: n * NANOS_PER_SECOND,
        }
    }

    fn at(time: u64, value: f64) -> Measurement {
        Measurement { time, value, ..of(1) }
    }

    fn value(slot: &Slot) -> Option<f64> {
        slot.read(|_| true).map(|read| read.value)
    }

    /// The documentation states the memory of a series.
    #[test]
    fn a_slot_has_48_bytes() {
        assert_eq!(size_of::<Slot>(), 48);
    }

    #[test]
    fn an_empty_slot_has_no_measurement() {
        assert_eq!(Slot::default().read(|_| true), None);
    }

    #[test]
    fn the_latest_measurement_wins_once_a_second_or_after_an_export() {
        let second = NANOS_PER_SECOND;
        let slot = Slot::default();
        slot.offer(&at(10 * second, 1.0));
        slot.offer(&at(10 * second + 1, 2.0));
        assert_eq!(slot.read(|_| false), None);
        slot.offer(&at(10 * second + 2, 3.0));
        assert_eq!(value(&slot), Some(1.0), "nothing was exported in this second");
        slot.offer(&at(10 * second + 3, 4.0));
        assert_eq!(value(&slot), Some(4.0), "the first one was exported");
        assert_eq!(value(&slot), Some(4.0), "a second reader sees it, too");
        slot.offer(&at(10 * second + 4, 5.0));
        slot.offer(&at(11 * second + 4, 6.0));
        assert_eq!(value(&slot), Some(6.0), "a second has passed");
        slot.offer(&at(5 * second, 7.0));
        assert_eq!(value(&slot), Some(7.0), "the wall clock was set back");
    }

    /// Two writers write while two readers read.
    #[test]
    fn no_reader_sees_a_mixture_of_two_measurements() {
        const CHANGES: u64 = 2_000;
        let slot = Slot::default();
        let done = AtomicBool::new(false);
        let write = |first: u64| {
            let measurements = (first..).step_by(2).map(of);
            let until_done = measurements.take_while(|_| !done.load(Ordering::Relaxed));
            until_done.for_each(|measurement| slot.offer(&measurement));
        };
        let read = || {
            let (mut changes, mut last) = (0, of(0));
            while changes < CHANGES {
                if let Some(read) = slot.read(|_| true) {
                    assert_eq!(read, of(read.value as u64));
                    changes += u64::from(read != last);
                    last = read;
                }
            }
        };
        thread::scope(|scope| {
            for first in [1, 2] {
                scope.spawn(move || write(first));
            }
            let readers = [scope.spawn(read), scope.spawn(read)];
            let results = readers.map(|reader| reader.join());
            done.store(true, Ordering::Relaxed);
            assert!(results.iter().all(Result::is_ok), "a reader has seen a mixture");
        });
    }
}
