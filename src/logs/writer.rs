//! Standard output as a writer for `fmt` layers.

use std::{
    io::{self, Write},
    sync::Arc,
};

use opentelemetry::trace::{SpanId, TraceId};
use tracing_subscriber::fmt::MakeWriter;

use super::with_trace_context::Ids;
use crate::stdout;

/// Standard output, which never blocks the writer.
///
/// Lines go into a queue of four megabytes, and a thread of its own prints them. If nobody
/// reads standard output, the queue fills up and lines are dropped; their number is reported when
/// it is read again. The end of [`Telemetry`](crate::Telemetry) waits for what is queued, for one
/// second at most. As long as there is no `Telemetry`, each write waits in the same way.
///
/// `std::process::exit` loses what is queued at that moment: end the `Telemetry` before it.
///
/// ```
/// use tower_telemetry::logs::Stdout;
/// use tracing_subscriber::{fmt, layer::SubscriberExt};
///
/// let lines = fmt::layer().compact().with_writer(Stdout);
/// let subscriber = tracing_subscriber::registry().with(lines);
/// # drop(subscriber);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        stdout::print(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        stdout::flush();
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Stdout {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

/// A function that takes lines, each with the ids of the current trace and span.
pub(crate) type TakeLine = Arc<dyn Fn(Option<(TraceId, SpanId)>, &str) + Send + Sync>;

/// Passes each line to a function. An `fmt` layer writes a line at once.
#[derive(Clone)]
pub(super) struct LineWriter(pub(super) TakeLine);

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        let ids = Ids::current().map(|ids| (ids.trace, ids.span));
        (self.0)(ids, line.trim_end_matches('\n'));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
