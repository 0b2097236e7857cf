//! The gRPC methods that a server is known to have.

use std::sync::Arc;

use super::interner::Interner;

/// The methods that have answered, by their path.
#[derive(Debug)]
pub(crate) struct RpcMethods {
    answered: Interner,
    failed: Interner,
}

impl RpcMethods {
    /// Records an answer that only the method itself can have given.
    pub(crate) fn answered(&self, path: &str) -> Option<Arc<str>> {
        self.answered.insert(path)
    }

    /// Records a failure. An interceptor or a limiter in front of the router may have answered for a
    /// path that a caller invented, so few of these methods become known.
    pub(crate) fn failed(&self, path: &str) -> Option<Arc<str>> {
        self.answered.get(path).or_else(|| self.failed.insert(path))
    }

    pub(crate) fn known(&self, path: &str) -> Option<Arc<str>> {
        self.answered.get(path).or_else(|| self.failed.get(path))
    }
}

impl Default for RpcMethods {
    fn default() -> Self {
        Self { answered: Interner::new(MAX_ANSWERED), failed: Interner::new(MAX_FAILED) }
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
