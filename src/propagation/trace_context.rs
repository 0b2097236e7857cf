//! W3C Trace Context Level 2.

use std::sync::OnceLock;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanContext, TraceContextExt, TraceId, TraceState},
};
use smallvec::SmallVec;

use super::carrier::{TRACEPARENT, TRACESTATE};
use crate::traceparent::{RANDOM, RandomTrace, TraceParent};

/// Propagates the `traceparent` and `tracestate` headers as W3C Trace Context Level 2 specifies.
///
/// It is a [`TextMapPropagator`], so any OpenTelemetry code can use it. It follows the
/// specification more closely than the SDK's propagator:
///
/// - `traceparent` is parsed by its exact grammar. If the version is later than 00, the fields of
///   version 00 are read and the rest is ignored.
/// - The *random-trace-id* flag of the caller is sent with every `traceparent` of that trace, even
///   if a sampler drops the span. All flags except *sampled* and *random-trace-id* are sent as
///   zero.
/// - `tracestate` is forwarded as a whole or discarded as a whole. A malformed member or a 33rd
///   member discards it; the `traceparent` stays valid. Order and values are forwarded byte for
///   byte, even for keys that [`TraceState`] rejects. Changes made by a sampler or a span processor
///   are applied.
///
/// Only the carrier can reject a header that was sent twice; see
/// [`HeaderExtractor`](super::HeaderExtractor).
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
/// use tower_telemetry::{
///     opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt},
///     propagation::TraceContext,
/// };
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
    /// Creates the propagator.
    pub fn new() -> Self {
        Self
    }
}

impl TraceContext {
    /// Returns `cx` with the span context of these header lines. Returns `None` if `traceparent` is
    /// missing or invalid.
    pub(super) fn read<'a, I>(
        cx: &Context,
        parent: Option<&str>,
        lines: impl FnOnce() -> I,
    ) -> Option<Context>
    where
        I: IntoIterator<Item = &'a str>,
    {
        let TraceParent { trace_id, span_id, flags } = TraceParent::parse(parent?)?;
        let (state, forwarded) = read_state(trace_id, lines());
        let span = SpanContext::new(trace_id, span_id, flags, true, state);
        let mut cx = cx.with_remote_span_context(span);
        if flags & RANDOM == RANDOM {
            cx = cx.with_value(RandomTrace(trace_id));
        }
        Some(match forwarded {
            Some(forwarded) => cx.with_value(forwarded),
            None => cx,
        })
    }
}

impl TextMapPropagator for TraceContext {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let Some(parent) = TraceParent::of(cx) else { return };
        let span = cx.span();
        let state = span.span_context().trace_state();
        let forwarded =
            cx.get::<ForwardedState>().filter(|state| state.trace_id == parent.trace_id);
        injector.set(TRACEPARENT, parent.to_text());
        let members = match forwarded {
            Some(forwarded) => forwarded.text(state),
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

/// A `tracestate` with keys that the API's [`TraceState`] rejects. It is stored in the context,
/// beside the span context.
#[derive(Debug)]
struct ForwardedState {
    trace_id: TraceId,
    members: Vec<(String, String)>,
    /// The members that [`TraceState`] accepts, as the span context received them.
    accepted: TraceState,
}

impl ForwardedState {
    /// Returns the list to send for a span whose state is now `current`.
    fn text(&self, current: &TraceState) -> String {
        let members = self.members.iter().map(|(key, value)| (&**key, &**value));
        if *current == self.accepted {
            return join(members);
        }
        // The specification puts new and changed members to the left. Deleted members are dropped,
        // and the others stay in order.
        let contains = |state: &TraceState, member| state.into_iter().any(|known| known == member);
        let changed = current.into_iter().filter(|member| !contains(&self.accepted, *member));
        let unchanged = members.filter(|member| match contains(&self.accepted, *member) {
            true => contains(current, *member),
            false => current.get(member.0).is_none(),
        });
        join(changed.chain(unchanged).take(MAX_MEMBERS))
    }
}

/// Parses the lines as one list. Returns the members that a span context can hold and, if it can't
/// hold them all, the complete list.
fn read_state<'a>(
    trace_id: TraceId,
    lines: impl IntoIterator<Item = &'a str>,
) -> (TraceState, Option<ForwardedState>) {
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
                // An invalid list is discarded as a whole.
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
            let is_accepted =
                |member: &&(&str, &str)| TraceState::from_key_value([**member]).is_ok();
            let accepted = members.iter().filter(is_accepted).copied();
            let accepted = TraceState::from_key_value(accepted).unwrap_or_default();
            let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            let members = members.iter().map(owned).collect();
            (accepted.clone(), Some(ForwardedState { trace_id, members, accepted }))
        }
    }
}

/// Splits `text` at the first separator. Comparing bytes is faster than `str::split_once` because
/// the parts are short.
fn split_at(text: &str, separator: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|b| b == separator) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Removes optional white space around a member.
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
    // A sampler may add members that the API accepts and the specification forbids.
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

/// Checks a key (section 3.3.1.3.1).
fn is_key(key: &str) -> bool {
    let is_first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let key = key.as_bytes();
    key.len() <= MAX_LENGTH
        && key.first().is_some_and(is_first)
        && key.iter().all(|b| is_first(b) || matches!(b, b'_' | b'-' | b'*' | b'/' | b'@'))
}

/// Checks a value (section 3.3.1.3.2). Trailing white space has been removed before.
fn is_value(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_LENGTH
        && value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'=')
}

const MAX_MEMBERS: usize = 32;
const MAX_LENGTH: usize = 256;
