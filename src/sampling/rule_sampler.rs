//! Rules by method and path.

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{Link, SpanKind, TraceId},
};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

use super::path_pattern::PathPattern;
use crate::convention::names;

/// Decides by the path of a request: never the health checks, always the checkout, a share of the rest.
///
/// The first rule that matches decides. A server span without a matching rule, and every span that is
/// not a server's, is left to the sampler of [`new`](Self::new).
///
/// # Patterns
///
/// | pattern | matches |
/// |---|---|
/// | `/healthz` | this path, any method |
/// | `POST /checkout` | this method only |
/// | `/orders/{id}` | any one segment in the place of `{id}` |
/// | `/static/{*path}` | everything below `/static/` |
/// | `/shop.v1.Orders/{method}` | the calls of a gRPC service |
///
/// They are compared with the route that the router has found, and with the path of the request as it
/// was sent: without the query, not decoded, and with its trailing slash.
///
/// # Known attributes
///
/// A sampler sees what is known when the span begins, not the status and not the duration.
///
/// | attribute of a [`SpanLayer`](crate::SpanLayer) | when it is known |
/// |---|---|
/// | `http.request.method`, `url.path` | always, except for gRPC |
/// | `http.route` | if the layer is inside of axum's router (`Router::layer`, feature `axum`), or the convention has a function for it |
/// | the name of the span | with gRPC it is `{service}/{method}`, unless a hook names it |
///
/// So a pattern such as `/orders/{id}` works for a layer at either place. Spans of other crates are
/// matched by the same attributes, and by `rpc.method`.
///
/// # Example
///
/// ```
/// use tower_telemetry::{
///     Telemetry,
///     opentelemetry_sdk::trace::Sampler,
///     sampling::{RateLimitedSampler, RuleSampler},
/// };
///
/// let rules = RuleSampler::new(RateLimitedSampler::new(10.0))
///     .never("/healthz")
///     .always("/checkout");
/// Telemetry::builder().with_sampler(Sampler::parent_based(rules))
/// # ;
/// ```
///
/// To have neither spans nor metrics of some requests, use a filter of the layer
/// ([`filter`](crate::filter)) instead.
#[derive(Debug, Clone)]
pub struct RuleSampler {
    rules: Vec<Rule>,
    rest: Box<dyn ShouldSample>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: PathPattern,
    sampler: Box<dyn ShouldSample>,
}

impl RuleSampler {
    /// Creates a sampler without rules: `rest` decides on every span.
    pub fn new(rest: impl ShouldSample + 'static) -> Self {
        Self { rules: Vec::new(), rest: Box::new(rest) }
    }

    /// Never samples these requests.
    ///
    /// # Panics
    ///
    /// If the pattern is invalid.
    #[must_use]
    pub fn never(self, pattern: &str) -> Self {
        self.rule(pattern, Sampler::AlwaysOff)
    }

    /// Always samples these requests.
    ///
    /// # Panics
    ///
    /// If the pattern is invalid.
    #[must_use]
    pub fn always(self, pattern: &str) -> Self {
        self.rule(pattern, Sampler::AlwaysOn)
    }

    /// Samples a share of these requests, from 0 to 1, by the id of the trace.
    ///
    /// # Panics
    ///
    /// If the pattern is invalid.
    #[must_use]
    pub fn ratio(self, pattern: &str, share: f64) -> Self {
        self.rule(pattern, Sampler::TraceIdRatioBased(share))
    }

    /// Lets another sampler decide on these requests.
    ///
    /// # Panics
    ///
    /// If the pattern is invalid: it does not begin with `/`, the method before it is not in capitals,
    /// or a `{*name}` is not its last segment.
    #[must_use]
    pub fn rule(mut self, pattern: &str, sampler: impl ShouldSample + 'static) -> Self {
        let pattern = match PathPattern::parse(pattern) {
            Ok(pattern) => pattern,
            Err(reason) => panic!("{reason}"),
        };
        self.rules.push(Rule { pattern, sampler: Box::new(sampler) });
        self
    }

    fn sampler(&self, name: &str, attributes: &[KeyValue]) -> &dyn ShouldSample {
        let text = |key: &str| text(attributes, key);
        let method = text(names::HTTP_REQUEST_METHOD);
        let of_call;
        let path = match text(names::RPC_SYSTEM_NAME) {
            Some(_) => {
                let call = text(names::RPC_METHOD).unwrap_or(name);
                of_call = format!("/{}", call.trim_start_matches('/'));
                Some(of_call.as_str())
            }
            None => text(names::URL_PATH),
        };
        let paths = [text(names::HTTP_ROUTE), path];
        let matches =
            |rule: &&Rule| paths.iter().flatten().any(|path| rule.pattern.matches(method, path));
        self.rules.iter().find(matches).map_or(&*self.rest, |rule| &*rule.sampler)
    }
}

impl ShouldSample for RuleSampler {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampler = match span_kind {
            SpanKind::Server => self.sampler(name, attributes),
            _ => &*self.rest,
        };
        sampler.should_sample(parent_context, trace_id, name, span_kind, attributes, links)
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let attribute = attributes.iter().find(|attribute| attribute.key.as_str() == key)?;
    match &attribute.value {
        Value::String(text) => Some(text.as_str()),
        _ => None,
    }
}
