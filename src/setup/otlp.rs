//! How telemetry gets to a Collector or a backend: settings in code, and the variables before them.

use std::{fmt, time::Duration};

use http::{HeaderName, HeaderValue, Uri, uri::Scheme};
use opentelemetry_sdk::metrics::Temporality;

use super::{
    SetupError, Signal,
    variables::{self, Variables},
};

/// The encoding and transport of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// `grpc`, on port 4317 by default.
    Grpc,
    /// `http/protobuf`, on port 4318 by default.
    #[default]
    HttpProtobuf,
}

/// How what is sent is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
}

/// The settings of an OTLP exporter, for where the environment says nothing.
///
/// What is sent over TLS (`https://`) needs the feature `setup-tls`; it trusts the certificates of the
/// system, or those that `SSL_CERT_FILE` names.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tower_telemetry::setup::{Compression, Otlp, Protocol};
///
/// let otlp = Otlp::new()
///     .with_protocol(Protocol::Grpc)
///     .with_endpoint("http://collector.internal:4317")
///     .with_header("x-tenant", "shop")
///     .with_compression(Compression::Gzip)
///     .with_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Default)]
pub struct Otlp {
    protocol: Option<Protocol>,
    endpoint: Option<String>,
    headers: Vec<(String, String)>,
    timeout: Option<Duration>,
    compression: Option<Compression>,
}

impl Otlp {
    /// The specification's defaults: `http/protobuf` to localhost.
    pub fn new() -> Self {
        Self::default()
    }

    /// By which protocol.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Where to. For all signals this is the base, to which `http/protobuf` adds `/v1/traces` and the
    /// like; for one signal ([`with_signal_otlp`](super::TelemetryBuilder::with_signal_otlp)) it is
    /// used as it is.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// A header of each request, such as a backend's key.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long one attempt may take. Default: 10 seconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How requests are compressed. Default: not at all.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }
}

impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Otlp")
            .field("protocol", &self.protocol)
            .field("headers", &names)
            .field("timeout", &self.timeout)
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

/// What holds for one signal.
pub(super) struct Destination {
    pub(super) protocol: Protocol,
    pub(super) endpoint: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) timeout: Duration,
    pub(super) compression: Compression,
}

