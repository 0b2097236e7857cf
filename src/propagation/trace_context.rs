//! W3C Trace Context, Level 2.

use std::sync::OnceLock;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanContext, TraceContextExt, TraceId, TraceState},
};
use smallvec::SmallVec;

use super::carrier::{TRACEPARENT, TRACESTATE};
use crate::traceparent::{RANDOM, RandomTrace, TraceParent};

/// Propagates `traceparent` and `tracestate` by W3C Trace Context Level 2.
///
/// It is a [`TextMapPropagator`] for any OpenTelemetry code, stricter than the SDK's where the
/// specification is strict, and more faithful where it says that a value must be passed on:
///
/// - `traceparent` by its exact grammar; of a later version, what version 00 knows.
/// - The *random-trace-id* flag that came in goes out with every `traceparent` of that trace,
///   whatever a sampler decides; all other flags but *sampled* are zero.
/// - `tracestate` whole or not at all: a malformed member, or more than 32 members, discard it, and
///   never the `traceparent`. Order and values are kept byte for byte, also of keys that
///   [`TraceState`] has no room for. A change made by a sampler or a span processor wins.
///
/// A header sent twice can only be refused by the carrier; see
/// [`HeaderExtractor`](super::HeaderExtractor).
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
/// use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
/// use tower_telemetry::propagation::TraceContext;
///
/// let mut headers = HashMap::new();
/// let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
/// headers.insert(String::from("traceparent"), String::from(traceparent));
///
/// let context = TraceContext::new().extract_with_context(&Context::new(), &headers);
/// assert!(context.span().span_context().is_sampled());
///
/// let mut sent = HashMap::new();
/// TraceContext::new().inject_context(&context, &mut sent);
/// assert_eq!(sent["traceparent"], traceparent);
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct TraceContext;

impl TraceContext {
    /// Makes the propagator.
    pub fn new() -> Self {
        Self
    }
}

impl TraceContext {
    /// The context of a caller who sent these lines; none where there is no valid `traceparent`.
    pub(super) fn read<'a, I>(
        cx: &Context,
        parent: Option<&str>,
        lines: impl FnOnce() -> I,
    ) -> Option<Context>
    where
        I: IntoIterator<Item = &'a str>,
    {
        let TraceParent { trace_id, span_id, flags } = TraceParent::parse(parent?)?;
        let (state, kept) = read_state(trace_id, lines());
        let span = SpanContext::new(trace_id, span_id, flags, true, state);
        let mut cx = cx.with_remote_span_context(span);
        if flags & RANDOM == RANDOM {
            cx = cx.with_value(RandomTrace(trace_id));
        }
        Some(match kept {
            Some(kept) => cx.with_value(kept),
            None => cx,
        })
    }
}

impl TextMapPropagator for TraceContext {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let Some(parent) = TraceParent::of(cx) else { return };
        let span = cx.span();
        let state = span.span_context().trace_state();
        let kept = cx.get::<KeptState>().filter(|kept| kept.trace_id == parent.trace_id);
        injector.set(TRACEPARENT, parent.to_text());
        let members = match kept {
            Some(kept) => kept.text(state),
            None => join(state),
        };
        if !members.is_empty() {
            injector.set(TRACESTATE, members);
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        // Several lines are one list, whether or not the carrier has joined them.
        let lines = || extractor.get_all(TRACESTATE).unwrap_or_default();
        Self::read(cx, extractor.get(TRACEPARENT), lines).unwrap_or_else(|| cx.clone())
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: OnceLock<[String; 2]> = OnceLock::new();
        FieldIter::new(FIELDS.get_or_init(|| [TRACEPARENT, TRACESTATE].map(String::from)))
    }
}

/// A `tracestate` with keys that the API's type refuses, kept beside the span.
#[derive(Debug)]
struct KeptState {
    trace_id: TraceId,
    members: Vec<(String, String)>,
    /// The part of it that the span context got.
    expressed: TraceState,
}

impl KeptState {
    /// The list to send, where the span now has `current`.
    fn text(&self, current: &TraceState) -> String {
        let members = self.members.iter().map(|(key, value)| (&**key, &**value));
        if *current == self.expressed {
            return join(members);
        }
        // What is new or changed goes to the left, what was deleted goes, all else keeps its place.
        let contains = |state: &TraceState, member| state.into_iter().any(|known| known == member);
        let changed = current.into_iter().filter(|member| !contains(&self.expressed, *member));
        let kept = members.filter(|member| match contains(&self.expressed, *member) {
            true => contains(current, *member),
            false => current.get(member.0).is_none(),
        });
        join(changed.chain(kept).take(MAX_MEMBERS))
    }
}

/// Reads the combined list: what a span context can hold, and all of it where it can't.
fn read_state<'a>(
    trace_id: TraceId,
    lines: impl IntoIterator<Item = &'a str>,
) -> (TraceState, Option<KeptState>) {
    let mut members = SmallVec::<[(&str, &str); 8]>::new();
    for line in lines {
        let mut rest = Some(line);
        while let Some(list) = rest {
            let member;
            (member, rest) = split_at(list, b',');
            let member = trimmed(member);
            if member.is_empty() {
                continue;
            }
            match split_at(member, b'=') {
                (key, Some(value))
                    if is_key(key) && is_value(value) && members.len() < MAX_MEMBERS =>
                {
                    members.push((key, value));
                }
                // Discarded whole, not cut.
                _ => return (TraceState::NONE, None),
            }
        }
    }
    if members.is_empty() {
        return (TraceState::NONE, None);
    }
    match TraceState::from_key_value(members.iter().copied()) {
        Ok(state) => (state, None),
        Err(_) => {
            let is_expressible =
                |member: &&(&str, &str)| TraceState::from_key_value([**member]).is_ok();
            let expressible = members.iter().filter(is_expressible).copied();
            let expressed = TraceState::from_key_value(expressible).unwrap_or_default();
            let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            let members = members.iter().map(owned).collect();
            (expressed.clone(), Some(KeptState { trace_id, members, expressed }))
        }
    }
}

/// What is before the first of these separators, and what is behind it. By octets, which is faster
/// than `str::split` where the parts are short.
fn split_at(text: &str, separator: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|b| b == separator) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// The text without the white space that may be around a member.
fn trimmed(mut text: &str) -> &str {
    while let [b' ' | b'\t', ..] = text.as_bytes() {
        text = &text[1..];
    }
    while let [.., b' ' | b'\t'] = text.as_bytes() {
        text = &text[..text.len() - 1];
    }
    text
}

fn join<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    // A sampler may have put in what the API takes and nobody else does.
    for (key, value) in members.into_iter().filter(|(key, value)| is_key(key) && is_value(value)) {
        if text.is_empty() {
            text.reserve(64);
        } else {
            text.push(',');
        }
        text.push_str(key);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// Section 3.3.1.3.1.
fn is_key(key: &str) -> bool {
    let is_first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let key = key.as_bytes();
    key.len() <= MAX_LENGTH
        && key.first().is_some_and(is_first)
        && key.iter().all(|b| is_first(b) || matches!(b, b'_' | b'-' | b'*' | b'/' | b'@'))
}

/// Section 3.3.1.3.2. White space behind a value was never part of it.
fn is_value(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_LENGTH
        && value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'=')
}

const MAX_MEMBERS: usize = 32;
const MAX_LENGTH: usize = 256;
