//! Spans: `SERVER` around a service that answers, `CLIENT` around one that sends requests.

mod call_span;
mod server_timing;
mod span_layer;
mod start_span;

use std::{borrow::Cow, fmt, sync::Arc};

use http::{request, response};
use opentelemetry::{
    Context, global,
    trace::{Link, SpanBuilder, Status, TraceContextExt},
};

use self::start_span::StartSpan;
pub use self::{
    call_span::{CallSpanLayer, CallSpanObserver},
    span_layer::SpanLayer,
};
use crate::{
    convention::emit::{self, Created},
    end::End,
    observe::{Claim, Contains, Exchange, Observer},
    providers::{Latest, Retry},
    traceparent::RandomTrace,
};

/// The observer of a [`SpanLayer`].
///
/// Its options are methods of [`ObserveLayer`](crate::observe::ObserveLayer).
#[derive(Default)]
pub struct SpanObserver {
    /// The user's tracer. Without it, the global one counts.
    tracer: Option<Arc<dyn StartSpan>>,
    /// The tracer of the global provider that was found last.
    global: Latest<Box<dyn StartSpan>>,
    /// When to ask a tracer again that made no-op spans, and to look for a global provider.
    retry: Retry,
    follows_parent: bool,
    has_random_trace_ids: bool,
}

impl SpanObserver {
    fn start(&self, exchange: &Exchange, builder: SpanBuilder) -> Started {
        let is_public = exchange.rules().options.is_public_endpoint();
        let started = match self.tracer.as_deref().or_else(|| self.known_global()) {
            Some(tracer) => exchange
                .with_context(|cx| self.mark(start(tracer, is_public, builder, cx), cx, is_public)),
            None => {
                let tracer: Box<dyn StartSpan> = Box::new(global::tracer_with_scope(emit::scope()));
                let started = exchange.with_context(|cx| {
                    self.mark(start(&*tracer, is_public, builder, cx), cx, is_public)
                });
                if !started.is_noop {
                    self.global.set(tracer);
                }
                started
            }
        };
        self.retry.answered(started.is_noop);
        started
    }

    /// Marks the trace of a root span as one with a random id, if the user says that all are.
    fn mark(&self, mut started: Started, parent: &Context, is_public: bool) -> Started {
        let is_root = is_public || !parent.span().span_context().is_valid();
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

    /// Returns the global tracer that was found last. `None` if it made only no-op spans lately:
    /// another provider may have replaced its provider.
    fn known_global(&self) -> Option<&dyn StartSpan> {
        if self.retry.gave_up() {
            return None;
        }
        self.global.get().map(|tracer| &**tracer)
    }
}

/// A span that was started.
struct Started {
    context: Context,
    is_recording: bool,
    /// True without a provider, or after its shutdown.
    is_noop: bool,
}

fn start(
    tracer: &dyn StartSpan,
    is_public: bool,
    builder: SpanBuilder,
    context: &Context,
) -> Started {
    let (started, is_recording) = match is_public {
        true => {
            let caller = context.span().span_context().clone();
            let builder = builder.with_links(vec![Link::with_context(caller)]);
            // A root has no parent at all: a sampler would take an invalid parent for one that is not
            // sampled.
            tracer.start(builder, &Context::new(), context)
        }
        false => tracer.start(builder, context, context),
    };
    let (parent, span) = (context.span(), started.span());
    let (parent, span) = (parent.span_context(), span.span_context());
    let is_noop = !span.is_valid() || span.span_id() == parent.span_id();
    Started { context: started, is_recording, is_noop }
}

impl Clone for SpanObserver {
    /// Clones the options. The clone looks for the global provider itself.
    fn clone(&self) -> Self {
        let Self { tracer, follows_parent, has_random_trace_ids, .. } = self;
        Self {
            tracer: tracer.clone(),
            follows_parent: *follows_parent,
            has_random_trace_ids: *has_random_trace_ids,
            ..Self::default()
        }
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
        if exchange.is_recorded() && !is_public && self.retry.skips() {
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
        let started_at = exchange.read_clock();
        let (rules, facts) = (exchange.rules(), exchange.facts()?);
        let custom_name = emit::custom_span_name(rules, head);
        let (created, has_custom_name) = (Created::of(facts), custom_name.is_some());
        let mut builder =
            SpanBuilder::from_name(custom_name.unwrap_or_else(|| emit::span_name(facts)))
                .with_kind(emit::span_kind(rules.side()))
                .with_start_time(started_at);
        builder.attributes = Some(emit::request_attributes(rules, facts, head));
        let Started { context, is_recording, is_noop } = self.start(exchange, builder);
        if is_noop {
            exchange.release(Claim::Span);
        }
        if is_noop && !is_public {
            return None;
        }
        exchange.set_context(context);
        Some(SpanState { is_recording, has_custom_name, created })
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
        !self.retry.gave_up() && !self.follows_parent
    }
}

fn is_in_unsampled_trace(context: &Context) -> bool {
    let span = context.span();
    let span = span.span_context();
    span.is_valid() && !span.is_sampled()
}
