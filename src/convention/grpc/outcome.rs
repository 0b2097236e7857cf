//! The end of a gRPC call.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use opentelemetry::StringValue;

use super::{
    call::{Answer, Call, is_listed},
    code::{Code, GRPC_STATUS},
    deadline,
};
use crate::{
    convention::{rules::Rules, side::Side},
    end::{End, Failure},
};

impl Call {
    /// Reads the end of a call. Returns its `error.type` if it failed, or [`NotGrpc`] if the exchange
    /// turned out to be HTTP.
    pub(crate) fn read_end(
        &mut self,
        rules: &Rules,
        end: &End<'_>,
        elapsed: Duration,
    ) -> Result<Option<StringValue>, NotGrpc> {
        if let End::Complete { trailers: Some(trailers) } = end
            && trailers.contains_key(GRPC_STATUS)
        {
            self.read_trailers(rules, trailers);
        }
        let has_status = self.status.is_some();
        let is_late = || self.deadline.is_some_and(|d| deadline::has_passed(d, elapsed));
        let (code, kind) = match (self.status, end) {
            (Some(code), End::Complete { .. } | End::Dropped) => (code, None),
            (None, End::Complete { .. }) => {
                let answer = self.answer.map_or(StatusCode::OK, |answer| answer.http_status);
                (Code::of_http(answer), None)
            }
            (None, End::Dropped) if is_late() => (Code::DEADLINE_EXCEEDED, None),
            (None, End::Dropped) => (Code::CANCELLED, None),
            (_, End::Failed(failure)) => failed(rules, *failure),
            // A server that does something other than to answer (gRPC's `statuscodes.md`).
            (_, End::Panicked) => (Code::UNKNOWN, Some(StringValue::from("panic"))),
        };
        self.status = Some(code);
        if rules.side() == Side::Server {
            self.method = recognized(rules, self, code);
        }
        if self.is_http(rules, has_status) {
            return Err(NotGrpc);
        }
        Ok(kind.or_else(|| code.is_error(rules.side()).then(|| code.name().into())))
    }
}

/// The exchange is not a gRPC call.
#[derive(Debug)]
pub(crate) struct NotGrpc;

/// Returns the code of a failure, and its kind unless that is the code itself.
fn failed(rules: &Rules, failure: Failure<'_>) -> (Code, Option<StringValue>) {
    let errors = &rules.options.errors;
    // The built-in kinds decide the code, because a user's own kinds say nothing about it.
    let code = match errors.kind(failure) {
        _ if errors.is_connect_failure(failure) => Code::UNAVAILABLE,
        Some(kind) => Code::of_kind(kind),
        None => match errors.grpc_status(failure) {
            Some(number) => return (Code::of_number(number), None),
            None => Code::UNKNOWN,
        },
    };
    (code, Some(errors.error_type(failure)))
}

/// Returns the method of a call to a server, if the server is known to have it.
fn recognized(rules: &Rules, call: &Call, code: Code) -> Option<Arc<str>> {
    let methods = &rules.caches.rpc_methods;
    let path = Some(&*call.path).filter(|path| path.contains('/') && is_listed(rules, path))?;
    // The user's list names the method itself.
    let services = rules.options.known_services.as_ref();
    if services.is_some_and(|known| known.iter().any(|known| *known == path)) {
        return Some(rules.caches.strings.intern(path));
    }
    match call.answer {
        Some(Answer { is_grpc: true, .. }) if code == Code::OK => methods.answered(path),
        Some(_) if code == Code::UNIMPLEMENTED => methods.known(path),
        Some(Answer { has_begun: true, .. }) => methods.failed(path),
        // Routers and other layers give these codes for any path.
        Some(Answer { is_grpc: true, .. }) if !code.is_of_layers() => methods.failed(path),
        // A method of a listed service that hangs, panics or was left.
        None if services.is_some() => methods.failed(path),
        _ => methods.known(path),
    }
}
