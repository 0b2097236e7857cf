//! What the operator should know: through `tracing` where somebody listens, else on standard error.

use std::io::{self, Write};

use tracing::Level;

/// The target of what this crate has to say of itself: its own name, as `tracing` has it.
const TARGET: &str = env!("CARGO_CRATE_NAME");

pub(super) fn warn(text: &str) {
    // Asked of the subscriber itself: the level that is enabled anywhere says nothing of here and now.
    if tracing::enabled!(target: TARGET, Level::WARN) {
        tracing::warn!(target: TARGET, "{text}");
    } else {
        // `eprintln!` would panic where standard error is closed.
        let _ = writeln!(io::stderr(), "{TARGET}: {text}");
    }
}
