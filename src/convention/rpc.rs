//! The rules of gRPC: names, attributes, status (semantic conventions v1.45, and the gRPC
//! documents on status codes and the mapping of HTTP to them).

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request, response};
use opentelemetry::{KeyValue, StringValue, Value};

use super::{
    Convention, Facts, Side,
    code::{Code, GRPC_STATUS},
    intern::Interner,
    labels::LabelSet,
    names::{self, OTHER},
    parties::Parties,
    protocol::EndAttributes,
};
use crate::{
    end::{End, Failure},
    percent,
};

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

/// The methods that a server has shown to have.
#[derive(Debug)]
pub(super) struct Methods {
    answered: Interner,
    failed: Interner,
}

impl Methods {
    /// What is known of a method after an answer that only the method itself can have given.
    fn answered(&self, path: &str) -> Option<Arc<str>> {
        self.answered.add(path)
    }

    /// What is known of a method after a failure. An interceptor or a limiter may have answered in
    /// front of the router, for a path that a caller made up, so there is room for a few.
    fn failed(&self, path: &str) -> Option<Arc<str>> {
        self.answered.get(path).or_else(|| self.failed.add(path))
    }

    fn known(&self, path: &str) -> Option<Arc<str>> {
        self.answered.get(path).or_else(|| self.failed.get(path))
    }
}

impl Default for Methods {
    fn default() -> Self {
        Self { answered: Interner::new(MAX_ANSWERED), failed: Interner::new(MAX_FAILED) }
    }
}

/// What the response head tells.
#[derive(Debug, Clone, Copy)]
struct Answer {
    http_status: StatusCode,
    is_grpc: bool,
    /// There is a message to come: the answer is that of a method.
    has_begun: bool,
}

/// Whether a request is a gRPC call.
pub(super) fn is_call(head: &request::Parts) -> bool {
    head.method == Method::POST && is_grpc(&head.headers)
}

/// Whether a request or a response is gRPC by its content type.
///
/// gRPC-Web is not: its status is inside the body, where nobody but its own layer reads it.
fn is_grpc(headers: &HeaderMap) -> bool {
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
        let path = self.cap(head.uri.path().trim_start_matches('/'));
        let method = match self.side() {
            // What a client calls is its own program's choice.
            Side::Client => self.is_listed(path).then(|| self.settings().strings.intern(path)),
            Side::Server => None,
        };
        let deadline = head.headers.get(GRPC_TIMEOUT);
        Call {
            path: path.to_owned(),
            method,
            deadline: deadline.and_then(|value| timeout(value.to_str().ok()?)),
            answer: None,
            status: None,
            message: None,
            trailers: Vec::new(),
        }
    }

    pub(super) fn read_call_response(&self, call: &mut Call, head: &response::Parts) {
        let has_status = head.headers.contains_key(GRPC_STATUS);
        let is_grpc = has_status || is_grpc(&head.headers);
        let has_begun = is_grpc && !has_status;
        call.answer = Some(Answer { http_status: head.status, is_grpc, has_begun });
        if has_status {
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
        let (code, kind) = match (call.status, end) {
            (Some(code), End::Complete { .. } | End::Dropped) => (code, None),
            (None, End::Complete { .. }) => {
                let answer = call.answer.map_or(StatusCode::OK, |answer| answer.http_status);
                (Code::of_http(answer), None)
            }
            (None, End::Dropped) if call.is_late(elapsed) => (Code::DEADLINE_EXCEEDED, None),
            (None, End::Dropped) => (Code::CANCELLED, None),
            (_, End::Failed(failure)) => self.failed_call(*failure),
            // A server that does something other than to answer (`statuscodes.md`).
            (_, End::Panicked) => (Code::UNKNOWN, Some(StringValue::from("panic"))),
        };
        call.status = Some(code);
        if self.side() == Side::Server {
            call.method = self.recognised(call, code);
        }
        kind.or_else(|| code.is_error(self.side()).then(|| code.name().into()))
    }

    /// The code of a failure, and its kind where that is not the code itself.
    fn failed_call(&self, failure: Failure<'_>) -> (Code, Option<StringValue>) {
        // By the kinds that are built in: what the user calls an error says nothing of its code.
        let code = match self.kind_of(failure) {
            _ if self.is_connecting(failure) => Code::UNAVAILABLE,
            Some(kind) => Code::of_kind(kind),
            None => match self.status_of(failure) {
                Some(code) => return (code, None),
                None => Code::UNKNOWN,
            },
        };
        (code, Some(self.error_type(failure)))
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
        parties: &Parties,
        call: &Call,
        head: &request::Parts,
    ) {
        attributes.push(KeyValue::new(names::RPC_SYSTEM_NAME, GRPC_SYSTEM));
        if self.side() == Side::Client {
            call.push_method(attributes);
        }
        parties.push_server(attributes);
        parties.push_peer(attributes);
        let captured = &self.settings().request_headers;
        self.capture(attributes, names::RPC_REQUEST_HEADER, captured, &head.headers);
    }

    pub(super) fn call_end_attributes(&self, attributes: &mut EndAttributes, call: &Call) {
        if self.side() == Side::Server {
            // Not at creation, for it can't be taken back once the method turns out not to exist.
            call.push_method(attributes);
        }
        if let Some(status) = call.status {
            attributes.push(KeyValue::new(names::RPC_STATUS_CODE, status.name()));
        }
        attributes.extend(call.trailers.iter().cloned());
    }

    pub(super) fn rpc_labels(&self, labels: &mut LabelSet, facts: &Facts, call: &Call) {
        labels.push(KeyValue::new(names::RPC_SYSTEM_NAME, GRPC_SYSTEM));
        labels.push(KeyValue::new(names::RPC_METHOD, call.label()));
        if let Some(status) = call.status {
            labels.push(KeyValue::new(names::RPC_STATUS_CODE, status.name()));
        }
        if let Some(parties) = facts.parties.as_ref().filter(|_| self.side() == Side::Client) {
            parties.push_server(labels);
        }
    }

    fn read_trailers(&self, call: &mut Call, trailers: &HeaderMap) {
        call.status = Code::of_headers(trailers);
        let message = trailers.get(GRPC_MESSAGE).map(HeaderValue::as_bytes);
        call.message = message.map(|message| self.cap(&percent::decode(message)).to_owned());
        let captured = &self.settings().response_trailers;
        call.trailers.clear();
        self.capture(&mut call.trailers, names::RPC_RESPONSE_TRAILER, captured, trailers);
    }

    /// The method of a call, where the server has shown that it has it.
    fn recognised(&self, call: &Call, code: Code) -> Option<Arc<str>> {
        let methods = &self.settings().methods;
        let path = Some(&*call.path).filter(|path| path.contains('/') && self.is_listed(path))?;
        match call.answer {
            // Not answered: the method is that of another call that was.
            None => methods.known(path),
            Some(_) if code == Code::UNIMPLEMENTED => None,
            Some(Answer { has_begun: true, .. }) => methods.answered(path),
            Some(Answer { is_grpc: true, .. }) if code == Code::OK => methods.answered(path),
            Some(Answer { is_grpc: true, .. }) => methods.failed(path),
            Some(_) => None,
        }
    }

    /// Whether the user's list, if there is one, has the method or its service.
    fn is_listed(&self, path: &str) -> bool {
        let service = path.split_once('/').map(|(service, _)| service);
        self.settings().known_services.as_ref().is_none_or(|known| {
            known.iter().any(|known| *known == path || Some(&**known) == service)
        })
    }

    /// The status that an error carries.
    #[cfg(feature = "tonic")]
    fn status_of(&self, failure: Failure<'_>) -> Option<Code> {
        let status = self.find_source::<tonic::Status>(failure)?;
        u8::try_from(i32::from(status.code())).ok().map(Code::of_number)
    }

    #[cfg(not(feature = "tonic"))]
    #[expect(clippy::unused_self, reason = "it has the signature of the one above")]
    fn status_of(&self, _: Failure<'_>) -> Option<Code> {
        None
    }
}

