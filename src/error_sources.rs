//! From an error to its sources.

use std::{error::Error, io};

/// Iterates over an error and its sources, from the outermost to the innermost.
///
/// `unwrap` returns the error that a wrapper hides from its `source`.
pub(crate) fn sources<'a>(
    error: &'a (dyn Error + 'static),
    unwrap: impl Fn(&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)>,
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), move |error| {
        let error: &'a (dyn Error + 'static) = *error;
        // `io::Error::source` skips the error that it wraps and returns the source of that one.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as _).or_else(|| unwrap(error)).or_else(|| error.source())
    })
    // A chain may be endless by a bug of the error's author.
    .take(MAX_SOURCES)
}

const MAX_SOURCES: usize = 32;
