//! What the operator should know: through `tracing` where somebody listens, else on standard error.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;

/// The target of what this crate has to say of itself.
pub(crate) const TARGET: &str = "tower_telemetry";

pub(super) fn warn(text: &str) {
    if LevelFilter::current() >= LevelFilter::WARN {
        tracing::warn!(target: TARGET, "{text}");
    } else {
        // `eprintln!` would panic where standard error is closed.
        let _ = writeln!(io::stderr(), "{TARGET}: {text}");
    }
}
