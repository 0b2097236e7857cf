//! The destination of one signal, from variables and code.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use opentelemetry_sdk::metrics::Temporality;

use super::{
    Compression, Otlp, OtlpProtocol, SetupError, Signal,
    endpoint::endpoint,
    headers::{headers_in_code, headers_of},
    variables::Variables,
};

/// What holds for one signal.
pub(crate) struct Destination {
    pub(crate) protocol: OtlpProtocol,
    pub(crate) endpoint: Uri,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) timeout: Duration,
    pub(crate) compression: Compression,
}

impl Destination {
    /// The signal's variable, the general one, what the code says of the signal, what it says of
    /// all, and the specification's default: the first of these that says something.
    pub(crate) fn new(
        signal: Signal,
        variables: &Variables,
        own: &Otlp,
        general: &Otlp,
    ) -> Result<Self, SetupError> {
        let names = Names { signal };
        let protocol = names
            .first("PROTOCOL", |name| variables.choice(name, &PROTOCOLS))?
            .or(own.protocol)
            .or(general.protocol)
            .unwrap_or_default();
        let compression = names
            .first("COMPRESSION", |name| variables.choice(name, &COMPRESSIONS))?
            .or(own.compression)
            .or(general.compression)
            .unwrap_or_default();
        let timeout = names
            .first("TIMEOUT", |name| variables.millis(name))?
            .or(own.timeout)
            .or(general.timeout)
            .unwrap_or(DEFAULT_TIMEOUT);
        if timeout.is_zero() {
            return Err(SetupError::setting(
                "Otlp::with_timeout",
                "no attempt succeeds in no time",
            ));
        }
        let endpoint = endpoint(&names, variables, protocol, own, general)?;
        let headers = match names.first("HEADERS", |name| headers_of(variables, name))? {
            Some(headers) => headers,
            None => headers_in_code(if own.headers.is_empty() { general } else { own })?,
        };
        Ok(Self { protocol, endpoint, headers, timeout, compression })
    }

    /// Where it is, for the eyes of the operator. Path and query may hold a key.
    pub(crate) fn place(&self) -> String {
        let scheme = self.endpoint.scheme_str().unwrap_or_default();
        let authority = self.endpoint.authority().map(|authority| authority.as_str());
        format!("{scheme}://{}", authority.unwrap_or_default())
    }

    /// What is likely a mistake: a protocol on the port of the other.
    pub(crate) fn suspicion(&self, signal: Signal) -> Option<String> {
        let port = self.endpoint.port_u16();
        let (is, other) = match (self.protocol, port) {
            (OtlpProtocol::HttpProtobuf, Some(4317)) => ("http/protobuf", "grpc"),
            (OtlpProtocol::Grpc, Some(4318)) => ("grpc", "http/protobuf"),
            _ => return None,
        };
        Some(format!(
            "{signal} go by {is} to {}, but receivers expect {other} on that port: set \
             OTEL_EXPORTER_OTLP_PROTOCOL={other}, or the other port",
            self.place()
        ))
    }
}

/// How measurements are summed up over time. The specification's `lowmemory` is the SDK's too.
pub(crate) fn temporality(variables: &Variables) -> Result<Temporality, SetupError> {
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    Ok(variables.choice(name, &TEMPORALITIES)?.unwrap_or_default())
}

/// The names of a setting's variables.
pub(crate) struct Names {
    signal: Signal,
}

impl Names {
    pub(crate) fn own(&self, setting: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{setting}", self.signal.in_variables())
    }

    pub(crate) fn general(setting: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{setting}")
    }

    /// What the signal's own variable says, or else the general one.
    pub(crate) fn first<T>(
        &self,
        setting: &str,
        mut read: impl FnMut(&str) -> Result<Option<T>, SetupError>,
    ) -> Result<Option<T>, SetupError> {
        match read(&self.own(setting))? {
            Some(value) => Ok(Some(value)),
            None => read(&Self::general(setting)),
        }
    }

    /// The path of the signal under a base.
    pub(crate) fn path(&self) -> String {
        format!("/v1/{}", self.signal)
    }
}

const PROTOCOLS: [(&str, OtlpProtocol); 2] =
    [("grpc", OtlpProtocol::Grpc), ("http/protobuf", OtlpProtocol::HttpProtobuf)];

const COMPRESSIONS: [(&str, Compression); 2] =
    [("gzip", Compression::Gzip), ("none", Compression::None)];

const TEMPORALITIES: [(&str, Temporality); 3] = [
    ("cumulative", Temporality::Cumulative),
    ("delta", Temporality::Delta),
    ("lowmemory", Temporality::LowMemory),
];

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
