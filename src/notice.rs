//! Messages for the operator: through `tracing` if a subscriber listens, else on standard error.

use std::io::{self, Write};

use tracing::Level;

/// Target of the events: the crate's name, as `tracing` spells it.
const TARGET: &str = env!("CARGO_CRATE_NAME");

pub(crate) fn warn(text: &str) {
    // Ask the current subscriber, because the global maximum level says nothing about this thread.
    if tracing::enabled!(target: TARGET, Level::WARN) {
        tracing::warn!(target: TARGET, "{text}");
    } else {
        // `eprintln!` panics if standard error is closed.
        let _ = writeln!(io::stderr(), "{TARGET}: {text}");
    }
}
