//! The tracer and the histogram of a database: given, or of the global providers.
//!
//! Global ones are looked up until there are some, so the order of set-up and first operation
//! doesn't matter.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use opentelemetry::{
    Context, global,
    metrics::{Histogram, Meter, MeterProvider},
    trace::{Span, SpanBuilder, TraceContextExt, Tracer, TracerProvider},
};

use super::attribute_names::OPERATION_DURATION;
use crate::convention::emit;

/// Starts spans.
#[derive(Default)]
pub(super) struct Spans {
    tracer: OnceLock<Box<dyn StartSpan>>,
    /// Operations that came while there was no tracer.
    without_tracer: AtomicU32,
}

impl Spans {
    pub(super) fn of<P>(provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
    {
        let tracer: Box<dyn StartSpan> = Box::new(provider.tracer_with_scope(emit::scope()));
        Self { tracer: OnceLock::from(tracer), without_tracer: AtomicU32::new(0) }
    }

    /// Returns false if there is no tracer, as far as is known.
    ///
    /// Only a span shows whether the global tracer makes some, so it is asked for each of the first
    /// operations, and later now and then.
    pub(super) fn may_start(&self) -> bool {
        if self.tracer.get().is_some() {
            return true;
        }
        // Not `fetch_add`, which costs more: a lost count only delays the next question.
        let n = self.without_tracer.load(Ordering::Relaxed);
        self.without_tracer.store(n.wrapping_add(1), Ordering::Relaxed);
        n < ASK_EACH || n.is_multiple_of(ASK_AGAIN_AFTER)
    }

    /// Starts a child of the current span. `None`: no provider is there, or it was shut down.
    pub(super) fn start(&self, builder: SpanBuilder) -> Option<Started> {
        let parent = Context::current();
        if let Some(tracer) = self.tracer.get() {
            return tracer.start(builder, &parent);
        }
        let tracer = global::tracer_with_scope(emit::scope());
        let started = StartSpan::start(&tracer, builder, &parent)?;
        // Another thread may have been faster, with a tracer of the same provider.
        let _ = self.tracer.set(Box::new(tracer));
        Some(started)
    }
}

/// A span that was started, in a context.
pub(super) struct Started {
    pub(super) context: Context,
    pub(super) is_recording: bool,
}

/// A tracer without its type.
trait StartSpan: Send + Sync {
    fn start(&self, builder: SpanBuilder, parent: &Context) -> Option<Started>;
}

impl<T> StartSpan for T
where
    T: Tracer + Send + Sync,
    T::Span: Span + Send + Sync + 'static,
{
    fn start(&self, builder: SpanBuilder, parent: &Context) -> Option<Started> {
        let span = self.build_with_context(builder, parent);
        let started = span.span_context().clone();
        // A no-op span is invalid, or is its parent.
        if !started.is_valid() || started.span_id() == parent.span().span_context().span_id() {
            return None;
        }
        let is_recording = span.is_recording();
        let context = match is_recording {
            true => parent.with_span(span),
            false => parent.with_remote_span_context(started),
        };
        Some(Started { context, is_recording })
    }
}

/// Records durations.
#[derive(Default)]
pub(super) struct Durations {
    histogram: OnceLock<Histogram<f64>>,
}

impl Durations {
    pub(super) fn of<P>(provider: &P) -> Self
    where
        P: MeterProvider + ?Sized,
    {
        Self { histogram: OnceLock::from(histogram(&provider.meter_with_scope(emit::scope()))) }
    }

    /// Returns the histogram. `None`: no provider is there.
    pub(super) fn histogram(&self) -> Option<&Histogram<f64>> {
        if let Some(histogram) = self.histogram.get() {
            return Some(histogram);
        }
        let provider = global::meter_provider();
        // The API's own no-op provider is the one without any state.
        if size_of_val(&*provider) == 0 {
            return None;
        }
        Some(self.histogram.get_or_init(|| histogram(&provider.meter_with_scope(emit::scope()))))
    }
}

fn histogram(meter: &Meter) -> Histogram<f64> {
    meter
        .f64_histogram(OPERATION_DURATION)
        .with_unit("s")
        .with_description("Duration of database client operations.")
        .with_boundaries(BOUNDARIES.to_vec())
        .build()
}

const ASK_EACH: u32 = 128;

const ASK_AGAIN_AFTER: u32 = 64;

/// Seconds (semantic conventions, `db.client.operation.duration`).
const BOUNDARIES: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
