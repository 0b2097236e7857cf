//! The destination of one signal, from variables and code.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use opentelemetry_sdk::metrics::Temporality;

use super::{
    Compression, Otlp, OtlpProtocol, SetupError, Signal,
    endpoint::{Endpoint, Origin, Parsed},
    environment::{Environment, NO_LIMIT},
    headers::{headers_in_code, headers_of},
};

/// The OTLP settings of one signal, checked.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) protocol: OtlpProtocol,
    pub(crate) endpoint: Uri,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) timeout: Duration,
    pub(crate) compression: Compression,
    /// Notices for the operator, if the signal is exported there.
    pub(crate) notices: Vec<String>,
}

/// The settings of one signal: its variables, and its code before the general code.
pub(crate) struct Sources<'a> {
    pub(crate) signal: Signal,
    pub(crate) environment: &'a Environment<'a>,
    pub(crate) own: &'a Otlp,
    pub(crate) general: &'a Otlp,
}

impl Sources<'_> {
    /// Takes each setting from the signal's variable, the general variable, the signal's code, the
    /// general code, or the default: the first of them that is set.
    ///
    /// Returns `None` if the endpoint in the environment is invalid. A default in its place would
    /// receive telemetry and a key that are not meant for it.
    pub(crate) fn destination(&self) -> Result<Option<Destination>, SetupError> {
        let Self { environment, own, general, .. } = *self;
        let named = self.first("PROTOCOL", |name| protocol(environment, name))?;
        let named = named.or(own.protocol).or(general.protocol);
        let compression = self
            .first("COMPRESSION", |name| environment.choice(name, &COMPRESSIONS))?
            .or(own.compression)
            .or(general.compression)
            .unwrap_or_default();
        let in_code = own.timeout.or(general.timeout);
        if in_code.is_some_and(|timeout| timeout.is_zero()) {
            let reason = "expected a timeout longer than zero";
            return Err(SetupError::setting("Otlp::with_timeout", reason));
        }
        let timeout = self.first("TIMEOUT", |name| environment.timeout(name))?.or(in_code);
        let insecure = self.first("INSECURE", |name| environment.boolean(name))?;
        let headers = self.first("HEADERS", |name| headers_of(environment, name))?;
        let in_code = headers_in_code(if own.headers.is_empty() { general } else { own })?;
        let Some((protocol, endpoint, notices)) = self.endpoint(named, insecure == Some(true))?
        else {
            return Ok(None);
        };
        Ok(Some(Destination {
            protocol,
            endpoint,
            headers: headers.unwrap_or(in_code),
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT).min(NO_LIMIT),
            compression,
            notices,
        }))
    }

    fn endpoint(
        &self,
        named: Option<OtlpProtocol>,
        is_insecure: bool,
    ) -> Result<Option<(OtlpProtocol, Uri, Vec<String>)>, SetupError> {
        let endpoint = self.written_endpoint(named.unwrap_or_default())?;
        let port = endpoint.port();
        let protocol = match named {
            Some(protocol) => protocol,
            None if port == Some(GRPC_PORT) => OtlpProtocol::Grpc,
            None => OtlpProtocol::default(),
        };
        let scheme = match protocol {
            OtlpProtocol::Grpc => Some(if is_insecure { "http" } else { "https" }),
            OtlpProtocol::HttpProtobuf => None,
        };
        let parsed = match endpoint.parse(self.signal, protocol, scheme) {
            Ok(parsed) => parsed,
            Err(expected) => {
                self.refuse(&endpoint, expected)?;
                return Ok(None);
            }
        };
        self.check(&endpoint, &parsed)?;
        let place = place(&parsed.uri);
        let mut notices = Vec::new();
        if let (None, OtlpProtocol::Grpc) = (named, protocol) {
            notices.push(format!(
                "OTLP to {place} uses gRPC, because no protocol is set and receivers expect gRPC on \
                 port {GRPC_PORT}; OTEL_EXPORTER_OTLP_PROTOCOL sets the protocol"
            ));
        }
        if let (true, Origin::Variable(name)) = (parsed.lacks_path, &endpoint.origin) {
            notices.push(format!(
                "{name} has no path and is used as it is, but receivers expect /v1/{}",
                self.signal
            ));
        }
        let (used, usual) = match (protocol, port) {
            (OtlpProtocol::HttpProtobuf, Some(GRPC_PORT)) => ("http/protobuf", "grpc"),
            (OtlpProtocol::Grpc, Some(HTTP_PORT)) => ("grpc", "http/protobuf"),
            _ => return Ok(Some((protocol, parsed.uri, notices))),
        };
        notices.push(format!(
            "OTLP to {place} uses {used}, but receivers expect {usual} on that port; set \
             OTEL_EXPORTER_OTLP_PROTOCOL={usual}, or change the port"
        ));
        Ok(Some((protocol, parsed.uri, notices)))
    }

    /// Returns the endpoint that takes precedence, as it is written.
    fn written_endpoint(&self, default: OtlpProtocol) -> Result<Endpoint, SetupError> {
        for (name, is_base) in [(self.own("ENDPOINT"), false), (general("ENDPOINT"), true)] {
            if let Some(text) = self.environment.text(&name)? {
                return Ok(Endpoint { text, origin: Origin::Variable(name), is_base });
            }
        }
        let in_code = [(&self.own.endpoint, false), (&self.general.endpoint, true)];
        for (text, is_base) in in_code {
            if let Some(text) = text.clone() {
                return Ok(Endpoint { text, origin: Origin::Code, is_base });
            }
        }
        let port = if default == OtlpProtocol::Grpc { GRPC_PORT } else { HTTP_PORT };
        let text = format!("http://localhost:{port}");
        Ok(Endpoint { text, origin: Origin::Default, is_base: true })
    }

    fn refuse(&self, endpoint: &Endpoint, expected: &str) -> Result<(), SetupError> {
        let Origin::Variable(name) = &endpoint.origin else {
            let reason = format!("expected {expected}");
            return Err(SetupError::setting("Otlp::with_endpoint", reason));
        };
        let error = match endpoint.shown() {
            Some(shown) => SetupError::invalid_value(name, &shown, expected),
            None => SetupError::hidden_value(name, expected),
        };
        self.environment.fault(error, "nothing is exported to it")
    }

    fn check(&self, endpoint: &Endpoint, parsed: &Parsed) -> Result<(), SetupError> {
        let fault = |sentence: &str, instead: &str| match &endpoint.origin {
            Origin::Variable(name) => {
                let error = SetupError::variable(name, format!("{name} {sentence}"));
                self.environment.fault(error, instead)
            }
            Origin::Code => {
                let reason = format!("the endpoint {sentence}");
                Err(SetupError::setting("Otlp::with_endpoint", reason))
            }
            Origin::Default => Ok(()),
        };
        if let Some(removed) = &parsed.removed {
            let sentence = format!("ends in {removed}, which is added for each signal");
            fault(&sentence, "that ending is removed")?;
        }
        if parsed.has_unused_path {
            fault("has a path or a query, which gRPC does not use", "they are ignored")?;
        }
        Ok(())
    }

    /// Reads the signal's own variable of a setting, or else the general one.
    fn first<T>(
        &self,
        setting: &str,
        mut read: impl FnMut(&str) -> Result<Option<T>, SetupError>,
    ) -> Result<Option<T>, SetupError> {
        match read(&self.own(setting))? {
            Some(value) => Ok(Some(value)),
            None => read(&general(setting)),
        }
    }

    fn own(&self, setting: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{setting}", self.signal.in_variables())
    }
}

