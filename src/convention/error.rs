//! `error.type`: the kind of an error, of low cardinality. Never its message.

use std::{any::Any, error::Error, io};

use opentelemetry::StringValue;

use super::{Convention, names};
use crate::end::Failure;

type BoxError = Box<dyn Error + Send + Sync>;

/// Sees a value of any type as the error that it is.
pub(super) type DowncastFn =
    for<'a> fn(&'a (dyn Any + 'static)) -> Option<&'a (dyn Error + 'static)>;

/// Sees `error` as an `E`, for types that no list of ours can know.
pub(super) fn downcast<'a, E: Error + 'static>(
    error: &'a (dyn Any + 'static),
) -> Option<&'a (dyn Error + 'static)> {
    error.downcast_ref::<E>().map(|error| error as _)
}

impl Convention {
    /// The `error.type` of a failure: the user's word, else the innermost kind that is known in
    /// the chain of sources, else the name of the error's type.
    pub(crate) fn error_type(&self, failure: Failure<'_>) -> StringValue {
        let Some(error) = self.as_error(failure.error()) else {
            return failure.type_name().into();
        };
        if let Some(kind) = self.settings().error_type.as_ref().and_then(|hook| hook(error)) {
            return kind.into();
        }
        match self.kind_of(failure) {
            Some(kind) => kind.into(),
            // The name of the box would say nothing of what is in it.
            None if is_boxed(failure.error()) => names::OTHER.into(),
            None => failure.type_name().into(),
        }
    }

    /// The kind of a failure, where one is known in the chain of sources.
    pub(super) fn kind_of(&self, failure: Failure<'_>) -> Option<&'static str> {
        let kinds = || self.sources(failure).filter_map(kind);
        let specific = kinds().filter(|kind| !GENERIC.contains(kind)).last();
        specific.or_else(|| kinds().last())
    }

    /// Whether the failure is that there is no connection, whatever the reason.
    pub(super) fn is_connecting(&self, failure: Failure<'_>) -> bool {
        self.sources(failure).filter_map(kind).any(|kind| matches!(kind, "connect" | "dns"))
    }

    /// The first error of type `E` in the chain of sources.
    #[cfg(feature = "tonic")]
    pub(super) fn find_source<'a, E: Error + 'static>(
        &self,
        failure: Failure<'a>,
    ) -> Option<&'a E> {
        self.sources(failure).find_map(|error| error.downcast_ref())
    }

    /// The error and its sources, from the outside in.
    fn sources<'a>(
        &self,
        failure: Failure<'a>,
    ) -> impl Iterator<Item = &'a (dyn Error + 'static)> + use<'a> {
        self.as_error(failure.error()).into_iter().flat_map(chain)
    }

    /// A service's error is of any type; this is how it becomes one with a chain of sources.
    fn as_error<'a>(&self, error: &'a (dyn Any + 'static)) -> Option<&'a (dyn Error + 'static)> {
        if let Some(boxed) = error.downcast_ref::<BoxError>() {
            return Some(&**boxed);
        }
        if let Some(boxed) = error.downcast_ref::<Box<dyn Error + Send>>() {
            return Some(&**boxed);
        }
        if let Some(boxed) = error.downcast_ref::<Box<dyn Error>>() {
            return Some(&**boxed);
        }
        KNOWN_TYPES.iter().chain(&self.settings().error_types).find_map(|downcast| downcast(error))
    }
}

/// Kinds that only say at what something failed; one that says how is better, wherever it stands.
const GENERIC: [&str; 4] = ["connect", "request", "body", "decode"];

/// The types that services of the ecosystem fail with, where their chain of sources says more.
const KNOWN_TYPES: &[DowncastFn] = &[
    downcast::<io::Error>,
    #[cfg(feature = "axum")]
    downcast::<axum::Error>,
    #[cfg(feature = "hyper")]
    downcast::<hyper::Error>,
    #[cfg(feature = "hyper")]
    downcast::<hyper_util::client::legacy::Error>,
    #[cfg(feature = "reqwest")]
    downcast::<reqwest::Error>,
    #[cfg(feature = "reqwest-middleware")]
    downcast::<reqwest_middleware::Error>,
    #[cfg(feature = "tonic")]
    downcast::<tonic::Status>,
    #[cfg(feature = "tonic")]
    downcast::<tonic::transport::Error>,
    #[cfg(feature = "tower")]
    downcast::<tower::timeout::error::Elapsed>,
    #[cfg(feature = "tower")]
    downcast::<tower::load_shed::error::Overloaded>,
];

