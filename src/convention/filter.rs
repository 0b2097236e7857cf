//! Ready-made filters, for [`Convention::with_filter`](crate::Convention::with_filter).
//!
//! # Example
//!
//! ```
//! use tower_telemetry::{Convention, filter};
//!
//! let convention = Convention::server().with_filter(filter::no_grpc_probes);
//! ```

use http::request;

/// Leaves out gRPC health checks (`grpc.health.v1.Health`).
pub fn no_grpc_health(head: &request::Parts) -> bool {
    !head.uri.path().starts_with("/grpc.health.")
}

/// Leaves out gRPC server reflection (`grpc.reflection.v1.ServerReflection` and its predecessor).
pub fn no_grpc_reflection(head: &request::Parts) -> bool {
    !head.uri.path().starts_with("/grpc.reflection.")
}

/// Leaves out both health checks and reflection.
pub fn no_grpc_probes(head: &request::Parts) -> bool {
    no_grpc_health(head) && no_grpc_reflection(head)
}