impl Destination {
    /// Returns scheme, host and port. Path and query may hold a key.
    pub(crate) fn place(&self) -> String {
        place(&self.endpoint)
    }
}

/// Reads the temporality of metrics. The specification's `lowmemory` is the SDK's too.
pub(crate) fn temporality(environment: &Environment<'_>) -> Result<Temporality, SetupError> {
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    Ok(environment.choice(name, &TEMPORALITIES)?.unwrap_or_default())
}

/// Reads a protocol. `http/json` is of the specification, but the exporters do not support it yet.
fn protocol(environment: &Environment<'_>, name: &str) -> Result<Option<OtlpProtocol>, SetupError> {
    let Some(value) = environment.text(name)? else { return Ok(None) };
    if !value.eq_ignore_ascii_case("http/json") {
        return environment.choice(name, &PROTOCOLS);
    }
    let error = SetupError::invalid_value(name, &value, "one of grpc, http/protobuf");
    environment.fault(error, "http/protobuf is used")?;
    Ok(Some(OtlpProtocol::HttpProtobuf))
}

fn general(setting: &str) -> String {
    format!("OTEL_EXPORTER_OTLP_{setting}")
}

fn place(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map(|authority| authority.as_str());
    format!("{scheme}://{}", authority.unwrap_or_default())
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

const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