fn is_boxed(error: &(dyn Any + 'static)) -> bool {
    error.is::<BoxError>() || error.is::<Box<dyn Error + Send>>() || error.is::<Box<dyn Error>>()
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        #[cfg(feature = "reqwest-middleware")]
        match error.downcast_ref::<reqwest_middleware::Error>() {
            // It is transparent: its source is the source of what it wraps.
            Some(reqwest_middleware::Error::Reqwest(wrapped)) => return Some(wrapped as _),
            Some(reqwest_middleware::Error::Middleware(wrapped)) => return Some(&**wrapped as _),
            None => {}
        }
        // `io::Error::source` is the source of what it wraps, and skips what it wraps.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as _),
            None => error.source(),
        }
    })
    // A chain without an end would be an error's bug; it must not become ours.
    .take(32)
}

/// The kind of one error of a chain, where it is known.
fn kind(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return io_kind(error.kind());
    }
    #[cfg(feature = "tower")]
    if error.is::<tower::timeout::error::Elapsed>() {
        return Some("timeout");
    } else if error.is::<tower::load_shed::error::Overloaded>() {
        return Some("overloaded");
    } else if error.is::<tower::buffer::error::Closed>() {
        return Some("closed");
    }
    #[cfg(feature = "reqwest")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return reqwest_kind(error);
    }
    #[cfg(feature = "rustls")]
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(match error {
            rustls::Error::InvalidCertificate(_) => "tls_certificate_invalid",
            _ => "tls",
        });
    }
    #[cfg(feature = "tonic")]
    if error.is::<tonic::TimeoutExpired>() {
        return Some("timeout");
    } else if error.is::<tonic::ConnectError>() {
        return Some("connect");
    }
    #[cfg(feature = "hyper")]
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return hyper_kind(error);
    } else if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return connect_kind(error);
    } else if let Some(error) = error.downcast_ref::<h2::Error>() {
        return h2_kind(error);
    }
    None
}

fn io_kind(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as K;
    Some(match kind {
        K::AddrInUse => "address_in_use",
        K::AddrNotAvailable => "address_not_available",
        K::BrokenPipe => "broken_pipe",
        K::ConnectionAborted => "connection_aborted",
        K::ConnectionRefused => "connection_refused",
        K::ConnectionReset => "connection_reset",
        K::HostUnreachable => "host_unreachable",
        K::NetworkDown => "network_down",
        K::NetworkUnreachable => "network_unreachable",
        K::NotConnected => "not_connected",
        K::PermissionDenied => "permission_denied",
        K::TimedOut => "timeout",
        K::UnexpectedEof => "unexpected_eof",
        _ => return None,
    })
}

#[cfg(feature = "hyper")]
fn hyper_kind(error: &hyper::Error) -> Option<&'static str> {
    Some(if error.is_timeout() {
        "timeout"
    } else if error.is_canceled() {
        "canceled"
    } else if error.is_incomplete_message() {
        "incomplete_message"
    } else if error.is_body_write_aborted() {
        "body_write_aborted"
    } else if error.is_closed() {
        "closed"
    } else if error.is_parse() {
        "invalid_message"
    } else if error.is_user() {
        "user"
    } else {
        return None;
    })
}

#[cfg(feature = "hyper")]
fn connect_kind(error: &hyper_util::client::legacy::Error) -> Option<&'static str> {
    // The connector's own error can't be named, and DNS is known by nothing but its words.
    let is_dns = || error.source().is_some_and(|source| source.to_string() == "dns error");
    error.is_connect().then(|| if is_dns() { "dns" } else { "connect" })
}

#[cfg(feature = "reqwest")]
fn reqwest_kind(error: &reqwest::Error) -> Option<&'static str> {
    Some(if error.is_timeout() {
        "timeout"
    } else if error.is_dns() {
        "dns"
    } else if error.is_redirect() {
        "redirect"
    } else if error.is_builder() {
        "invalid_request"
    } else if error.is_upgrade() {
        "upgrade"
    } else if error.is_connect() {
        "connect"
    } else if error.is_decode() {
        "decode"
    } else if error.is_body() {
        "body"
    } else if error.is_request() {
        "request"
    } else {
        return None;
    })
}

