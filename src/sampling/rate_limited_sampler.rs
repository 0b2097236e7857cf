//! A limit of spans per second.

use std::sync::Arc;

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceId},
};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

use super::token_bucket::TokenBucket;

/// Samples at most a number of spans per second, whatever the load.
///
/// A share of the traces (`TraceIdRatioBased`) is too much at the peak and too little at night. This
/// sampler bounds the cost instead: unused permission adds up to one second's worth, or to
/// [`with_burst`](Self::with_burst). It counts the spans that it decides on, so wrap it in
/// [`Sampler::parent_based`]: then these are traces that begin here.
///
/// ```
/// use tower_telemetry::{Telemetry, opentelemetry_sdk::trace::Sampler, sampling::RateLimitedSampler};
///
/// Telemetry::builder().with_sampler(Sampler::parent_based(RateLimitedSampler::new(20.0)))
/// # ;
/// ```
///
/// Clones share the limit. The limit is that of one process: ten replicas sample ten times as much. A
/// decision is not a function of the trace's id, so two services that decide apart from each other do
/// not sample the same traces; a caller decides for all of them with parent-based samplers.
///
/// A decision takes a read of the clock and one atomic exchange, no lock and no allocation. The trace
/// state of the parent is kept.
#[derive(Debug, Clone)]
pub struct RateLimitedSampler {
    per_second: f64,
    bucket: Arc<TokenBucket>,
}

impl RateLimitedSampler {
    /// Samples at most `per_second` spans in a second. `0.2` is one in five seconds. Zero, a negative
    /// number and NaN sample nothing.
    pub fn new(per_second: f64) -> Self {
        // The conversion saturates, and makes 0 of NaN.
        let burst = per_second.ceil().max(1.0) as u32;
        Self { per_second, bucket: Arc::new(TokenBucket::new(per_second, burst)) }
    }

    /// Samples at most `spans` at once after a pause, at least one. Default: one second's worth.
    ///
    /// The sampler starts anew, and no longer shares the limit of its clones.
    #[must_use]
    pub fn with_burst(self, spans: u32) -> Self {
        Self { bucket: Arc::new(TokenBucket::new(self.per_second, spans.max(1))), ..self }
    }
}

impl ShouldSample for RateLimitedSampler {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampler = if self.bucket.take() { Sampler::AlwaysOn } else { Sampler::AlwaysOff };
        sampler.should_sample(parent_context, trace_id, name, span_kind, attributes, links)
    }
}
