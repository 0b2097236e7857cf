//! The destination of a client's requests, as its options name it.

use std::path::Path;

use http::Uri;
use opentelemetry::StringValue;

/// The destination of a client's requests.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A host and a port. The host of an HTTP request goes before it.
    Host(Uri),
    /// The path of a socket. All requests go there, whatever host they name.
    UnixSocket(StringValue),
}

impl Origin {
    pub(crate) fn unix_socket(path: &Path) -> Self {
        Self::UnixSocket(path.to_string_lossy().into_owned().into())
    }

    /// Returns the URI of a host.
    pub(crate) fn uri(&self) -> Option<&Uri> {
        match self {
            Self::Host(uri) => Some(uri),
            Self::UnixSocket(_) => None,
        }
    }
}