/// The reason that the other side gave for a reset of the stream or the connection (RFC 9113,
/// section 7).
#[cfg(feature = "hyper")]
fn h2_kind(error: &h2::Error) -> Option<&'static str> {
    if let Some(error) = error.get_io() {
        return io_kind(error.kind());
    }
    Some(match error.reason()? {
        h2::Reason::NO_ERROR => "http2_no_error",
        h2::Reason::PROTOCOL_ERROR => "http2_protocol_error",
        h2::Reason::INTERNAL_ERROR => "http2_internal_error",
        h2::Reason::FLOW_CONTROL_ERROR => "http2_flow_control_error",
        h2::Reason::SETTINGS_TIMEOUT => "http2_settings_timeout",
        h2::Reason::STREAM_CLOSED => "http2_stream_closed",
        h2::Reason::FRAME_SIZE_ERROR => "http2_frame_size_error",
        h2::Reason::REFUSED_STREAM => "http2_refused_stream",
        h2::Reason::CANCEL => "http2_cancel",
        h2::Reason::COMPRESSION_ERROR => "http2_compression_error",
        h2::Reason::CONNECT_ERROR => "http2_connect_error",
        h2::Reason::ENHANCE_YOUR_CALM => "http2_enhance_your_calm",
        h2::Reason::INADEQUATE_SECURITY => "http2_inadequate_security",
        h2::Reason::HTTP_1_1_REQUIRED => "http2_http_1_1_required",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Wrapper(Option<Box<dyn Error + Send + Sync>>);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a message with user 4711 in it")
        }
    }

    impl Error for Wrapper {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&**self.0.as_ref()?)
        }
    }

    /// Its own source, for ever.
    #[derive(Debug)]
    struct Endless;

    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("endless")
        }
    }

    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    fn refused() -> io::Error {
        io::ErrorKind::ConnectionRefused.into()
    }

    fn check<E: 'static>(convention: &Convention, error: E, expected: &str) {
        let failure = Failure::new(&error);
        assert_eq!(convention.error_type(failure).as_str(), expected, "{failure:?}");
    }

    #[test]
    fn kinds() {
        let plain = Convention::server();
        let told = Convention::server().with_error::<Wrapper>();
        let hook = Convention::server()
            .with_error::<Wrapper>()
            .with_error_type(|error| error.is::<Wrapper>().then(|| "wrapped".into()));
        let wrapper = "tower_telemetry::convention::error::tests::Wrapper";
        check(&plain, refused(), "connection_refused");
        check(&plain, io::Error::from(io::ErrorKind::TimedOut), "timeout");
        check(&plain, io::Error::other(Wrapper(Some(refused().into()))), "connection_refused");
        check(&plain, io::Error::other("user 4711"), "std::io::error::Error");
        check(&plain, BoxError::from("user 4711"), names::OTHER);
        check(&plain, BoxError::from(Wrapper(Some(refused().into()))), "connection_refused");
        check::<Box<dyn Error + Send>>(&plain, Box::new(refused()), "connection_refused");
        check::<Box<dyn Error>>(&plain, Box::new(refused()), "connection_refused");
        check(&plain, Wrapper(Some(refused().into())), wrapper);
        check(&told, Wrapper(Some(refused().into())), "connection_refused");
        check(&told, Wrapper(None), wrapper);
        check(&hook, Wrapper(Some(refused().into())), "wrapped");
        check(&hook, refused(), "connection_refused");
        check(&plain, String::from("user 4711"), "alloc::string::String");
        check(
            &plain.with_error::<Endless>(),
            Endless,
            "tower_telemetry::convention::error::tests::Endless",
        );
        #[cfg(feature = "tower")]
        {
            let plain = Convention::server();
            check(&plain, BoxError::from(tower::timeout::error::Elapsed::new()), "timeout");
            check(&plain, tower::timeout::error::Elapsed::new(), "timeout");
            check(&plain, BoxError::from(tower::load_shed::error::Overloaded::new()), "overloaded");
        }
    }
}
