//! The reasons for which an export fails, and which of them may be retried.

use std::{fmt, time::Duration};

use http::StatusCode;

use crate::convention::GrpcCode;

/// The reason for which a receiver did not take a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExportFailure {
    /// No answer came.
    NoAnswer(Obstacle),
    /// The answer is an HTTP status that is not a success.
    Http(StatusCode, Refusal),
    /// The answer is a gRPC status that is not `OK`.
    Grpc(GrpcCode, Refusal),
    /// The answer is longer than [`LONGEST_ANSWER`].
    LongAnswer,
    /// One item alone is larger than a request may be.
    TooLarge { size: usize, limit: usize },
    /// The deadline of the shutdown passed.
    Abandoned,
    /// The export ended without an outcome: it panicked, or its runtime has ended.
    Broken,
}

/// The part of an answer that goes with its status.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Refusal {
    /// The receiver's own words.
    pub(crate) message: String,
    /// The pause that the receiver asks for.
    pub(crate) retry_after: Option<Duration>,
}

/// The reason for which no answer came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Obstacle {
    Refused,
    NoSuchHost,
    Tls(String),
    Timeout(Duration),
    Closed,
    NotHttp,
    Other(String),
}

impl ExportFailure {
    /// Returns true if the same request may be sent again, by the tables of the OTLP specification.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Http(status, _) => RETRYABLE_STATUS.contains(&status.as_u16()),
            Self::Grpc(GrpcCode::RESOURCE_EXHAUSTED, refusal) => refusal.retry_after.is_some(),
            Self::Grpc(code, _) => RETRYABLE_CODES.contains(code),
            Self::LongAnswer | Self::TooLarge { .. } | Self::Abandoned | Self::Broken => false,
        }
    }

    /// Returns true if another attempt within the next seconds would fail, too.
    pub(crate) fn is_lasting(&self) -> bool {
        use Obstacle::{NoSuchHost, Refused, Tls};

        matches!(self, Self::NoAnswer(Refused | NoSuchHost | Tls(_)))
    }

    /// Returns the pause that the receiver asks for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http(_, refusal) | Self::Grpc(_, refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// Returns `error.type`, of low cardinality.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::NoAnswer(obstacle) => obstacle.kind().to_owned(),
            Self::Http(status, _) => status.as_u16().to_string(),
            Self::Grpc(code, _) => code.name().to_owned(),
            Self::LongAnswer => "long_answer".to_owned(),
            Self::TooLarge { .. } => "too_large".to_owned(),
            Self::Abandoned => "shutdown".to_owned(),
            Self::Broken => "panic".to_owned(),
        }
    }

    /// Returns a hint for the operator, if the failure has a usual cause.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoAnswer(Obstacle::NotHttp | Obstacle::Closed) => {
                Some("check the port, and whether it expects http:// or https://")
            }
            Self::Http(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)
            | Self::Grpc(GrpcCode::UNAUTHENTICATED | GrpcCode::PERMISSION_DENIED, _) => {
                Some("check the key in OTEL_EXPORTER_OTLP_HEADERS")
            }
            Self::Http(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => {
                Some("check the path of the endpoint")
            }
            // A success without a gRPC status comes from a server that does not speak gRPC.
            Self::Http(StatusCode::OK | StatusCode::UNSUPPORTED_MEDIA_TYPE, _)
            | Self::Grpc(GrpcCode::UNIMPLEMENTED, _) => Some(
                "check OTEL_EXPORTER_OTLP_PROTOCOL, and whether the receiver takes this signal",
            ),
            Self::Http(StatusCode::PAYLOAD_TOO_LARGE, _) | Self::TooLarge { .. } => {
                Some("lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE or OTEL_BLRP_MAX_EXPORT_BATCH_SIZE")
            }
            _ => None,
        }
    }
}

impl Obstacle {
    fn kind(&self) -> &'static str {
        match self {
            Self::Refused => "connection_refused",
            Self::NoSuchHost => "no_such_host",
            Self::Tls(_) => "tls",
            Self::Timeout(_) => "timeout",
            Self::Closed => "connection_closed",
            Self::NotHttp => "not_http",
            Self::Other(_) => "connection_failed",
        }
    }
}

impl fmt::Display for ExportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(obstacle) => obstacle.fmt(f),
            Self::Http(status, refusal) => {
                write!(f, "HTTP {}", status.as_u16())?;
                if let Some(reason) = status.canonical_reason() {
                    write!(f, " {reason}")?;
                }
                refusal.fmt(f)
            }
            Self::Grpc(code, refusal) => write!(f, "gRPC {}{refusal}", code.name()),
            Self::LongAnswer => write!(f, "its answer is longer than {LONGEST_ANSWER} bytes"),
            Self::TooLarge { size, limit } => {
                write!(f, "an item of {size} bytes is larger than a request may be ({limit})")
            }
            Self::Abandoned => f.write_str("no answer before the deadline of the shutdown"),
            Self::Broken => f.write_str("the export ended without an outcome"),
        }
    }
}

/// Displays the receiver's words in quotes.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() { Ok(()) } else { write!(f, " {:?}", self.message) }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::NoSuchHost => f.write_str("no such host"),
            Self::Tls(reason) => write!(f, "TLS: {reason}"),
            Self::Timeout(timeout) => write!(f, "no answer within {timeout:?}"),
            Self::Closed => f.write_str("the connection was closed before an answer"),
            Self::NotHttp => f.write_str("its answer is not HTTP"),
            Self::Other(reason) => write!(f, "no connection: {reason}"),
        }
    }
}

const RETRYABLE_STATUS: [u16; 4] = [429, 502, 503, 504];

const RETRYABLE_CODES: [GrpcCode; 6] = [
    GrpcCode::CANCELLED,
    GrpcCode::DEADLINE_EXCEEDED,
    GrpcCode::ABORTED,
    GrpcCode::OUT_OF_RANGE,
    GrpcCode::UNAVAILABLE,
    GrpcCode::DATA_LOSS,
];

/// The specification's limit.
pub(crate) const LONGEST_ANSWER: usize = 4 << 20;
