//! Samplers for daily work: a limit of traces per second, and rules by path.
//!
//! They are samplers of the SDK ([`ShouldSample`]) for
//! [`TelemetryBuilder::with_sampler`](crate::setup::TelemetryBuilder::with_sampler) or for a tracer
//! provider of your own. They decide on each span that is given to them. Wrapped in
//! [`Sampler::parent_based`], they decide on traces that begin here, and follow the caller's decision
//! on all others, so that no trace has gaps.
//!
//! ```
//! use tower_telemetry::{
//!     Telemetry,
//!     opentelemetry_sdk::trace::Sampler,
//!     sampling::{RateLimitedSampler, RuleSampler},
//! };
//!
//! let rules = RuleSampler::new(Sampler::TraceIdRatioBased(0.1))
//!     .never("/healthz")
//!     .always("POST /checkout")
//!     .ratio("/search/{*query}", 0.01)
//!     .rule("/reports/{id}", RateLimitedSampler::new(5.0));
//! Telemetry::builder().with_sampler(Sampler::parent_based(rules))
//! # ;
//! ```
//!
//! # Callers
//!
//! A caller chooses the path and, with a parent-based sampler, whether its traces are sampled. A service
//! that strangers can reach decides by itself with
//! [`Convention::with_public_endpoint`](crate::Convention::with_public_endpoint), and limits rules that
//! always sample by a [`RateLimitedSampler`].
//!
//! # Metrics
//!
//! They count all requests, whatever a sampler decides. Exemplars lead to sampled traces only.
//!
//! [`ShouldSample`]: opentelemetry_sdk::trace::ShouldSample
//! [`Sampler::parent_based`]: opentelemetry_sdk::trace::Sampler::parent_based

mod path_pattern;
mod rate_limited_sampler;
mod rule_sampler;
mod token_bucket;

pub use self::{rate_limited_sampler::RateLimitedSampler, rule_sampler::RuleSampler};
