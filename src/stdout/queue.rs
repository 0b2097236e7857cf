//! A bounded queue in front of a stream, and the thread that writes what is queued.

use std::{
    io, mem,
    panic::{self, AssertUnwindSafe},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The queue of one stream. It lives as long as the process, as does its thread.
pub(super) struct Queue {
    write: fn(&[u8]) -> io::Result<()>,
    /// Reports how many pushes were dropped.
    report: fn(u64),
    capacity: usize,
    state: Mutex<State>,
    /// Wakes the writer.
    filled: Condvar,
    /// Wakes whoever waits for the writer.
    written: Condvar,
}

struct State {
    bytes: Vec<u8>,
    pushed: u64,
    written: u64,
    dropped: u64,
    writer: Writer,
    /// A wait was in vain, and nothing has been written since: don't wait again.
    stalled: bool,
}

#[derive(PartialEq)]
enum Writer {
    Absent,
    /// It waits for `filled`, which a push has to signal.
    Idle,
    /// It waits for more to write at once. A push need not wake it.
    Lingering,
    Writing,
    /// It reports dropped lines, perhaps by pushing a line to this very queue.
    Reporting,
}

impl Queue {
    pub(super) const fn new(write: fn(&[u8]) -> io::Result<()>, report: fn(u64)) -> Self {
        Self::with_capacity(write, report, CAPACITY)
    }

    const fn with_capacity(
        write: fn(&[u8]) -> io::Result<()>,
        report: fn(u64),
        capacity: usize,
    ) -> Self {
        let state = State {
            bytes: Vec::new(),
            pushed: 0,
            written: 0,
            dropped: 0,
            writer: Writer::Absent,
            stalled: false,
        };
        Self {
            write,
            report,
            capacity,
            state: Mutex::new(state),
            filled: Condvar::new(),
            written: Condvar::new(),
        }
    }

    /// Queues bytes and returns the ticket to wait for, or drops them if the queue is full.
    pub(super) fn push(&'static self, bytes: &[u8]) -> u64 {
        let mut state = self.lock();
        // A report must not be dropped by the very queue that it is about.
        let room = if state.writer == Writer::Reporting { ROOM_FOR_REPORT } else { 0 };
        let ticket = if state.bytes.len() + bytes.len() <= self.capacity + room {
            state.bytes.extend_from_slice(bytes);
            state.pushed += 1;
            state.pushed
        } else {
            state.dropped += 1;
            state.written
        };
        match state.writer {
            Writer::Idle => self.filled.notify_one(),
            Writer::Absent => {
                let thread = thread::Builder::new().name("telemetry-output".to_owned());
                // Without a thread the bytes stay in the queue; the next push tries again.
                if thread.spawn(|| self.run()).is_ok() {
                    state.writer = Writer::Writing;
                }
            }
            Writer::Lingering | Writer::Writing | Writer::Reporting => {}
        }
        ticket
    }

    /// Waits until the push with this ticket is written, and at most `patience`.
    ///
    /// Does not wait if an earlier wait was in vain and nothing has been written since.
    pub(super) fn wait_for(&self, ticket: u64, patience: Duration) {
        let state = self.lock();
        // The writer must not wait for itself.
        if !state.stalled && state.writer != Writer::Reporting {
            self.wait(state, patience, |state| state.written >= ticket);
        }
    }

    /// Waits until everything is written and reported, and at most `patience`.
    ///
    /// Returns false if the time did not suffice.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let state = self.lock();
        let patience = if state.stalled { Duration::ZERO } else { patience };
        self.wait(state, patience, |state| {
            let is_busy = matches!(state.writer, Writer::Writing | Writer::Reporting);
            !is_busy && state.written == state.pushed && state.dropped == 0
        })
    }

    /// The number of pushes that were not written, or were dropped and not reported.
    pub(super) fn unwritten(&self) -> u64 {
        let state = self.lock();
        state.pushed - state.written + state.dropped
    }

    fn wait(
        &self,
        mut state: MutexGuard<'_, State>,
        patience: Duration,
        is_over: impl Fn(&State) -> bool,
    ) -> bool {
        let end = Instant::now() + patience;
        if state.writer == Writer::Lingering {
            self.filled.notify_one();
        }
        while !is_over(&state) {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                state.stalled = true;
                return false;
            }
            let waited = self.written.wait_timeout(state, rest);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Writes what is queued, for ever.
    fn run(&self) {
        let mut batch = Vec::new();
        loop {
            let mut state = self.lock();
            if state.bytes.len() < self.capacity / 2 {
                // Waking a thread costs more than formatting a line, so don't do it for each line.
                state.writer = Writer::Lingering;
                self.written.notify_all();
                let waited = self.filled.wait_timeout(state, LINGER);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            while state.written == state.pushed && state.dropped == 0 {
                state.writer = Writer::Idle;
                self.written.notify_all();
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.writer = Writer::Writing;
            // The dropped lines came after the queued ones, so they are reported after the write.
            let dropped = mem::take(&mut state.dropped);
            let last = state.pushed;
            mem::swap(&mut state.bytes, &mut batch);
            drop(state);

            // A closed stream loses the lines, as it does for `println!`, but without a panic.
            let _ = (self.write)(&batch);
            batch.clear();
            if batch.capacity() > CAPACITY_AT_REST {
                batch = Vec::new();
            }

            let mut state = self.lock();
            state.written = last;
            state.stalled = false;
            self.written.notify_all();
            if dropped > 0 {
                state.writer = Writer::Reporting;
                drop(state);
                // The report may run a subscriber of the application.
                let _ = panic::catch_unwind(AssertUnwindSafe(|| (self.report)(dropped)));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limit of queued bytes: some ten thousand lines. The thread may hold as many again.
const CAPACITY: usize = 4 << 20;

/// The bytes that the queue takes beyond its limit while dropped lines are reported.
const ROOM_FOR_REPORT: usize = 16 << 10;

/// The time that a line may wait for more lines.
const LINGER: Duration = Duration::from_millis(1);

/// Larger buffers are freed after a burst.
const CAPACITY_AT_REST: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    static GATE: Mutex<()> = Mutex::new(());
    static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    static REPORTED: AtomicU64 = AtomicU64::new(0);

    fn write(bytes: &[u8]) -> io::Result<()> {
        let _passed = GATE.lock().unwrap();
        WRITTEN.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }

    fn report(dropped: u64) {
        REPORTED.fetch_add(dropped, Ordering::Relaxed);
    }

    #[test]
    fn a_full_queue_drops_lines_and_reports_how_many() {
        static QUEUE: Queue = Queue::with_capacity(write, report, 100);
        let long = Duration::from_secs(20);
        QUEUE.push(&[b'x'; 101]);
        assert!(QUEUE.flush(long), "a line that never fits is dropped, not waited for");
        assert_eq!(REPORTED.swap(0, Ordering::Relaxed), 1);

        let closed = GATE.lock().unwrap();
        (0..50).for_each(|_| _ = QUEUE.push(b"123456789\n"));
        let began = Instant::now();
        assert!(!QUEUE.flush(Duration::from_millis(10)), "nothing is written");
        QUEUE.wait_for(QUEUE.push(b""), long);
        assert!(!QUEUE.flush(long), "nothing is written, and this is known");
        assert!(began.elapsed() < long);
        assert!(QUEUE.unwritten() > 0);
        drop(closed);
        // The stream is known to be stuck until something has been written.
        while QUEUE.lock().stalled {
            thread::yield_now();
        }
        assert!(QUEUE.flush(long));
        let lines = WRITTEN.lock().unwrap().len() as u64 / 10;
        // Ten wait, and perhaps ten are being written.
        assert!((10..=20).contains(&lines), "{lines}");
        assert_eq!(lines + REPORTED.load(Ordering::Relaxed), 50);
        assert_eq!(QUEUE.unwritten(), 0);
    }
}
