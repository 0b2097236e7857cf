//! The gRPC methods that a server is known to have.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::interner::Interner;

/// The methods that have answered, by their path.
#[derive(Debug)]
pub(crate) struct RpcMethods {
    answered: Interner,
    failed: Interner,
    is_grpc_server: AtomicBool,
}

impl RpcMethods {
    /// Records that the server has given a gRPC answer.
    pub(crate) fn set_grpc_server(&self) {
        // All threads share the flag, so it is written once.
        if !self.is_grpc_server() {
            self.is_grpc_server.store(true, Ordering::Relaxed);
        }
    }

    /// Returns true if the server has given a gRPC answer before.
    pub(crate) fn is_grpc_server(&self) -> bool {
        self.is_grpc_server.load(Ordering::Relaxed)
    }

    /// Records a successful answer.
    pub(crate) fn answered(&self, path: &str) -> Option<Arc<str>> {
        self.answered.insert(path)
    }

    /// Records a failure. A layer in front of the router may have answered for a path that a caller
    /// invented, so few of these methods become known.
    pub(crate) fn failed(&self, path: &str) -> Option<Arc<str>> {
        self.answered.get(path).or_else(|| self.failed.insert(path))
    }

    pub(crate) fn known(&self, path: &str) -> Option<Arc<str>> {
        self.answered.get(path).or_else(|| self.failed.get(path))
    }
}

impl Default for RpcMethods {
    fn default() -> Self {
        Self {
            answered: Interner::new(MAX_ANSWERED),
            failed: Interner::new(MAX_FAILED),
            is_grpc_server: AtomicBool::new(false),
        }
    }
}

/// The SDK's default limit of series per metric.
const MAX_ANSWERED: usize = 2000;
const MAX_FAILED: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_methods_are_bounded() {
        let methods = RpcMethods::default();
        for i in 0..1000 {
            assert_eq!(methods.failed(&format!("a.B/{i}")).is_some(), i < MAX_FAILED);
        }
        assert!(methods.answered("a.B/Real").is_some());
        assert!(methods.failed("a.B/Real").is_some());
        assert!(methods.known("a.B/Real").is_some());
        assert!(methods.known("a.B/999").is_none());
    }
}
