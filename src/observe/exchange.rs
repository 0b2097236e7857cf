//! What the observers of one pass share.

use std::time::{Duration, Instant, SystemTime};

use http::{Extensions, HeaderValue, Method, StatusCode, header, request, response};
use opentelemetry::{
    Context, ContextGuard,
    trace::{SpanRef, TraceContextExt},
};

use super::{Attempts, Signal, once::Claims};
use crate::{
    convention::{Convention, Facts, Labels, Side, announced_length},
    end::End,
};

/// One request and its response, from the moment the request enters to the end of the response
/// body.
///
/// It is owned by the engine, never by the request: a retry clones a request's extensions, and
/// would time the wrong attempt.
#[derive(Debug)]
pub struct Exchange {
    convention: Convention,
    context: Option<Context>,
    facts: Option<Facts>,
    started_at: Option<SystemTime>,
    started: Instant,
    elapsed: Duration,
    is_recorded: bool,
    ends_at_head: bool,
    is_head_request: bool,
    is_connect: bool,
    is_event_stream: bool,
    /// Not where it ends at the head, nor after an upgrade.
    counts_delivery: bool,
    claims: Claims,
    /// How much of the response body was delivered.
    delivered: u64,
    /// Of how much, or [`UNKNOWN`].
    announced: u64,
}

impl Exchange {
    #[inline]
    pub(super) fn begin(convention: &Convention, head: &request::Parts, reads_clock: bool) -> Self {
        let convention = convention.clone();
        let is_recorded = convention.records(head);
        let claims = Claims::met(&head.extensions, convention.side());
        Self {
            context: None,
            facts: None,
            started_at: (is_recorded && reads_clock).then(SystemTime::now),
            started: Instant::now(),
            elapsed: Duration::ZERO,
            is_recorded,
            ends_at_head: is_recorded && convention.ends_at_head(head),
            is_head_request: head.method == Method::HEAD,
            is_connect: head.method == Method::CONNECT,
            claims,
            is_event_stream: false,
            counts_delivery: false,
            delivered: 0,
            announced: UNKNOWN,
            convention,
        }
    }

    /// The convention of the layer.
    pub fn convention(&self) -> &Convention {
        &self.convention
    }

    /// The context that the service, its future and its response body run under.
    pub fn context(&self) -> Context {
        self.context.clone().unwrap_or_else(Context::current)
    }

    /// Runs `f` with the context. What it calls may attach another one, so the current one is not
    /// borrowed for it.
    pub(crate) fn with_context<T>(&self, f: impl FnOnce(&Context) -> T) -> T {
        match &self.context {
            Some(context) => f(context),
            None => f(&Context::current()),
        }
    }

    /// Replaces the context that the service, its future and its response body run under.
    pub fn set_context(&mut self, context: Context) {
        self.context = Some(context);
    }

    /// Reads the facts of the request, if no observer of this pass has yet.
    pub fn read_facts(&mut self, head: &mut request::Parts) -> &Facts {
        self.read_body_size(head)
    }

    /// Reads the facts that all signals share.
    pub(crate) fn read_request(&mut self, head: &mut request::Parts) -> (&Convention, &mut Facts) {
        if self.facts.is_none() {
            let mut facts = self.convention.read_request(head, self.claims.is_nested());
            if self.convention.has_handler_labels() {
                facts.set_handler_labels(self.handler_labels());
            }
            self.facts = Some(facts);
        }
        (&self.convention, self.facts.as_mut().expect("the facts were read a line above"))
    }

    /// Reads the length of the request's body.
    pub(crate) fn read_body_size(&mut self, head: &mut request::Parts) -> &Facts {
        let (convention, facts) = self.read_request(head);
        convention.read_body_size(facts, head);
        facts
    }

