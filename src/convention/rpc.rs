//! The rules of gRPC: names, attributes, status (semantic conventions v1.45, and the gRPC
//! documents on status codes and the mapping of HTTP to them).

use std::{any::Any, borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, header, request, response};
use opentelemetry::{KeyValue, StringValue, Value};

use super::{
    Convention, Facts, Side,
    labels::LabelSet,
    names::{self, OTHER},
};
use crate::{end::End, percent};

/// A gRPC call, as far as it is known.
#[derive(Debug)]
pub(super) struct Call {
    /// `package.Service/Method`, as the caller wrote it.
    path: String,
    /// The method, once it is known to exist.
    method: Option<Arc<str>>,
    deadline: Option<Duration>,
    answer: Option<Answer>,
    status: Option<Code>,
    message: Option<String>,
    trailers: Vec<KeyValue>,
}

/// What the response head tells.
#[derive(Debug, Clone, Copy)]
struct Answer {
    http_status: StatusCode,
    is_grpc: bool,
}

/// A gRPC status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Code(u8);

impl Code {
    const OK: Self = Self(0);
    const CANCELLED: Self = Self(1);
    const UNKNOWN: Self = Self(2);
    const DEADLINE_EXCEEDED: Self = Self(4);
    const PERMISSION_DENIED: Self = Self(7);
    const RESOURCE_EXHAUSTED: Self = Self(8);
    const UNIMPLEMENTED: Self = Self(12);
    const INTERNAL: Self = Self(13);
    const UNAVAILABLE: Self = Self(14);
    const DATA_LOSS: Self = Self(15);
    const UNAUTHENTICATED: Self = Self(16);

    fn name(self) -> &'static str {
        CODES[usize::from(self.0)]
    }

    /// Reads `grpc-status`; a code that nobody knows is `UNKNOWN`.
    fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(GRPC_STATUS)?.to_str().ok();
        let code = value.and_then(|value| value.parse().ok());
        Some(code.map_or(Self::UNKNOWN, Self::of_number))
    }

    fn of_number(code: u8) -> Self {
        if usize::from(code) < CODES.len() { Self(code) } else { Self::UNKNOWN }
    }

    /// What a client makes of an answer without a gRPC status (`http-grpc-status-mapping.md`).
    fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::INTERNAL,
            401 => Self::UNAUTHENTICATED,
            403 => Self::PERMISSION_DENIED,
            404 => Self::UNIMPLEMENTED,
            429 | 502 | 503 | 504 => Self::UNAVAILABLE,
            _ => Self::UNKNOWN,
        }
    }

    /// What a client library makes of a failed call (`PROTOCOL-HTTP2.md` for resets).
    fn of_failure(kind: &str) -> Self {
        match kind {
            "timeout" => Self::DEADLINE_EXCEEDED,
            "canceled" | "http2_cancel" => Self::CANCELLED,
            "overloaded" | "http2_enhance_your_calm" => Self::RESOURCE_EXHAUSTED,
            "http2_inadequate_security" => Self::PERMISSION_DENIED,
            "http2_refused_stream" => Self::UNAVAILABLE,
            _ if kind.starts_with("http2_") => Self::INTERNAL,
            "connect"
            | "closed"
            | "connection_refused"
            | "connection_reset"
            | "connection_aborted"
            | "not_connected"
            | "broken_pipe"
            | "unexpected_eof"
            | "incomplete_message"
            | "host_unreachable"
            | "network_unreachable"
            | "network_down" => Self::UNAVAILABLE,
            _ => Self::UNKNOWN,
        }
    }

    /// On a client everything but success is an error; on a server only what is the server's.
    fn is_error(self, side: Side) -> bool {
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

/// Whether a request or a response is gRPC by its content type.
///
/// gRPC-Web is not: its status is inside the body, where nobody but its own layer reads it.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) else {
        return false;
    };
    match kind.split_at_checked(GRPC.len()) {
        Some((start, rest)) => {
            start.eq_ignore_ascii_case(GRPC)
                && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
        }
        None => false,
    }
}

impl Convention {
    pub(super) fn read_call(&self, head: &request::Parts) -> Call {
        let path = head.uri.path().trim_start_matches('/');
        let method = match self.side() {
            // What a client calls is its own program's choice.
            Side::Client => Some(self.settings().interner.intern(path)),
            Side::Server => None,
        };
        Call {
            path: self.cap(path).to_owned(),
            method,
            deadline: head
                .headers
                .get(GRPC_TIMEOUT)
                .and_then(|value| timeout(value.to_str().ok()?)),
            answer: None,
            status: None,
            message: None,
            trailers: Vec::new(),
        }
    }

    pub(super) fn read_call_response(&self, call: &mut Call, head: &response::Parts) {
        let status = Code::of_headers(&head.headers);
        let is_grpc = status.is_some() || is_grpc(&head.headers);
        call.answer = Some(Answer { http_status: head.status, is_grpc });
        if status.is_some() {
            self.read_trailers(call, &head.headers);
        }
    }

