//! The description of some work.

use std::{borrow::Cow, fmt, future::Future};

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanBuilder, SpanKind, TraceContextExt, Tracer, TracerProvider},
};

use super::{message_headers::context_of, working::Working};
use crate::providers::Tracers;

/// Work that no request waits for. See the [module](super).
#[must_use = "nothing is recorded until it runs"]
pub struct Work {
    name: Cow<'static, str>,
    kind: SpanKind,
    parent: Context,
    links: Vec<Link>,
    attributes: Vec<KeyValue>,
    tracers: Tracers,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("name", &self.name).field("kind", &self.kind).finish()
    }
}

impl Work {
    /// Describes a job, which has a trace of its own.
    pub fn job(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name.into(), SpanKind::Internal, Context::new())
    }

    /// Describes a task, which is a child of the span that is current now.
    pub fn task(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name.into(), SpanKind::Internal, Context::current())
    }

    /// Describes the sending of a message to a queue or topic. [`context_headers`](super::context_headers) returns the
    /// headers within it.
    pub fn send(destination: &str) -> Self {
        Self::message("send", destination, SpanKind::Producer, Context::current())
    }

    /// Describes the processing of a message, or of a batch, from a queue or topic.
    pub fn process(destination: &str) -> Self {
        Self::message("process", destination, SpanKind::Consumer, Context::new())
    }

    /// Continues the trace of a message, which its headers name. Names are compared in any case.
    ///
    /// Without a valid context in the headers, the work has a trace of its own.
    pub fn child_of<K, V>(mut self, headers: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<[u8]>,
    {
        self.parent = context_of(headers);
        self
    }

    /// Links to the trace of a message, which its headers name. A second call adds another link; the SDK drops
    /// those beyond `OTEL_SPAN_LINK_COUNT_LIMIT`.
    pub fn linked_to<K, V>(mut self, headers: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<[u8]>,
    {
        let sender = context_of(headers);
        let sender = sender.span().span_context().clone();
        if sender.is_valid() {
            self.links.push(Link::new(sender, Vec::new(), 0));
        }
        self
    }

    /// Sets `messaging.system`, such as `kafka`, `nats`, `rabbitmq`, `aws_sqs` or `gcp_pubsub`.
    pub fn with_system(self, system: &'static str) -> Self {
        self.with_attribute(KeyValue::new("messaging.system", system))
    }

    /// Adds an attribute, which a sampler sees.
    pub fn with_attribute(mut self, attribute: KeyValue) -> Self {
        self.attributes.push(attribute);
        self
    }

    /// Uses this provider. Default: the global one.
    pub fn with_tracer_provider<P>(mut self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
    {
        self.tracers = Tracers::of(provider);
        self
    }

    /// Runs a future within the span. The span begins now, and not at the first poll.
    pub fn run<F: Future>(self, future: F) -> Working<F> {
        Working::new(self.start(), future, |_| None)
    }

    /// Runs a future within the span, whose status is an error if the future returns one.
    ///
    /// `error.type` is the name of the error's type.
    pub fn try_run<F, T, E>(self, future: F) -> Working<F>
    where
        F: Future<Output = Result<T, E>>,
    {
        Working::new(self.start(), future, |output| {
            output.as_ref().err().map(|_| std::any::type_name::<E>())
        })
    }

    /// Returns the context with the span, which has begun.
    fn start(self) -> Context {
        let Self { name, kind, parent, links, attributes, tracers } = self;
        let span = SpanBuilder::from_name(name)
            .with_kind(kind)
            .with_links(links)
            .with_attributes(attributes);
        tracers.start(span, &parent, &parent).context
    }

    fn message(
        operation: &'static str,
        destination: &str,
        kind: SpanKind,
        parent: Context,
    ) -> Self {
        let work = Self::new(format!("{operation} {destination}").into(), kind, parent);
        work.with_attribute(KeyValue::new("messaging.operation.name", operation))
            .with_attribute(KeyValue::new("messaging.operation.type", operation))
            .with_attribute(KeyValue::new("messaging.destination.name", destination.to_owned()))
    }

    fn new(name: Cow<'static, str>, kind: SpanKind, parent: Context) -> Self {
        Self {
            name,
            kind,
            parent,
            links: Vec::new(),
            attributes: Vec::new(),
            tracers: Tracers::default(),
        }
    }
}
