//! Standard output as a writer for `fmt` layers.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

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