    /// Judges a call: returns its `error.type`, if it failed.
    pub(super) fn read_call_end(
        &self,
        call: &mut Call,
        end: &End<'_>,
        elapsed: Duration,
    ) -> Option<StringValue> {
        if let End::Complete { trailers: Some(trailers) } = end
            && trailers.contains_key(GRPC_STATUS)
        {
            self.read_trailers(call, trailers);
        }
        let is_late = call.deadline.is_some_and(|deadline| elapsed + TIMER_SLACK >= deadline);
        let (code, kind) = match (call.status, end) {
            (Some(code), End::Complete { .. } | End::Dropped) => (code, None),
            (None, End::Complete { .. }) => {
                let answer = call.answer.map_or(StatusCode::OK, |answer| answer.http_status);
                (Code::of_http(answer), None)
            }
            (None, End::Dropped) if is_late => (Code::DEADLINE_EXCEEDED, None),
            (None, End::Dropped) => (Code::CANCELLED, None),
            (_, End::Failed(failure)) => match self.status_of(failure.error()) {
                Some(code) => (code, None),
                None => {
                    let kind = self.error_type(*failure);
                    (Code::of_failure(kind.as_str()), Some(kind))
                }
            },
            // A server that does something other than to answer (`statuscodes.md`).
            (_, End::Panicked) => (Code::UNKNOWN, Some(StringValue::from("panic"))),
        };
        call.status = Some(code);
        if self.side() == Side::Server {
            call.method = self.recognised(call, code);
        }
        kind.or_else(|| code.is_error(self.side()).then(|| code.name().into()))
    }

    pub(super) fn call_name(call: &Call) -> Cow<'static, str> {
        match (&call.method, call.status) {
            (Some(method), _) => Cow::Owned(String::from(&**method)),
            // By the end it is known whether the method exists; until then samplers may see it.
            (None, None) if !call.path.is_empty() => Cow::Owned(call.path.clone()),
            (None, _) => Cow::Borrowed(GRPC_SYSTEM),
        }
    }

    pub(super) fn call_attributes(
        &self,
        attributes: &mut Vec<KeyValue>,
        facts: &Facts,
        call: &Call,
        head: &request::Parts,
    ) {
        attributes.push(KeyValue::new(names::RPC_SYSTEM_NAME, GRPC_SYSTEM));
        if let Some(method) = &call.method {
            attributes.push(KeyValue::new(names::RPC_METHOD, Arc::clone(method)));
        }
        facts.push_server(attributes);
        facts.push_peer(attributes);
        let captured = &self.settings().request_headers;
        self.capture(attributes, names::RPC_REQUEST_HEADER, captured, &head.headers);
    }

    pub(super) fn call_end_attributes(&self, attributes: &mut LabelSet, call: &Call) {
        if self.side() == Side::Server {
            // Not at creation, for it can't be taken back once the method turns out not to exist.
            attributes.push(KeyValue::new(names::RPC_METHOD, call.label()));
            if call.method.is_none() && !call.path.is_empty() {
                attributes.push(KeyValue::new(names::RPC_METHOD_ORIGINAL, call.path.clone()));
            }
        }
        if let Some(status) = call.status {
            attributes.push(KeyValue::new(names::RPC_STATUS_CODE, status.name()));
        }
        attributes.extend(call.trailers.iter().cloned());
    }

    pub(super) fn call_labels(&self, facts: &Facts, call: &Call) -> LabelSet {
        let mut labels = LabelSet::new();
        labels.push(KeyValue::new(names::RPC_SYSTEM_NAME, GRPC_SYSTEM));
        labels.push(KeyValue::new(names::RPC_METHOD, call.label()));
        if let Some(status) = call.status {
            labels.push(KeyValue::new(names::RPC_STATUS_CODE, status.name()));
        }
        if self.side() == Side::Client {
            facts.push_server(&mut labels);
        }
        labels
    }

    fn read_trailers(&self, call: &mut Call, trailers: &HeaderMap) {
        call.status = Code::of_headers(trailers);
        let message = trailers.get(GRPC_MESSAGE).and_then(|message| message.to_str().ok());
        call.message = message.map(|message| self.cap(&percent::decode(message)).to_owned());
        let captured = &self.settings().response_trailers;
        self.capture(&mut call.trailers, names::RPC_RESPONSE_TRAILER, captured, trailers);
    }

    /// The method of a call, where the server has shown that it has it.
    fn recognised(&self, call: &Call, code: Code) -> Option<Arc<str>> {
        let settings = self.settings();
        let service = call.path.split_once('/').map(|(service, _)| service)?;
        if let Some(known) = &settings.known_services {
            known.iter().find(|known| **known == service)?;
        }
        match call.answer {
            Some(Answer { is_grpc: true, .. }) if code != Code::UNIMPLEMENTED => {
                Some(settings.interner.intern(&call.path))
            }
            // Not answered: the method is that of another call that was.
            None => settings.interner.get(&call.path),
            Some(_) => None,
        }
    }

    /// The status that an error carries.
    #[cfg(feature = "tonic")]
    fn status_of(&self, error: &(dyn Any + 'static)) -> Option<Code> {
        let status = self.find_source::<tonic::Status>(error)?;
        u8::try_from(i32::from(status.code())).ok().map(Code::of_number)
    }

    #[cfg(not(feature = "tonic"))]
    #[expect(clippy::unused_self, reason = "it has the signature of the one above")]
    fn status_of(&self, _: &(dyn Any + 'static)) -> Option<Code> {
        None
    }
}

impl Call {
    /// The message of a call that failed.
    pub(super) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Whether the call is over, and has not shown that its method exists.
    pub(super) fn is_unrecognised(&self) -> bool {
        self.method.is_none()
    }

    fn label(&self) -> Value {
        match &self.method {
            Some(method) => Arc::clone(method).into(),
            None => OTHER.into(),
        }
    }
}

/// Reads `grpc-timeout`: at most eight digits and a unit.
fn timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 60 * 60),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
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

const GRPC: &[u8] = b"application/grpc";
const GRPC_SYSTEM: &str = "grpc";
const GRPC_STATUS: &str = "grpc-status";
const GRPC_MESSAGE: &str = "grpc-message";
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// A server's timer is set before the call reaches the layer, so it may strike that much early.
const TIMER_SLACK: Duration = Duration::from_millis(2);
