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
pub(crate) struct AttemptCount(Option<Arc<AtomicU32>>);

impl AttemptCount {
    pub(crate) fn begin() -> Self {
        Self(Some(Arc::default()))
    }

    /// Returns `context` with this count in it.
    pub(crate) fn within(self, context: &Context) -> Context {
        context.with_value(self)
    }

    /// Counts an attempt. Returns the number of earlier attempts, and the context for the attempt
    /// itself, in which other calls are not counted.
    pub(super) fn count(context: &Context) -> Option<(u32, Context)> {
        let attempts = context.get::<Self>()?.0.as_ref()?;
        Some((attempts.fetch_add(1, Ordering::Relaxed), Self(None).within(context)))
    }
}
