//! Lines that are logged while a thread ends.
//!
//! A destructor of a thread-local value may log. `fmt::Layer` and OpenTelemetry's context use
//! thread-locals of their own, and panic once those are destroyed; a panic in such a destructor
//! aborts the process.

use std::fmt::Debug;

use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, Registry, Scope},
};

use super::format::WriteLine;
use crate::stdout;

thread_local! {
    static SENTINEL: Sentinel = const { Sentinel };
}

/// A thread-local with a destructor, which tells whether destructors have run.
struct Sentinel;

impl Drop for Sentinel {
    // Without an implementation there is no destructor to run.
    fn drop(&mut self) {}
}

/// Returns true if thread-locals that were first used after the first call of this function may be
/// destroyed already.
///
/// Thread-locals are destroyed in the reverse order of their first use. Whoever calls this before
/// using another thread-local therefore finds that one destroyed only if this returns true.
pub(super) fn has_begun() -> bool {
    SENTINEL.try_with(|_| ()).is_err()
}

/// Skips a layer's events while the thread ends.
pub(super) struct SkipAtTeardown<L>(pub(super) L);

impl<S: Subscriber, L: Layer<S>> Layer<S> for SkipAtTeardown<L> {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        self.0.on_new_span(attributes, id, cx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        self.0.on_record(id, values, cx);
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        if !has_begun() {
            self.0.on_event(event, cx);
        }
    }
}

/// Writes lines through a layer, or without spans and ids while the thread ends.
pub(super) struct LinesAtTeardown<L, F> {
    pub(super) layer: L,
    pub(super) format: F,
}

impl<S, L, F> Layer<S> for LinesAtTeardown<L, F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S>,
    F: WriteLine + Debug + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        self.layer.on_new_span(attributes, id, cx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        self.layer.on_record(id, values, cx);
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        if !has_begun() {
            return self.layer.on_event(event, cx);
        }
        let mut line = String::new();
        if self.format.write_line(&mut line, false, event, None::<Scope<'_, Registry>>).is_ok() {
            stdout::print(line.as_bytes());
        }
    }
}
