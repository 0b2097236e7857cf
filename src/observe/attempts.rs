//! How often a request was sent, known to all its attempts.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use opentelemetry::Context;

/// The attempts of one call so far, in the context that its attempts share.
///
/// It is not in the request's extensions: a redirect to another host drops those.
#[derive(Debug, Clone)]
pub(crate) struct Attempts(Option<Arc<AtomicU32>>);

impl Attempts {
    pub(crate) fn begin() -> Self {
        Self(Some(Arc::default()))
    }

    /// `context` with these attempts in it.
    pub(crate) fn within(self, context: &Context) -> Context {
        context.with_value(self)
    }

    /// Counts an attempt, and tells how many there were before it; and the context for the attempt
    /// itself, in which other calls are none of it.
    pub(super) fn count(context: &Context) -> Option<(u32, Context)> {
        let attempts = context.get::<Self>()?.0.as_ref()?;
        Some((attempts.fetch_add(1, Ordering::Relaxed), Self(None).within(context)))
    }
}
