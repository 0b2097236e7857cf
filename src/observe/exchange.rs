//! One request and its response.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::{Extensions, HeaderValue, Method, StatusCode, header, request, response};
use opentelemetry::{
    Context, ContextGuard,
    trace::{SpanRef, TraceContextExt},
};

use super::{AttemptCount, Claim, claims::Claims};
use crate::{
    convention::{Facts, Labels, Side, emit, read, rules::Rules},
    end::End,
};

/// One request and its response, from the moment the request enters to the end of the response
/// body.
///
/// The engine owns it, never the request: a retry clones a request's extensions and would time the
/// wrong attempt.
#[derive(Debug)]
pub struct Exchange {
    rules: Arc<Rules>,
    context: Option<Context>,
    /// False if the context is only remembered.
    attaches: bool,
    facts: Option<Facts>,
    started_at: Option<SystemTime>,
    started: Instant,
    /// Nanoseconds: a `Duration` would need twice the space.
    elapsed: u64,
    is_recorded: bool,
    ends_at_head: bool,
    method: KnownMethod,
    is_event_stream: bool,
    /// False if the exchange ends at the head, or after an upgrade.
    counts_delivery: bool,
    claims: Claims,
    /// The bytes of the response body that were delivered.
    delivered: u64,
    /// The announced length of the response body, or [`UNKNOWN`].
    announced: u64,
    /// Nanoseconds from the request to the response head, and later to the first byte of the body.
    /// [`UNKNOWN`] if nobody asks for it, [`AWAITED`] as long as there is none.
    first_byte: u64,
}

impl Exchange {
    #[inline]
    pub(super) fn begin(rules: &Arc<Rules>, head: &mut request::Parts, reads_clock: bool) -> Self {
        let rules = Arc::clone(rules);
        let is_recorded = rules.options.records(head);
        let claims = Claims::read(&mut head.extensions, rules.side());
        Self {
            context: None,
            attaches: false,
            facts: None,
            started_at: (is_recorded && reads_clock).then(SystemTime::now),
            started: Instant::now(),
            elapsed: 0,
            is_recorded,
            ends_at_head: is_recorded && rules.options.ends_at_head(head),
            method: KnownMethod::of(&head.method),
            claims,
            is_event_stream: false,
            counts_delivery: false,
            delivered: 0,
            announced: UNKNOWN,
            first_byte: UNKNOWN,
            rules,
        }
    }

    /// Returns the side that the layer stands on.
    pub fn side(&self) -> Side {
        self.rules.side()
    }

    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Returns the context that the service, its future and its response body run under.
    pub fn context(&self) -> Context {
        self.context.clone().unwrap_or_else(Context::current)
    }

    /// Runs `f` with the context. The current context is cloned, because `f` may attach another one.
    pub(crate) fn with_context<T>(&self, f: impl FnOnce(&Context) -> T) -> T {
        match &self.context {
            Some(context) => f(context),
            None => f(&Context::current()),
        }
    }

    /// Replaces the context that the service, its future and its response body run under.
    #[inline]
    pub fn set_context(&mut self, context: Context) {
        self.context = Some(context);
        self.attaches = true;
    }

    /// Remembers the current context if its span is sampled and no observer has set a context: at the
    /// end another one may be current.
    pub(crate) fn remember_sampled_context(&mut self) {
        if self.context.is_none() {
            let is_sampled = |cx: &Context| cx.span().span_context().is_sampled();
            self.context =
                Context::map_current(|current| is_sampled(current).then(|| current.clone()));
        }
    }

    /// Reads the facts of the request, unless another observer of this exchange has read them.
    pub fn read_facts(&mut self, head: &mut request::Parts) -> &Facts {
        self.read_body_size(head)
    }

    /// Reads the facts that all signals share.
    pub(crate) fn read_request(&mut self, head: &mut request::Parts) -> (&Rules, &mut Facts) {
        if self.facts.is_none() {
            let mut facts = read::request(&self.rules, head, self.claims.is_nested());
            if self.rules.options.has_handler_labels() {
                facts.set_handler_labels(self.handler_labels(&facts));
            }
            self.count_attempt(&mut facts);
            self.facts = Some(facts);
        }
        (&self.rules, self.facts.as_mut().expect("the facts were read a line above"))
    }

