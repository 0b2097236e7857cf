//! Standard output and standard error, written without blocking the caller.
//!
//! A pipe that nobody reads blocks its writer. Log lines, the console exporter and the notices
//! therefore go into bounded queues, and a thread for each stream writes what is queued. A full
//! queue drops lines; the number of dropped lines is reported when the stream is read again.
//!
//! `tracing-appender` offers such a writer, too. Its guard prints to standard output when the queue
//! is full at shutdown, which blocks forever on exactly the pipe that nobody reads. It also bounds
//! lines instead of bytes, cannot be flushed without being stopped, and allocates for each line.

mod colours;
mod escape;
mod queue;

use std::{
    fmt::Write as _,
    io::{self, Write},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tracing::Level;

#[cfg(feature = "logs")]
pub(crate) use self::escape::{Escape, Style};
use self::queue::Queue;
pub(crate) use self::{colours::Colours, escape::Escaped};

static STDOUT: Queue = Queue::new(write_stdout, warn_of_stdout);
static STDERR: Queue = Queue::new(write_stderr, warn_of_stderr);

/// Values of `Telemetry` that have not been shut down and will flush at their end.
static FLUSHING: AtomicUsize = AtomicUsize::new(0);

/// Queues lines for standard output, in one piece.
///
/// Without a running `Telemetry` nobody flushes at the end of the program, so this waits for the
/// write then, but not longer than [`PATIENCE`].
pub(crate) fn print(lines: &[u8]) {
    push(&STDOUT, lines);
}

/// Tells the operator something, in one line: through `tracing` if its subscriber takes warnings of
/// this crate, otherwise on standard error.
pub(crate) fn warn(text: &str) {
    // Ask the subscriber itself: the global maximum level may stem from another subscriber.
    if tracing::enabled!(target: TARGET, Level::WARN) {
        tracing::warn!(target: TARGET, "{text}");
    } else {
        warn_on_stderr(text);
    }
}

/// Warns after telemetry was shut down. The notice is not exported, because the SDK would complain that
/// it comes too late.
pub(crate) fn warn_after_shutdown(text: &str) {
    let _suppressed = opentelemetry::Context::enter_telemetry_suppressed_scope();
    warn(text);
}

/// Announces a `Telemetry` that calls [`end`] later: until then, writers don't wait.
pub(crate) fn begin() {
    FLUSHING.fetch_add(1, Ordering::Relaxed);
}

/// Undoes [`begin`], and waits for what is queued, for a bounded time.
pub(crate) fn end() {
    FLUSHING.fetch_sub(1, Ordering::Relaxed);
    if !STDOUT.flush(PATIENCE) {
        let lines = STDOUT.unwritten();
        warn_on_stderr(&format!("standard output is not read: up to {lines} lines are lost"));
    }
    STDERR.flush(PATIENCE);
}

/// Waits until what was queued for standard output is written, for a bounded time.
pub(crate) fn flush() {
    STDOUT.flush(PATIENCE);
}

fn push(queue: &'static Queue, lines: &[u8]) {
    let ticket = queue.push(lines);
    if FLUSHING.load(Ordering::Relaxed) == 0 {
        queue.wait_for(ticket, PATIENCE);
    }
}

fn warn_on_stderr(text: &str) {
    let mut line = String::with_capacity(text.len() + 32);
    let _ = writeln!(line, "{TARGET}: {}", Escaped(text));
    push(&STDERR, line.as_bytes());
}

fn warn_of_stdout(dropped: u64) {
    warn(&format!("standard output was not read in time: {dropped} lines were dropped"));
}

fn warn_of_stderr(dropped: u64) {
    warn_on_stderr(&format!("standard error was not read in time: {dropped} lines were dropped"));
}

fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stream = io::stdout().lock();
    stream.write_all(bytes)?;
    stream.flush()
}

fn write_stderr(bytes: &[u8]) -> io::Result<()> {
    io::stderr().lock().write_all(bytes)
}

/// The target of this crate's own notices: its name, as `tracing` spells it.
pub(crate) const TARGET: &str = env!("CARGO_CRATE_NAME");

/// The time that a shutdown waits for a stream that is not read.
const PATIENCE: Duration = Duration::from_secs(1);
