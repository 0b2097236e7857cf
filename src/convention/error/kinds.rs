//! The error kinds of other crates, and those of the standard library.

use std::{error::Error, fmt, io};

#[cfg(any(feature = "axum", feature = "hyper", feature = "tonic", feature = "tower"))]
use super::chain::downcast;
use super::chain::{DowncastFn, UnwrapFn};

/// Recognises the errors of one crate, and names their kinds for `error.type`.
///
/// The kinds of `std::io::Error` are always recognised. Choose the sets of the crates that your
/// service is made of; see [`SpanLayer`](crate::SpanLayer) for the kinds of each:
///
/// ```
/// # #[cfg(all(feature = "hyper", feature = "tower"))] {
/// use tower_telemetry::{ErrorKinds, TelemetryLayer};
///
/// let layer = TelemetryLayer::client().with_error_kinds([ErrorKinds::HYPER, ErrorKinds::TOWER]);
/// # }
/// ```
///
/// A Cargo feature only makes a set available. It never changes what a layer records, because another
/// crate of the program may have turned it on.
#[derive(Clone, Copy)]
pub struct ErrorKinds {
    name: &'static str,
    /// The types that a service may fail with.
    pub(super) types: &'static [DowncastFn],
    pub(super) kind: fn(&(dyn Error + 'static)) -> Option<&'static str>,
    pub(super) unwrap: Option<UnwrapFn>,
    /// The number of the gRPC status that an error carries.
    pub(super) grpc_status: Option<fn(&(dyn Error + 'static)) -> Option<u8>>,
}

impl ErrorKinds {
    /// The errors of axum (feature `axum`). They have no kinds, only a chain of sources.
    #[cfg(feature = "axum")]
    pub const AXUM: Self = Self::new("axum", &[downcast::<axum::Error>], |_| None);

    /// The errors of hyper, hyper-util and h2 (feature `hyper`).
    #[cfg(feature = "hyper")]
    pub const HYPER: Self = Self::new(
        "hyper",
        &[downcast::<hyper::Error>, downcast::<hyper_util::client::legacy::Error>],
        hyper_kind,
    );

    /// The errors of reqwest (feature `reqwest`).
    #[cfg(feature = "reqwest")]
    pub const REQWEST: Self = Self::new("reqwest", &[downcast::<reqwest::Error>], reqwest_kind);

    /// The errors of reqwest-middleware (feature `reqwest-middleware`). They have no kinds, only a
    /// chain of sources.
    #[cfg(feature = "reqwest-middleware")]
    pub const REQWEST_MIDDLEWARE: Self = Self {
        unwrap: Some(unwrap_middleware),
        ..Self::new("reqwest-middleware", &[downcast::<reqwest_middleware::Error>], |_| None)
    };

    /// The errors of rustls (feature `rustls`).
    #[cfg(feature = "rustls")]
    pub const RUSTLS: Self = Self::new("rustls", &[], |error| {
        Some(match error.downcast_ref()? {
            rustls::Error::InvalidCertificate(_) => "tls_certificate_invalid",
            _ => "tls",
        })
    });

    /// The errors of tonic (feature `tonic`), and the gRPC status that they carry.
    #[cfg(feature = "tonic")]
    pub const TONIC: Self = Self {
        grpc_status: Some(|error| {
            let status = error.downcast_ref::<tonic::Status>()?;
            u8::try_from(i32::from(status.code())).ok()
        }),
        ..Self::new(
            "tonic",
            &[downcast::<tonic::Status>, downcast::<tonic::transport::Error>],
            tonic_kind,
        )
    };

    /// The errors of tower's timeout, load shedding and buffer (feature `tower`).
    #[cfg(feature = "tower")]
    pub const TOWER: Self = Self::new(
        "tower",
        &[
            downcast::<tower::timeout::error::Elapsed>,
            downcast::<tower::load_shed::error::Overloaded>,
        ],
        tower_kind,
    );

    #[cfg(any(
        feature = "axum",
        feature = "hyper",
        feature = "reqwest",
        feature = "rustls",
        feature = "tonic",
        feature = "tower"
    ))]
    const fn new(
        name: &'static str,
        types: &'static [DowncastFn],
        kind: fn(&(dyn Error + 'static)) -> Option<&'static str>,
    ) -> Self {
        Self { name, types, kind, unwrap: None, grpc_status: None }
    }
}

impl fmt::Debug for ErrorKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ErrorKinds").field(&self.name).finish()
    }
}

/// Kinds that tell only where something failed. A kind that tells how wins, wherever it stands in
/// the chain.
pub(super) const GENERIC: [&str; 4] = ["connect", "request", "body", "decode"];

pub(crate) fn io_kind(kind: io::ErrorKind) -> Option<&'static str> {
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

#[cfg(feature = "tower")]
fn tower_kind(error: &(dyn Error + 'static)) -> Option<&'static str> {
    Some(if error.is::<tower::timeout::error::Elapsed>() {
        "timeout"
    } else if error.is::<tower::load_shed::error::Overloaded>() {
        "overloaded"
    } else if error.is::<tower::buffer::error::Closed>() {
        "closed"
    } else {
        return None;
    })
}

#[cfg(feature = "tonic")]
fn tonic_kind(error: &(dyn Error + 'static)) -> Option<&'static str> {
    Some(if error.is::<tonic::TimeoutExpired>() {
        "timeout"
    } else if error.is::<tonic::ConnectError>() {
        "connect"
    } else {
        return None;
    })
}

#[cfg(feature = "hyper")]
fn hyper_kind(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return connect_kind(error);
    }
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return h2_kind(error);
    }
    let error = error.downcast_ref::<hyper::Error>()?;
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
    // The connector's error type is private, and only its text tells that DNS failed.
    let is_dns = || error.source().is_some_and(|source| source.to_string() == "dns error");
    if error.is_connect() {
        return Some(if is_dns() { "dns" } else { "connect" });
    }
    // The other kinds are private, too. Only the text names them.
    let text = error.to_string();
    let is = |kind: &str| text.contains(kind);
    if is("UserAbsoluteUriRequired") || is("UserUnsupported") {
        Some("invalid_request")
    } else if is("Canceled") {
        Some("canceled")
    } else if is("ChannelClosed") {
        Some("closed")
    } else {
        None
    }
}

#[cfg(feature = "reqwest")]
fn reqwest_kind(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let error = error.downcast_ref::<reqwest::Error>()?;
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

/// `reqwest_middleware::Error` is transparent: its source is the source of the error that it wraps.
#[cfg(feature = "reqwest-middleware")]
fn unwrap_middleware<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    Some(match error.downcast_ref()? {
        reqwest_middleware::Error::Reqwest(wrapped) => wrapped as _,
        reqwest_middleware::Error::Middleware(wrapped) => &**wrapped as _,
    })
}

/// The reason that the peer gave for a reset of the stream or the connection (RFC 9113, section 7).
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
