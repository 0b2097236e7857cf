//! The number of attempts of one call.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use opentelemetry::Context;

/// Counts the attempts of one call, in the context that they share.
///
/// It is not in the request's extensions, because a redirect to another host drops those.
#[derive(Debug, Clone)]
pub(crate) enum AttemptCount {
    /// Around the attempts: their number so far.
    Attempts(Arc<AtomicU32>),
    /// Inside an attempt: the number of earlier ones.
    Attempt(u32),
}

impl AttemptCount {
    pub(crate) fn begin() -> Self {
        Self::Attempts(Arc::default())
    }

    /// Returns a count that counts nothing.
    pub(crate) fn none() -> Self {
        Self::Attempt(0)
    }

    /// Returns `context` with this count in it.
    pub(crate) fn within(self, context: &Context) -> Context {
        context.with_value(self)
    }

    /// Counts an attempt. Returns the number of earlier attempts, and the context for the attempt
    /// itself, in which other calls are not counted. A layer inside another layer of the same exchange
    /// (`is_nested`) finds the number that the outer layer has counted.
    pub(super) fn count(context: &Context, is_nested: bool) -> Option<(u32, Option<Context>)> {
        match context.get::<Self>()? {
            Self::Attempts(attempts) => {
                let before = attempts.fetch_add(1, Ordering::Relaxed);
                Some((before, Some(Self::Attempt(before).within(context))))
            }
            Self::Attempt(before) => is_nested.then_some((*before, None)),
        }
    }
}
