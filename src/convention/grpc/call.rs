//! The facts of a gRPC call.

use std::{sync::Arc, time::Duration};

use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header, request, response};
use opentelemetry::{KeyValue, Value};

use super::{
    code::{Code, GRPC_STATUS},
    deadline,
};
use crate::{
    convention::{names, protocol::Protocol, rules::Rules, side::Side, values},
    percent,
};

/// The known facts of a gRPC call.
#[derive(Debug)]
pub(crate) struct Call {
    /// `package.Service/Method`, as the caller wrote it.
    pub(super) path: String,
    /// The method, if it is known to exist.
    pub(super) method: Option<Arc<str>>,
    /// The exchange was recorded as a gRPC call from its beginning.
    pub(super) is_certain: bool,
    pub(super) deadline: Option<Duration>,
    pub(super) answer: Option<Answer>,
    pub(super) status: Option<Code>,
    message: Option<String>,
    pub(super) trailers: Vec<KeyValue>,
}

/// The answer, from the response head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) http_status: StatusCode,
    pub(super) is_grpc: bool,
    /// Messages follow, so that no layer in front of the method has answered.
    pub(super) has_begun: bool,
}

/// Returns true if a request is a gRPC call.
pub(crate) fn is_call(head: &request::Parts) -> bool {
    head.method == Method::POST && has_grpc_content_type(&head.headers)
}

/// gRPC-Web does not count: its status is inside the body, where only its own layer reads it.
fn has_grpc_content_type(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) else {
        return false;
    };
    match content_type.split_at_checked(GRPC.len()) {
        Some((start, rest)) => {
            start.eq_ignore_ascii_case(GRPC)
                && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
        }
        None => false,
    }
}

impl Call {
    pub(crate) fn read(rules: &Rules, head: &request::Parts) -> Self {
        let path = rules.truncated(head.uri.path().trim_start_matches('/'));
        let (method, is_certain) = match rules.side() {
            // The program itself chooses what its client calls.
            Side::Client => {
                let is_known = !path.is_empty() && is_listed(rules, path);
                (is_known.then(|| rules.caches.strings.intern(path)), true)
            }
            Side::Server => (None, is_grpc_server(rules, head)),
        };
        Self {
            path: path.to_owned(),
            method,
            is_certain,
            deadline: deadline::deadline(&head.headers),
            answer: None,
            status: None,
            message: None,
            trailers: Vec::new(),
        }
    }

    pub(crate) fn read_response(&mut self, rules: &Rules, head: &response::Parts) {
        let has_status = head.headers.contains_key(GRPC_STATUS);
        let is_grpc = has_status || has_grpc_content_type(&head.headers);
        let has_begun = is_grpc && !has_status;
        self.answer = Some(Answer { http_status: head.status, is_grpc, has_begun });
        if has_status {
            self.read_trailers(rules, &head.headers);
        }
    }

    pub(super) fn read_trailers(&mut self, rules: &Rules, trailers: &HeaderMap) {
        self.status = Code::of_headers(trailers);
        if rules.side() == Side::Server {
            rules.caches.rpc_methods.set_grpc_server();
        }
        let message = trailers.get(GRPC_MESSAGE).map(HeaderValue::as_bytes);
        self.message = message.map(|message| rules.truncated(&percent::decode(message)).to_owned());
        self.trailers.clear();
        values::capture_headers(
            &mut self.trailers,
            names::RPC_RESPONSE_TRAILER,
            &rules.options.response_trailers,
            trailers,
            rules.options.value_limit,
        );
    }

    /// Returns the decoded `grpc-message`.
    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns true if the status is still to come, in the trailers.
    pub(crate) fn awaits_status(&self) -> bool {
        self.status.is_none()
    }

    /// Returns true if the span was created for a gRPC call.
    pub(crate) fn is_certain(&self) -> bool {
        self.is_certain
    }

    /// Returns true if the span's name changes at the end.
    pub(crate) fn is_renamed(&self) -> bool {
        self.method.is_none() || !self.is_certain
    }

    /// Returns true if the exchange turned out to be HTTP: a server answered without gRPC, for a
    /// method that it is not known to have. The content type of an answer alone may be an echo.
    pub(super) fn is_http(&self, rules: &Rules, has_status: bool) -> bool {
        if rules.side() == Side::Client || rules.options.protocol.is_some() {
            return false;
        }
        match self.answer {
            Some(answer) => {
                let is_grpc = has_status || answer.is_grpc && self.is_certain;
                !is_grpc && self.method.is_none()
            }
            None => !self.is_certain,
        }
    }

    /// Returns the value of `rpc.method`.
    pub(super) fn method_value(&self) -> Value {
        match &self.method {
            Some(method) => Arc::clone(method).into(),
            None => names::OTHER.into(),
        }
    }
}

/// Returns true if the server is known to serve gRPC. Without that, callers could make any `POST` a
/// gRPC call.
fn is_grpc_server(rules: &Rules, head: &request::Parts) -> bool {
    is_of_tonic(&head.extensions)
        || rules.options.protocol == Some(Protocol::Grpc)
        || rules.options.known_services.is_some()
        || rules.caches.rpc_methods.is_grpc_server()
}

/// Returns true if tonic's server has accepted the connection of a request.
fn is_of_tonic(extensions: &Extensions) -> bool {
    #[cfg(feature = "tonic")]
    if extensions.get::<tonic::transport::server::TcpConnectInfo>().is_some() {
        return true;
    }
    #[cfg(all(feature = "tonic", unix))]
    if extensions.get::<tonic::transport::server::UdsConnectInfo>().is_some() {
        return true;
    }
    let _ = extensions;
    false
}

/// Returns true if the user's list has the method or its service, or if there is no list.
pub(super) fn is_listed(rules: &Rules, path: &str) -> bool {
    let service = path.split_once('/').map(|(service, _)| service);
    rules
        .options
        .known_services
        .as_ref()
        .is_none_or(|known| known.iter().any(|known| *known == path || Some(&**known) == service))
}

const GRPC: &[u8] = b"application/grpc";
const GRPC_MESSAGE: &str = "grpc-message";
