//! B3, the headers of Zipkin.

use std::sync::LazyLock;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};

/// Propagates the trace in Zipkin's headers, for callers and meshes that do not know W3C's.
///
/// | | in `OTEL_PROPAGATORS` | sends | reads |
/// |---|---|---|---|
/// | [`single`](Self::single) | `b3` | `b3` | `b3` if it is valid, else `X-B3-*` |
/// | [`multi`](Self::multi) | `b3multi` | `X-B3-TraceId`, `X-B3-SpanId`, `X-B3-Sampled` or `X-B3-Flags` | the same |
///
/// - A caller that asks for debugging is sampled, and the wish is sent on.
/// - A caller that leaves the decision to the receiver (ids without `Sampled`) counts as one that does not
///   sample, as in OpenTelemetry's other languages. The decision of this service is sent. Without one, the
///   choice is left open for the next receiver, too.
/// - A trace id of 64 bits is the lower half of one of 128 bits, which is sent.
/// - Without a span nothing is sent. A sampling decision without ids is ignored.
///
/// The id of the parent is never sent, as OpenTelemetry's specification demands.
///
/// # Example
///
/// ```
/// use tower_telemetry::{
///     TelemetryLayer,
///     opentelemetry::propagation::TextMapCompositePropagator,
///     propagation::{B3, W3c},
/// };
///
/// // Sends both and reads both. B3 wins where a caller sends both:
/// let both = TextMapCompositePropagator::new(vec![Box::new(W3c::new()), Box::new(B3::single())]);
/// let layer = TelemetryLayer::client().with_propagator(both);
/// ```
#[derive(Debug, Clone)]
pub struct B3 {
    is_single: bool,
}

impl B3 {
    /// Sends one header.
    pub fn single() -> Self {
        Self { is_single: true }
    }

    /// Sends a header for each value.
    pub fn multi() -> Self {
        Self { is_single: false }
    }
}

/// The part of a caller's decision that the flags of a span context can't hold.
#[derive(Debug, Clone, Copy)]
struct CallersWish {
    trace_id: TraceId,
    decision: Decision,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Decision {
    Sampled(bool),
    Debug,
    Open,
}

impl Decision {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "1" | "true" => Some(Self::Sampled(true)),
            "0" | "false" => Some(Self::Sampled(false)),
            _ => None,
        }
    }

    fn is_sampled(self) -> bool {
        matches!(self, Self::Sampled(true) | Self::Debug)
    }
}

/// The caller, as its headers describe it.
struct Caller {
    trace_id: TraceId,
    span_id: SpanId,
    decision: Decision,
}

impl Caller {
    /// Parses `{trace}-{span}`, `{trace}-{span}-{decision}` or `{trace}-{span}-{decision}-{parent}`.
    fn of_one_header(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (trace, span) = (parts.next()?, parts.next()?);
        let decision = match parts.next() {
            None => Decision::Open,
            Some("d") => Decision::Debug,
            Some(decision @ ("0" | "1")) => Decision::parse(decision)?,
            Some(_) => return None,
        };
        let has_valid_parent = parts.next().is_none_or(|parent| is_hex(parent, &[16]));
        let is_complete = parts.next().is_none();
        Self::new(trace, span, decision).filter(|_| has_valid_parent && is_complete)
    }

    fn of_many_headers(headers: &dyn Extractor) -> Option<Self> {
        let (trace, span) = (headers.get(TRACE_ID)?, headers.get(SPAN_ID)?);
        let decision = match (headers.get(FLAGS), headers.get(SAMPLED)) {
            (Some("1"), _) => Decision::Debug,
            (_, Some(decision)) => Decision::parse(decision)?,
            (_, None) => Decision::Open,
        };
        Self::new(trace, span, decision)
    }

    fn new(trace: &str, span: &str, decision: Decision) -> Option<Self> {
        if !is_hex(trace, &[16, 32]) || !is_hex(span, &[16]) {
            return None;
        }
        let (trace_id, span_id) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let is_valid = trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
        is_valid.then_some(Self { trace_id, span_id, decision })
    }
}

impl TextMapPropagator for B3 {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let span = cx.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let wish = cx.get::<CallersWish>().filter(|wish| wish.trace_id == span.trace_id());
        let decision = match wish.map(|wish| wish.decision) {
            Some(Decision::Debug) => Decision::Debug,
            // Without a span of this process nothing has been decided here.
            Some(Decision::Open) if span.is_remote() => Decision::Open,
            _ => Decision::Sampled(span.is_sampled()),
        };
        let (trace_id, span_id) = (span.trace_id(), span.span_id());
        let sampled = if decision.is_sampled() { "1" } else { "0" };
        if self.is_single {
            let decision = match decision {
                Decision::Sampled(_) => sampled,
                Decision::Debug => "d",
                Decision::Open => return injector.set(SINGLE, format!("{trace_id}-{span_id}")),
            };
            return injector.set(SINGLE, format!("{trace_id}-{span_id}-{decision}"));
        }
        injector.set(TRACE_ID, trace_id.to_string());
        injector.set(SPAN_ID, span_id.to_string());
        match decision {
            Decision::Sampled(_) => injector.set(SAMPLED, sampled.to_owned()),
            // It implies that the trace is sampled.
            Decision::Debug => injector.set(FLAGS, "1".to_owned()),
            Decision::Open => {}
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let caller = extractor.get(SINGLE).and_then(Caller::of_one_header);
        let caller = caller.or_else(|| Caller::of_many_headers(extractor));
        let Some(Caller { trace_id, span_id, decision }) = caller else { return cx.clone() };
        let flags = TraceFlags::default().with_sampled(decision.is_sampled());
        let span = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
        let cx = cx.with_remote_span_context(span);
        match decision {
            Decision::Sampled(_) => cx,
            Decision::Debug | Decision::Open => cx.with_value(CallersWish { trace_id, decision }),
        }
    }

    /// The headers of both kinds, so that a layer removes those that a copied request may have.
    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}

/// Returns true for lower-case hexadecimal digits.
fn is_hex(text: &str, lengths: &[usize]) -> bool {
    let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    lengths.contains(&text.len()) && text.bytes().all(is_digit)
}

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const PARENT_ID: &str = "x-b3-parentspanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

static FIELDS: LazyLock<[String; 6]> =
    LazyLock::new(|| [SINGLE, TRACE_ID, SPAN_ID, PARENT_ID, SAMPLED, FLAGS].map(String::from));