impl Call {
    /// The message of a call that failed.
    pub(super) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Whether the status is still to come, in the trailers.
    pub(super) fn awaits_status(&self) -> bool {
        self.status.is_none()
    }

    /// Whether the deadline has passed. The other side's clock began to run at another moment, and
    /// who enforces the deadline may be a little early.
    fn is_late(&self, elapsed: Duration) -> bool {
        self.deadline.is_some_and(|deadline| {
            elapsed + (deadline / 10).clamp(MIN_SLACK, MAX_SLACK) >= deadline
        })
    }

    /// Whether the call is over, and has not shown that its method exists.
    pub(super) fn is_unrecognised(&self) -> bool {
        self.method.is_none()
    }

    fn push_method(&self, attributes: &mut impl Extend<KeyValue>) {
        attributes.extend([KeyValue::new(names::RPC_METHOD, self.label())]);
        if self.method.is_none() && !self.path.is_empty() {
            attributes.extend([KeyValue::new(names::RPC_METHOD_ORIGINAL, self.path.clone())]);
        }
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

const GRPC: &[u8] = b"application/grpc";
const GRPC_SYSTEM: &str = "grpc";
const GRPC_MESSAGE: &str = "grpc-message";
const GRPC_TIMEOUT: &str = "grpc-timeout";

const MIN_SLACK: Duration = Duration::from_millis(2);
const MAX_SLACK: Duration = Duration::from_millis(100);

/// A server with more methods has no use of a metric of them.
const MAX_ANSWERED: usize = 2000;
const MAX_FAILED: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        for (value, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("999999999S", None),
            ("", None),
            ("S", None),
            ("1", None),
            ("1s", None),
            ("-1S", None),
            ("+1S", None),
            ("1\u{e9}", None),
        ] {
            assert_eq!(timeout(value), expected, "{value:?}");
        }
    }

    /// Interceptors answer for paths that nobody has: that makes a few names, and then no more.
    #[test]
    fn made_up_methods_are_bounded() {
        let methods = Methods::default();
        for i in 0..1000 {
            assert_eq!(methods.failed(&format!("a.B/{i}")).is_some(), i < MAX_FAILED);
        }
        assert!(methods.answered("a.B/Real").is_some());
        assert!(methods.failed("a.B/Real").is_some());
        assert!(methods.known("a.B/Real").is_some());
        assert!(methods.known("a.B/999").is_none());
    }
}
