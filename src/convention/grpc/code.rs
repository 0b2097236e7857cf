//! gRPC status codes: their names, their sources, and which are errors.

use http::{HeaderMap, StatusCode};

use crate::convention::side::Side;

/// A gRPC status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Code(u8);

impl Code {
    pub(crate) const OK: Self = Self(0);
    pub(crate) const CANCELLED: Self = Self(1);
    pub(crate) const UNKNOWN: Self = Self(2);
    pub(crate) const DEADLINE_EXCEEDED: Self = Self(4);
    pub(crate) const PERMISSION_DENIED: Self = Self(7);
    pub(crate) const RESOURCE_EXHAUSTED: Self = Self(8);
    #[cfg(feature = "setup")]
    pub(crate) const ABORTED: Self = Self(10);
    #[cfg(feature = "setup")]
    pub(crate) const OUT_OF_RANGE: Self = Self(11);
    pub(crate) const UNIMPLEMENTED: Self = Self(12);
    pub(crate) const INTERNAL: Self = Self(13);
    pub(crate) const UNAVAILABLE: Self = Self(14);
    pub(crate) const DATA_LOSS: Self = Self(15);
    pub(crate) const UNAUTHENTICATED: Self = Self(16);

    pub(crate) fn name(self) -> &'static str {
        CODES[usize::from(self.0)]
    }

    /// Reads `grpc-status`. An undefined code is `UNKNOWN`.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(GRPC_STATUS)?.to_str().ok();
        // Each code has one spelling: no sign, no leading zeros.
        let code = value.filter(|value| *value == "0" || !value.starts_with(['0', '+']));
        let code = code.and_then(|value| value.parse().ok());
        Some(code.map_or(Self::UNKNOWN, Self::of_number))
    }

    pub(super) fn of_number(code: u8) -> Self {
        if usize::from(code) < CODES.len() { Self(code) } else { Self::UNKNOWN }
    }

    /// Maps an answer without a gRPC status (gRPC's `http-grpc-status-mapping.md`).
    pub(super) fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::INTERNAL,
            401 => Self::UNAUTHENTICATED,
            403 => Self::PERMISSION_DENIED,
            404 => Self::UNIMPLEMENTED,
            429 | 502 | 503 | 504 => Self::UNAVAILABLE,
            _ => Self::UNKNOWN,
        }
    }

    /// Maps the kind of an error (gRPC's `PROTOCOL-HTTP2.md` for resets).
    pub(super) fn of_kind(kind: &str) -> Self {
        match kind {
            "timeout" => Self::DEADLINE_EXCEEDED,
            "canceled" | "http2_cancel" => Self::CANCELLED,
            "overloaded" | "http2_enhance_your_calm" => Self::RESOURCE_EXHAUSTED,
            "http2_inadequate_security" => Self::PERMISSION_DENIED,
            "http2_refused_stream" => Self::UNAVAILABLE,
            _ if kind.starts_with("http2_") => Self::INTERNAL,
            "permission_denied" => Self::PERMISSION_DENIED,
            "invalid_request" | "invalid_message" | "decode" => Self::INTERNAL,
            // All other kinds are network errors.
            _ => Self::UNAVAILABLE,
        }
    }

    /// Returns true for codes that routers, interceptors and limiters give without calling the method.
    pub(crate) fn is_of_layers(self) -> bool {
        matches!(
            self,
            Self::UNIMPLEMENTED
                | Self::UNAUTHENTICATED
                | Self::PERMISSION_DENIED
                | Self::RESOURCE_EXHAUSTED
        )
    }

    /// On a client every code but `OK` is an error. On a server only its own faults are.
    pub(super) fn is_error(self, side: Side) -> bool {
        match side {
            Side::Client => self != Self::OK,
            Side::Server => matches!(
                self,
                Self::UNKNOWN
                    | Self::DEADLINE_EXCEEDED
                    | Self::UNIMPLEMENTED
                    | Self::INTERNAL
                    | Self::UNAVAILABLE
                    | Self::DATA_LOSS
            ),
        }
    }
}

/// The names of the codes, in the order of their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The header or trailer that carries the code.
pub(crate) const GRPC_STATUS: &str = "grpc-status";

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn maps_http_statuses() {
        for (status, code) in [
            (200, "UNKNOWN"),
            (400, "INTERNAL"),
            (401, "UNAUTHENTICATED"),
            (403, "PERMISSION_DENIED"),
            (404, "UNIMPLEMENTED"),
            (429, "UNAVAILABLE"),
            (500, "UNKNOWN"),
            (502, "UNAVAILABLE"),
            (503, "UNAVAILABLE"),
            (504, "UNAVAILABLE"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Code::of_http(status).name(), code, "{status}");
        }
    }

    #[test]
    fn reads_grpc_status() {
        for (value, code) in [
            ("0", "OK"),
            ("5", "NOT_FOUND"),
            ("16", "UNAUTHENTICATED"),
            ("17", "UNKNOWN"),
            ("99999", "UNKNOWN"),
            ("00", "UNKNOWN"),
            ("05", "UNKNOWN"),
            ("+0", "UNKNOWN"),
            ("-1", "UNKNOWN"),
            ("", "UNKNOWN"),
            ("OK", "UNKNOWN"),
        ] {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(GRPC_STATUS),
                HeaderValue::from_static(value),
            )]);
            assert_eq!(Code::of_headers(&headers).map(Code::name), Some(code), "{value:?}");
        }
    }
}
