//! Lines that are logged while a thread ends.
//!
//! A destructor of a thread-local value may log. `fmt::Layer`, the registry and OpenTelemetry's
//! context use thread-locals of their own, and panic once those are destroyed; a panic in such a
//! destructor aborts the process.

use std::{
    fmt::Debug,
    panic::{self, AssertUnwindSafe},
};

use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, Registry, Scope},
};

use super::format::WriteLine;
use crate::stdout;

thread_local! {
    static LINES: Sentinel = const { Sentinel };
    static SPANS: Sentinel = const { Sentinel };
}

/// A thread-local with a destructor, which tells whether destructors have run.
///
/// Thread-locals are destroyed in the reverse order of their first use. One that is first used
/// right after a sentinel is therefore destroyed right before it, and no other destructor, which
/// could log, runs in between.
struct Sentinel;

impl Drop for Sentinel {
    // Without an implementation there is no destructor to run.
    fn drop(&mut self) {}
}

/// Returns true if the thread-locals that a line needs are destroyed.
///
/// Call it before a line is the first to use them.
pub(super) fn has_begun() -> bool {
    LINES.try_with(|_| ()).is_err()
}

/// Reads the current context, unless its thread-local is destroyed.
pub(super) fn map_context<T>(read: impl FnOnce(&opentelemetry::Context) -> T) -> Option<T> {
    if has_begun() {
        return None;
    }
    // Reading the context panics while its thread-local is destroyed.
    panic::catch_unwind(AssertUnwindSafe(|| opentelemetry::Context::map_current(read))).ok()
}

/// Returns true if the thread-locals that a new span needs are destroyed.
///
/// They have a sentinel of their own, because a thread may have spans before it has lines.
fn has_begun_for_spans() -> bool {
    SPANS.try_with(|_| ()).is_err()
}

/// Disables new spans while the thread ends, because the registry panics there.
pub(super) struct NoSpansAtTeardown;

impl<S: Subscriber> Layer<S> for NoSpansAtTeardown {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // For spans, `enabled` has to be asked each time.
        if metadata.is_span() { Interest::sometimes() } else { Interest::always() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        !metadata.is_span() || !has_begun_for_spans()
    }
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
