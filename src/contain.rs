//! Panics that must not spread.

use std::panic::{self, AssertUnwindSafe};

/// Runs `f` and stops its panic here. Returns `None` if it panicked.
///
/// A panic that leaves a destructor while another panic unwinds would abort the process.
pub(crate) fn contain<T>(f: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(f)).ok()
}