impl Destination {
    /// The signal's variable, the general one, what the code says of the signal, what it says of
    /// all, and the specification's default: the first of these that says something.
    pub(super) fn new(
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
    pub(super) fn place(&self) -> String {
        let scheme = self.endpoint.scheme_str().unwrap_or_default();
        let authority = self.endpoint.authority().map(|authority| authority.as_str());
        format!("{scheme}://{}", authority.unwrap_or_default())
    }

    /// What is likely a mistake: a protocol on the port of the other.
    pub(super) fn suspicion(&self, signal: Signal) -> Option<String> {
        let port = self.endpoint.port_u16();
        let (is, other) = match (self.protocol, port) {
            (Protocol::HttpProtobuf, Some(4317)) => ("http/protobuf", "grpc"),
            (Protocol::Grpc, Some(4318)) => ("grpc", "http/protobuf"),
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
pub(super) fn temporality(variables: &Variables) -> Result<Temporality, SetupError> {
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    Ok(variables.choice(name, &TEMPORALITIES)?.unwrap_or_default())
}

/// The names of a setting's variables.
struct Names {
    signal: Signal,
}

impl Names {
    fn own(&self, setting: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{setting}", self.signal.in_variables())
    }

    fn general(setting: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{setting}")
    }

    /// What the signal's own variable says, or else the general one.
    fn first<T>(
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
    fn path(&self) -> String {
        format!("/v1/{}", self.signal)
    }
}

fn endpoint(
    names: &Names,
    variables: &Variables,
    protocol: Protocol,
    own: &Otlp,
    general: &Otlp,
) -> Result<Uri, SetupError> {
    let insecure = match protocol {
        Protocol::Grpc => names.first("INSECURE", |name| {
            variables.choice(name, &[("true", true), ("false", false)])
        })?,
        Protocol::HttpProtobuf => None,
    };
    let scheme_of_none = match protocol {
        Protocol::Grpc if insecure == Some(true) => Some("http"),
        Protocol::Grpc => Some("https"),
        Protocol::HttpProtobuf => None,
    };
    let under = |base: &str| match protocol {
        Protocol::HttpProtobuf => format!("{}{}", base.trim_end_matches('/'), names.path()),
        Protocol::Grpc => base.to_owned(),
    };
    let as_it_is = |url: &str| url.to_owned();
    let candidates = [
        (Some(names.own("ENDPOINT")), None, true),
        (Some(Names::general("ENDPOINT")), None, false),
        (None, own.endpoint.as_deref(), true),
        (None, general.endpoint.as_deref(), false),
    ];
    for (variable, in_code, is_own) in candidates {
        let value = match &variable {
            Some(name) => variables.text(name),
            None => in_code.map(str::to_owned),
        };
        let Some(value) = value else { continue };
        let url = if is_own { as_it_is(&value) } else { under(&value) };
        return parse(&url, scheme_of_none).map_err(|reason| match variable {
            // A URL that may hold credentials is shown nowhere.
            Some(name) if value.contains(['@', '?']) => SetupError::secret_variable(&name, reason),
            Some(name) => SetupError::variable(&name, &value, reason),
            None => SetupError::setting("Otlp::with_endpoint", reason),
        });
    }
    let port = match protocol {
        Protocol::Grpc => 4317,
        Protocol::HttpProtobuf => 4318,
    };
    let url = under(&format!("http://localhost:{port}"));
    parse(&url, scheme_of_none)
        .map_err(|reason| SetupError::setting("the default endpoint", reason))
}

/// The URL, or what is allowed.
fn parse(url: &str, scheme_of_none: Option<&str>) -> Result<Uri, &'static str> {
    let uri: Option<Uri> = match scheme_of_none {
        Some(scheme) if !url.contains("://") => format!("{scheme}://{url}").parse().ok(),
        _ => url.parse().ok(),
    };
    let uri = uri.filter(|uri| {
        let is_http = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        is_http && uri.host().is_some_and(|host| !host.is_empty())
    });
    let Some(uri) = uri else { return Err("a URL like http://host:port or https://host:port") };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a URL without credentials; those belong into OTEL_EXPORTER_OTLP_HEADERS");
    }
    if uri.scheme() == Some(&Scheme::HTTPS) && cfg!(not(feature = "setup-tls")) {
        return Err("an http:// URL, for this program is built without the feature `setup-tls`");
    }
    Ok(uri)
}

type Headers = Vec<(HeaderName, HeaderValue)>;

fn headers_of(variables: &Variables, name: &str) -> Result<Option<Headers>, SetupError> {
    let Some(list) = variables.text(name) else { return Ok(None) };
    let headers = variables::pairs(&list).and_then(|pairs| {
        pairs.iter().map(|(name, value)| header(name, value)).collect::<Option<Vec<_>>>()
    });
    match headers {
        Some(headers) => Ok(Some(headers)),
        None => Err(SetupError::secret_variable(
            name,
            "name=value pairs separated by commas, the values percent-encoded",
        )),
    }
}

fn headers_in_code(otlp: &Otlp) -> Result<Headers, SetupError> {
    let headers = otlp.headers.iter();
    headers
        .map(|(name, value)| {
            header(name, value).ok_or_else(|| {
                SetupError::setting("Otlp::with_header", format_args!("{name:?} is no header"))
            })
        })
        .collect()
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name.parse().ok()?, value))
}

const PROTOCOLS: [(&str, Protocol); 2] =
    [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)];

const COMPRESSIONS: [(&str, Compression); 2] =
    [("gzip", Compression::Gzip), ("none", Compression::None)];

const TEMPORALITIES: [(&str, Temporality); 3] = [
    ("cumulative", Temporality::Cumulative),
    ("delta", Temporality::Delta),
    ("lowmemory", Temporality::LowMemory),
];

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
