//! Calls that a service turns away, told from its errors.

use std::{
    any::{Any, type_name},
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use opentelemetry::StringValue;
use pin_project_lite::pin_project;

use super::saturation::Shared;

type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// The future of a [`Saturation`](super::Saturation).
    pub struct SaturationFuture<F> {
        #[pin]
        inner: F,
        shared: Arc<Shared>,
    }
}

impl<F> SaturationFuture<F> {
    pub(super) fn new(inner: F, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<F, T, E> Future for SaturationFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: 'static,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        if let Some(kind) = result.as_ref().err().and_then(kind) {
            this.shared.count_rejected(kind.into());
        }
        Poll::Ready(result)
    }
}

impl<F: fmt::Debug> fmt::Debug for SaturationFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaturationFuture").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Returns the kind of an error by which tower turns a call away.
fn kind<E: 'static>(error: &E) -> Option<&'static str> {
    #[cfg(feature = "tower")]
    return tower_kind(error);
    #[cfg(not(feature = "tower"))]
    {
        let _ = error;
        None
    }
}

/// Returns the kind of an error of `poll_ready`, by which any service turns a call away.
pub(super) fn kind_or_type<E: 'static>(error: &E) -> StringValue {
    match kind(error) {
        Some(kind) => kind.into(),
        // The name of the box says nothing of what is in it.
        None if (error as &dyn Any).is::<BoxError>() => "_OTHER".into(),
        None => type_name::<E>().into(),
    }
}

#[cfg(feature = "tower")]
fn tower_kind(error: &dyn Any) -> Option<&'static str> {
    use tower::{buffer::error as buffer, load_shed::error::Overloaded};

    let boxed = error.downcast_ref::<BoxError>();
    if error.is::<Overloaded>() || boxed.is_some_and(|error| error.is::<Overloaded>()) {
        return Some("overloaded");
    }
    let is_closed = boxed
        .is_some_and(|error| error.is::<buffer::Closed>() || error.is::<buffer::ServiceError>());
    is_closed.then_some("closed")
}
