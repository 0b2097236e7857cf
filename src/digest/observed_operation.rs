//! Operations: the rows of a table of rate, errors and duration.

#[cfg(feature = "viewer")]
use opentelemetry::trace::SpanKind;
use opentelemetry::{KeyValue, Value};
#[cfg(feature = "viewer")]
use opentelemetry_sdk::trace::SpanData;

/// A route of a server, or a kind of call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Operation {
    pub(crate) kind: OperationKind,
    pub(crate) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OperationKind {
    Server,
    RpcServer,
    Client,
    RpcClient,
    Database,
}

impl Operation {
    /// Returns the operation that a data point of a histogram of durations is about.
    pub(crate) fn of_point(metric: &str, attributes: &[&KeyValue]) -> Option<Self> {
        let kind = match metric {
            "http.server.request.duration" => OperationKind::Server,
            "rpc.server.call.duration" => OperationKind::RpcServer,
            "http.client.request.duration" => OperationKind::Client,
            "rpc.client.call.duration" => OperationKind::RpcClient,
            "db.client.operation.duration" => OperationKind::Database,
            _ => return None,
        };
        Some(Self { kind, name: name(kind, |key| find(attributes.iter().copied(), key)) })
    }

    /// Returns the operation of a span, with the name that its data point has.
    #[cfg(feature = "viewer")]
    pub(crate) fn of_span(span: &SpanData) -> Option<Self> {
        let find = |key: &str| find(span.attributes.iter(), key);
        let is_server = span.span_kind == SpanKind::Server;
        let kind = if find("rpc.method").is_some() {
            if is_server { OperationKind::RpcServer } else { OperationKind::RpcClient }
        } else if find("db.system.name").is_some() {
            OperationKind::Database
        } else if find("http.request.method").is_some() {
            if is_server { OperationKind::Server } else { OperationKind::Client }
        } else {
            return None;
        };
        Some(Self { kind, name: name(kind, find) })
    }

    /// Returns true if this process calls another one.
    pub(crate) fn is_outbound(&self) -> bool {
        !matches!(self.kind, OperationKind::Server | OperationKind::RpcServer)
    }
}

#[cfg(feature = "viewer")]
impl OperationKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::RpcServer => "rpc-server",
            Self::Client => "client",
            Self::RpcClient => "rpc-client",
            Self::Database => "db",
        }
    }
}

fn name(kind: OperationKind, find: impl Fn(&str) -> Option<String>) -> String {
    let parts = match kind {
        OperationKind::Server => [find("http.request.method"), find("http.route"), None],
        OperationKind::RpcServer | OperationKind::RpcClient => [find("rpc.method"), None, None],
        OperationKind::Client => {
            let port = find("server.port").map(|port| format!(":{port}")).unwrap_or_default();
            let server = find("server.address").map(|address| format!("{address}{port}"));
            [find("http.request.method"), find("url.template"), server]
        }
        OperationKind::Database => {
            let summary = find("db.query.summary").or_else(|| find("db.operation.name"));
            [find("db.system.name"), summary, None]
        }
    };
    Vec::from_iter(parts.iter().flatten().map(String::as_str)).join(" ")
}

/// Returns an attribute as text.
fn find<'a>(mut attributes: impl Iterator<Item = &'a KeyValue>, key: &str) -> Option<String> {
    let pair = attributes.find(|pair| pair.key.as_str() == key)?;
    Some(match &pair.value {
        Value::String(text) => text.to_string(),
        other => other.to_string(),
    })
}