    /// Reads the facts, and the size of the request body.
    pub(crate) fn read_body_size(&mut self, head: &mut request::Parts) -> &Facts {
        let (rules, facts) = self.read_request(head);
        read::request_body_size(rules, facts, head);
        facts
    }

    /// Reads the facts, and leaves a slot for the bytes of the request body that are read.
    pub(crate) fn count_request_body(&mut self, head: &mut request::Parts) {
        self.read_body_size(head);
        read::count_request_body(self.read_request(head).1, head);
    }

    /// Returns the facts of the exchange, if an observer has read them.
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }

    /// Returns true if the filter lets this exchange be recorded.
    pub fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// Returns the time at which the exchange began.
    pub fn started_at(&self) -> SystemTime {
        self.started_at.unwrap_or_else(|| SystemTime::now() - self.started.elapsed())
    }

    /// Reads the wall clock once, for the start of a span.
    pub(crate) fn read_clock(&mut self) -> SystemTime {
        let started_at = self.started_at();
        *self.started_at.insert(started_at)
    }

    /// Returns the duration of the exchange. It is zero until the exchange has ended.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed)
    }

    /// Returns the bytes of the response body that were delivered. `None` if the exchange ended at the
    /// response head.
    pub fn response_body_size(&self) -> Option<u64> {
        self.counts_delivery.then_some(self.delivered)
    }

    /// Returns the time at which the exchange ended.
    pub(crate) fn ended_at(&self) -> SystemTime {
        self.started_at.map_or_else(SystemTime::now, |started_at| started_at + self.elapsed())
    }

    /// Measures the time to the first byte of this exchange: see
    /// [`time_to_first_byte`](Self::time_to_first_byte). Call it in
    /// [`on_request`](super::Observer::on_request).
    pub fn measure_first_byte(&mut self) {
        self.first_byte = AWAITED;
    }

    /// Returns the time from the request to the first byte of the response body, or to the response
    /// head if the response is complete and its body is empty.
    ///
    /// `None` if there was no response, if it ended before the first byte of its body, or if no
    /// observer called [`measure_first_byte`](Self::measure_first_byte).
    pub fn time_to_first_byte(&self) -> Option<Duration> {
        (self.first_byte < AWAITED).then(|| Duration::from_nanos(self.first_byte))
    }

    /// Runs `f` with the span of the exchange, if its context has one.
    #[inline]
    pub(crate) fn with_span<T>(&self, f: impl FnOnce(SpanRef<'_>) -> T) -> Option<T> {
        self.context.as_ref().map(|context| f(context.span()))
    }

    /// Claims a signal of this exchange. Returns false if an outer layer records it already.
    pub(crate) fn claim(&mut self, signal: Claim) -> bool {
        self.claims.claim(signal)
    }

    /// Takes a claim back, because no provider records the signal.
    pub(crate) fn release(&mut self, signal: Claim) {
        self.claims.release(signal);
    }

    /// Passes the claims to the inner layers.
    #[inline]
    pub(super) fn leave_claims(&self, extensions: &mut Extensions) {
        self.claims.leave(extensions, self.side());
    }

    /// Makes the context current, if an observer has set one.
    #[inline]
    pub(super) fn attach(&self) -> Option<ContextGuard> {
        self.context.as_ref().filter(|_| self.attaches).map(|context| context.clone().attach())
    }

    pub(super) fn respond(&mut self, head: &response::Parts, exact: Option<u64>) {
        if let Some(facts) = &mut self.facts {
            read::response(&self.rules, facts, head);
        }
        let is_event_stream = |value: &HeaderValue| {
            let value = value.as_bytes();
            value.get(..EVENT_STREAM.len()).is_some_and(|v| v.eq_ignore_ascii_case(EVENT_STREAM))
        };
        if self.first_byte == AWAITED {
            self.first_byte = self.nanoseconds();
        }
        self.announced = read::announced_length(&head.headers).or(exact).unwrap_or(UNKNOWN);
        self.counts_delivery = !self.ends_at_head && !self.is_upgrade(head.status);
        self.is_event_stream = head.headers.get(header::CONTENT_TYPE).is_some_and(is_event_stream);
    }

    /// Returns true if the exchange ends with the response head.
    pub(super) fn ends_with(&self, status: StatusCode) -> bool {
        self.ends_at_head && !self.awaits_status()
            || self.method == KnownMethod::Head
            || self.is_upgrade(status)
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    #[inline]
    pub(super) fn deliver(&mut self, bytes: usize) {
        if self.first_byte != UNKNOWN && self.delivered == 0 && bytes > 0 {
            self.first_byte = self.nanoseconds();
        }
        self.delivered = self.delivered.saturating_add(bytes as u64);
    }

    /// Returns the end of an exchange that is dropped: complete if there was nothing left to deliver, or
    /// if its stream is endless.
    pub(super) fn dropped(&self) -> End<'static> {
        // A server's connection stops polling the body once it has written what was announced.
        let is_delivered = self.response_body_size() == Some(self.announced);
        match (is_delivered || self.is_event_stream) && !self.awaits_status() {
            true => End::Complete { trailers: None },
            false => End::Dropped,
        }
    }

    pub(super) fn end(&mut self, end: &End<'_>) {
        self.elapsed = self.nanoseconds();
        // The head is not the first byte of a body that was to follow, nor that of events.
        let is_complete = matches!(end, End::Complete { .. }) && !self.is_event_stream;
        if self.first_byte != UNKNOWN && self.delivered == 0 && !is_complete {
            self.first_byte = AWAITED;
        }
        if let Some(facts) = &mut self.facts {
            read::end(&self.rules, facts, end, Duration::from_nanos(self.elapsed));
        }
    }

    fn nanoseconds(&self) -> u64 {
        // 64 bits are enough for 584 years.
        self.started.elapsed().as_nanos() as u64
    }

    /// Counts this attempt of a client's call, for `http.request.resend_count`.
    fn count_attempt(&mut self, facts: &mut Facts) {
        if self.side() == Side::Server {
            return;
        }
        let is_nested = self.claims.is_nested();
        let counted = self.with_context(|context| AttemptCount::count(context, is_nested));
        let Some((before, context)) = counted else { return };
        facts.set_resend_count(before);
        if let Some(context) = context {
            self.set_context(context);
        }
    }

    /// A gRPC call is not over before its trailers, even if the response has no body for HTTP.
    fn awaits_status(&self) -> bool {
        self.facts.as_ref().is_some_and(Facts::awaits_status)
    }

    fn is_upgrade(&self, status: StatusCode) -> bool {
        let is_connect = self.method == KnownMethod::Connect;
        status == StatusCode::SWITCHING_PROTOCOLS || is_connect && status.is_success()
    }

    /// Returns the handler labels of an outer layer, or new ones.
    fn handler_labels(&mut self, facts: &Facts) -> Labels {
        let context = self.context();
        if let Some(outer) = Labels::of(&context).filter(|_| self.claims.is_nested()) {
            return emit::with_route(&self.rules, outer, facts);
        }
        let labels = emit::handler_labels(&self.rules, facts);
        self.set_context(context.with_value(labels.clone()));
        labels
    }
}

/// A method that decides when an exchange ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum KnownMethod {
    Head,
    Connect,
    Other,
}

impl KnownMethod {
    fn of(method: &Method) -> Self {
        match *method {
            Method::HEAD => Self::Head,
            Method::CONNECT => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// No announced length, or no time: more than is ever delivered or measured. An `Option` would need twice the space.
const UNKNOWN: u64 = u64::MAX;

/// No time yet: longer than any exchange takes.
const AWAITED: u64 = UNKNOWN - 1;

const EVENT_STREAM: &[u8] = b"text/event-stream";
