//! From an error of any type to an `Error`.

use std::{any::Any, error::Error, io};

type BoxError = Box<dyn Error + Send + Sync>;

/// Borrows a value of any type as an error, if it has the type that this function knows.
pub(crate) type DowncastFn =
    for<'a> fn(&'a (dyn Any + 'static)) -> Option<&'a (dyn Error + 'static)>;

/// Returns the error that a wrapper hides from its `source`.
pub(crate) type UnwrapFn =
    for<'a> fn(&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)>;

/// Borrows `error` as an `E`.
pub(crate) fn downcast<'a, E: Error + 'static>(
    error: &'a (dyn Any + 'static),
) -> Option<&'a (dyn Error + 'static)> {
    error.downcast_ref::<E>().map(|error| error as _)
}

/// Borrows a service's error, which may be of any type, as an error with a chain of sources.
///
/// Boxed errors need their own rows because a box is not an `Error` itself.
pub(super) fn as_error<'a>(
    error: &'a (dyn Any + 'static),
    types: impl IntoIterator<Item = DowncastFn>,
) -> Option<&'a (dyn Error + 'static)> {
    if let Some(boxed) = error.downcast_ref::<BoxError>() {
        return Some(&**boxed);
    }
    if let Some(boxed) = error.downcast_ref::<Box<dyn Error + Send>>() {
        return Some(&**boxed);
    }
    if let Some(boxed) = error.downcast_ref::<Box<dyn Error>>() {
        return Some(&**boxed);
    }
    downcast::<io::Error>(error).or_else(|| types.into_iter().find_map(|downcast| downcast(error)))
}

pub(super) fn is_boxed(error: &(dyn Any + 'static)) -> bool {
    error.is::<BoxError>() || error.is::<Box<dyn Error + Send>>() || error.is::<Box<dyn Error>>()
}