    /// What is known of the exchange, if an observer has asked for it.
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }

    /// Whether the convention's filter lets this exchange be recorded.
    pub fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// When the exchange began.
    pub fn started_at(&self) -> SystemTime {
        self.started_at.unwrap_or_else(|| SystemTime::now() - self.started.elapsed())
    }

    /// Reads the system's clock, for whom the stopwatch won't do.
    pub(crate) fn read_clock(&mut self) -> SystemTime {
        let started_at = self.started_at();
        *self.started_at.insert(started_at)
    }

    /// How long the exchange lasted; zero until it has ended.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// How many bytes of the response body were delivered, where the exchange reached to the end
    /// of the body.
    pub fn response_body_size(&self) -> Option<u64> {
        self.counts_delivery.then_some(self.delivered)
    }

    /// Counts this attempt among those of its call, for the span that tells of it.
    pub(crate) fn count_attempt(&mut self) {
        if self.convention.side() == Side::Client
            && let Some((before, context)) = self.with_context(Attempts::count)
            && let Some(facts) = &mut self.facts
        {
            facts.set_resend_count(before);
            self.context = Some(context);
        }
    }

    /// Runs `f` with the span of the exchange, if its context has one.
    pub(crate) fn with_span(&self, f: impl FnOnce(SpanRef<'_>)) {
        if let Some(context) = &self.context {
            f(context.span());
        }
    }

    /// Claims a signal of this request: `false` where a layer around this one records it already.
    pub(crate) fn claim(&mut self, signal: Signal) -> bool {
        self.claims.claim(signal)
    }

    /// Takes a claim back, for there is nobody who records.
    pub(crate) fn release(&mut self, signal: Signal) {
        self.claims.release(signal);
    }

    /// Leaves word for the layers further in.
    #[inline]
    pub(super) fn mark(&self, extensions: &mut Extensions) {
        self.claims.leave(extensions, self.convention.side());
    }

    /// Makes the context current, where the observers set one.
    #[inline]
    pub(super) fn attach(&self) -> Option<ContextGuard> {
        self.context.clone().map(Context::attach)
    }

    pub(super) fn respond(&mut self, head: &response::Parts, exact: Option<u64>) {
        if let Some(facts) = &mut self.facts {
            self.convention.read_response(facts, head);
        }
        let is_event_stream = |value: &HeaderValue| {
            let value = value.as_bytes();
            value.get(..EVENT_STREAM.len()).is_some_and(|v| v.eq_ignore_ascii_case(EVENT_STREAM))
        };
        self.announced = announced_length(&head.headers).or(exact).unwrap_or(UNKNOWN);
        self.counts_delivery = !self.ends_at_head && !self.is_upgrade(head.status);
        self.is_event_stream = head.headers.get(header::CONTENT_TYPE).is_some_and(is_event_stream);
    }

    /// Whether nothing of this exchange is left once the response head is there.
    pub(super) fn ends_with(&self, status: StatusCode) -> bool {
        self.ends_at_head && !self.awaits_status()
            || self.is_head_request
            || self.is_upgrade(status)
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    #[inline]
    pub(super) fn deliver(&mut self, bytes: usize) {
        self.delivered = self.delivered.saturating_add(bytes as u64);
    }

    /// The end of an exchange that is dropped: complete, if there was nothing left to deliver, or
    /// if it had no end of its own.
    pub(super) fn dropped(&self) -> End<'static> {
        // A server's connection stops polling the body once it has written what was announced.
        let is_delivered = self.response_body_size() == Some(self.announced);
        match (is_delivered || self.is_event_stream) && !self.awaits_status() {
            true => End::Complete { trailers: None },
            false => End::Dropped,
        }
    }

    pub(super) fn end(&mut self, end: &End<'_>) {
        self.elapsed = self.started.elapsed();
        if let Some(facts) = &mut self.facts {
            self.convention.read_end(facts, end, self.elapsed);
        }
    }

    /// A gRPC call is not over before its trailers, whatever HTTP says.
    fn awaits_status(&self) -> bool {
        self.facts.as_ref().is_some_and(Facts::awaits_status)
    }

    fn is_upgrade(&self, status: StatusCode) -> bool {
        status == StatusCode::SWITCHING_PROTOCOLS || self.is_connect && status.is_success()
    }

    /// The labels of this request: those of a layer around this one, or new ones.
    fn handler_labels(&mut self) -> Labels {
        let context = self.context();
        let outer = Labels::of(&context).filter(|_| self.claims.is_nested());
        outer.unwrap_or_else(|| {
            let labels = Labels::default();
            self.context = Some(context.with_value(labels.clone()));
            labels
        })
    }
}

/// A length that was not announced: more than was ever delivered. An `Option` is twice as long.
const UNKNOWN: u64 = u64::MAX;

const EVENT_STREAM: &[u8] = b"text/event-stream";
