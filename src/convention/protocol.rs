//! HTTP or gRPC.

/// The rules by which an exchange is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `http.*` spans and metrics.
    Http,
    /// `rpc.*` spans and metrics.
    Grpc,
}
