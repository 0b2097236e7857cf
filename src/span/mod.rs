//! Spans: `SERVER` around a service that answers, `CLIENT` around one that sends requests.

mod call_span;
mod server_timing;
mod span_layer;

use std::{borrow::Cow, fmt};

use http::{request, response};
use opentelemetry::{
    Context,
    trace::{Link, SpanBuilder, SpanKind, Status, TraceContextExt},
};

pub use self::{
    call_span::{CallSpanLayer, CallSpanObserver},
    span_layer::SpanLayer,
};
use crate::{
    convention::emit::{self, Created},
    end::End,
    observe::{Claim, Contains, Exchange, Observer},
    providers::{Started, Tracers},
    traceparent::RandomTrace,
};

/// The observer of a [`SpanLayer`].
///
/// Its options are methods of [`ObserveLayer`](crate::observe::ObserveLayer).
#[derive(Clone, Default)]
pub struct SpanObserver {
    tracers: Tracers,
    follows_parent: bool,
    has_random_trace_ids: bool,
}

impl SpanObserver {
    /// Starts the span of an exchange whose facts were read.
    #[inline]
    fn begin(
        &self,
        exchange: &mut Exchange,
        head: &request::Parts,
        kind: SpanKind,
    ) -> Option<(Started, SpanState)> {
        let started_at = exchange.read_clock();
        let (rules, facts) = (exchange.rules(), exchange.facts()?);
        let custom_name = emit::custom_span_name(rules, head);
        let (created, has_custom_name) = (Created::of(facts), custom_name.is_some());
        let name = custom_name.unwrap_or_else(|| emit::span_name(facts));
        let mut builder = SpanBuilder::from_name(name).with_kind(kind).with_start_time(started_at);
        builder.attributes = Some(emit::request_attributes(rules, facts, head));
        let is_public = rules.options.is_public_endpoint();
        let started = exchange.with_context(|context| self.start(builder, context, is_public));
        let is_recording = started.is_recording;
        Some((started, SpanState { is_recording, has_custom_name, created }))
    }

    #[inline]
    fn start(&self, builder: SpanBuilder, context: &Context, is_public: bool) -> Started {
        let caller = context.span();
        let caller = caller.span_context();
        let mut started = match is_public {
            true => {
                let builder = builder.with_links(vec![Link::with_context(caller.clone())]);
                // A root has no parent at all: a sampler would take an invalid parent for one that is
                // not sampled.
                self.tracers.start(builder, &Context::new(), context)
            }
            false => self.tracers.start(builder, context, context),
        };
        let is_root = is_public || !caller.is_valid();
        // The user says that the ids of all traces are random.
        if self.has_random_trace_ids && is_root && !started.is_noop {
            let trace_id = started.context.span().span_context().trace_id();
            started.context = started.context.with_value(RandomTrace(trace_id));
        }
        started
    }

    /// Returns true if the parent of an exchange has decided that there is no span.
    fn ignores(&self, exchange: &Exchange) -> bool {
        self.follows_parent && exchange.with_context(is_in_unsampled_trace)
    }
}

impl fmt::Debug for SpanObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanObserver")
            .field("follows_parent", &self.follows_parent)
            .finish_non_exhaustive()
    }
}

impl Contains<Self> for SpanObserver {
    fn observer_mut(&mut self) -> &mut Self {
        self
    }
}

/// The state of a [`SpanObserver`].
#[derive(Debug)]
pub struct SpanState {
    is_recording: bool,
    has_custom_name: bool,
    created: Created,
}

impl Observer for SpanObserver {
    type State = SpanState;

    fn on_request(&self, exchange: &mut Exchange, head: &mut request::Parts) -> Option<SpanState> {
        let is_public = exchange.rules().options.is_public_endpoint();
        if exchange.is_recorded() && !is_public && self.tracers.skips() {
            // No provider here: leave the signal to an inner layer that has one.
            return None;
        }
        if !exchange.claim(Claim::Span) || !exchange.is_recorded() {
            return None;
        }
        // A public endpoint's span is a root, whatever its caller decided.
        if !is_public && self.ignores(exchange) {
            return None;
        }
        exchange.read_request(head);
        let kind = emit::span_kind(exchange.side());
        let (started, state) = self.begin(exchange, head, kind)?;
        if started.is_noop {
            exchange.release(Claim::Span);
        }
        if started.is_noop && !is_public {
            return None;
        }
        exchange.set_context(started.context);
        Some(state)
    }

    fn on_response(&self, exchange: &Exchange, state: &mut SpanState, head: &mut response::Parts) {
        let rules = exchange.rules();
        if rules.options.has_server_timing() {
            server_timing::add(&exchange.context(), &mut head.headers);
        }
        if let Some(facts) = exchange.facts().filter(|_| state.is_recording) {
            let attributes = emit::response_attributes(rules, facts, head);
            if !attributes.is_empty() {
                exchange.with_span(|span| span.set_attributes(attributes));
            }
        }
    }

    fn on_end(&self, exchange: &Exchange, _: &End<'_>, state: SpanState) {
        let Some(facts) = exchange.facts().filter(|_| state.is_recording) else { return };
        exchange.with_span(|span| {
            let name = emit::final_span_name(facts, state.created);
            if let Some(name) = name.filter(|_| !state.has_custom_name) {
                span.update_name(name);
            }
            span.set_attributes(emit::end_attributes(exchange.rules(), facts, state.created));
            if facts.error_type().is_some() {
                let message = facts.error_message().unwrap_or_default().to_owned();
                span.set_status(Status::Error { description: Cow::Owned(message) });
            }
            // The same duration as the metric, even if the wall clock was set in between.
            span.end_with_timestamp(exchange.started_at() + exchange.elapsed());
        });
    }

    fn reads_wall_clock(&self) -> bool {
        // With `with_parent_decision` most exchanges may have no span.
        !self.tracers.gave_up() && !self.follows_parent
    }
}

fn is_in_unsampled_trace(context: &Context) -> bool {
    let span = context.span();
    let span = span.span_context();
    span.is_valid() && !span.is_sampled()
}
