//! The destination of one signal, from variables and code.

use std::{path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue, Uri, uri::Scheme};
use opentelemetry_sdk::metrics::Temporality;

#[cfg(feature = "setup-tls")]
use super::tls::TlsConfig;
use super::{
    Compression, Otlp, OtlpProtocol, SetupError, Signal,
    endpoint::{Endpoint, Origin, Parsed},
    environment::{Environment, NO_LIMIT},
    headers::{headers_in_code, headers_of},
    tls::{PemFile, TlsFiles},
};

/// The OTLP settings of one signal, checked.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) protocol: OtlpProtocol,
    pub(crate) endpoint: Uri,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) timeout: Duration,
    pub(crate) compression: Compression,
    /// Present for an `https` endpoint.
    #[cfg(feature = "setup-tls")]
    pub(crate) tls: Option<TlsConfig>,
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
        let named = self.first("PROTOCOL", |name| environment.choice(name, &PROTOCOLS))?;
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
        let files = self.tls_files()?;
        let Some((protocol, endpoint, mut notices)) =
            self.endpoint(named, insecure == Some(true))?
        else {
            return Ok(None);
        };
        let is_tls = endpoint.scheme() == Some(&Scheme::HTTPS);
        let is_unused = cfg!(feature = "setup-tls") && !is_tls;
        let unused: Vec<_> = files.variables().filter(|_| is_unused).collect();
        if !unused.is_empty() {
            let names = unused.join(", ");
            notices.push(format!("{names}: no effect on {}, which is not TLS", place(&endpoint)));
        }
        #[cfg(feature = "setup-tls")]
        let tls = if is_tls { files.config(environment)? } else { None };
        #[cfg(feature = "setup-tls")]
        if is_tls && tls.is_none() {
            return Ok(None);
        }
        Ok(Some(Destination {
            protocol,
            endpoint,
            headers: headers.unwrap_or(in_code),
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT).min(NO_LIMIT),
            compression,
            #[cfg(feature = "setup-tls")]
            tls,
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
            OtlpProtocol::HttpProtobuf | OtlpProtocol::HttpJson => None,
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
            (OtlpProtocol::HttpJson, Some(GRPC_PORT)) => ("http/json", "grpc"),
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

    fn tls_files(&self) -> Result<TlsFiles, SetupError> {
        let Self { own, general, .. } = *self;
        let file = |setting: &str, in_code: fn(&Otlp) -> &Option<PathBuf>| {
            let named = self.first(setting, |name| {
                let path = self.environment.text(name)?;
                let origin = Origin::Variable(name.to_owned());
                Ok(path.map(|path| PemFile { path: path.into(), origin }))
            })?;
            let in_code = in_code(own).as_ref().or_else(|| in_code(general).as_ref());
            Ok(named.or_else(|| {
                in_code.map(|path| PemFile { path: path.clone(), origin: Origin::Code })
            }))
        };
        Ok(TlsFiles {
            certificate: file("CERTIFICATE", |otlp| &otlp.certificate)?,
            client_certificate: file("CLIENT_CERTIFICATE", |otlp| &otlp.client_certificate)?,
            client_key: file("CLIENT_KEY", |otlp| &otlp.client_key)?,
        })
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
    /// Returns the URL for notices: without a query, and without parts of the path that may be a key.
    pub(crate) fn shown_url(&self) -> String {
        match self.protocol {
            OtlpProtocol::Grpc => place(&self.endpoint),
            _ => shown(&self.endpoint),
        }
    }

    /// Returns `otel.component.type` of the exporter.
    pub(crate) fn component(&self, signal: Signal) -> String {
        let protocol = match self.protocol {
            OtlpProtocol::Grpc => "grpc",
            OtlpProtocol::HttpProtobuf => "http",
            OtlpProtocol::HttpJson => "http_json",
        };
        let signal = match signal {
            Signal::Traces => "span",
            Signal::Metrics => "metric",
            Signal::Logs => "log",
        };
        format!("otlp_{protocol}_{signal}_exporter")
    }

    pub(crate) fn host(&self) -> &str {
        self.endpoint.host().unwrap_or_default()
    }

    pub(crate) fn port(&self) -> u16 {
        let is_tls = self.endpoint.scheme() == Some(&Scheme::HTTPS);
        self.endpoint.port_u16().unwrap_or(if is_tls { 443 } else { 80 })
    }
}

/// Reads the temporality of metrics. The specification's `lowmemory` is the SDK's too.
pub(crate) fn temporality(
    environment: &Environment<'_>,
) -> Result<Option<Temporality>, SetupError> {
    environment.choice("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", &TEMPORALITIES)
}

fn shown(uri: &Uri) -> String {
    let parts = uri.path().split('/').map(|part| if is_word(part) { part } else { "…" });
    format!("{}{}", place(uri), parts.collect::<Vec<_>>().join("/"))
}

/// Returns true for a part of a path that is no key: a short word, or a version such as `v1`.
fn is_word(part: &str) -> bool {
    let letters = part.strip_prefix('v').map_or(part, |rest| rest.trim_start_matches(is_digit));
    let is_letter = |c: char| c.is_ascii_alphabetic() || "-_.".contains(c);
    part.len() <= LONGEST_WORD && letters.chars().all(is_letter)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn general(setting: &str) -> String {
    format!("OTEL_EXPORTER_OTLP_{setting}")
}

fn place(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map(|authority| authority.as_str());
    format!("{scheme}://{}", authority.unwrap_or_default())
}

const PROTOCOLS: [(&str, OtlpProtocol); 3] = [
    ("grpc", OtlpProtocol::Grpc),
    ("http/protobuf", OtlpProtocol::HttpProtobuf),
    ("http/json", OtlpProtocol::HttpJson),
];

const COMPRESSIONS: [(&str, Compression); 2] =
    [("gzip", Compression::Gzip), ("none", Compression::None)];

const TEMPORALITIES: [(&str, Temporality); 3] = [
    ("cumulative", Temporality::Cumulative),
    ("delta", Temporality::Delta),
    ("lowmemory", Temporality::LowMemory),
];

const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

/// A longer part of a path may be a key.
const LONGEST_WORD: usize = 24;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// A doubled path is seen, and a key is not.
    #[test]
    fn urls_are_shown_without_keys() {
        for (url, expected) in [
            ("http://a:4318/v1/traces", "http://a:4318/v1/traces"),
            ("http://a/v1/traces/v1/traces", "http://a/v1/traces/v1/traces"),
            ("http://a/api/v1/otlp/v1/metrics?key=x", "http://a/api/v1/otlp/v1/metrics"),
            ("http://a/insert/opentelemetry/v1/logs", "http://a/insert/opentelemetry/v1/logs"),
            ("http://a/s3cret/v1/logs", "http://a/…/v1/logs"),
            ("http://a/abcdefghijklmnopqrstuvwxyz/v1/logs", "http://a/…/v1/logs"),
            ("http://a/a%20b", "http://a/…"),
            ("http://a", "http://a/"),
        ] {
            assert_eq!(shown(&url.parse().unwrap()), expected);
        }
    }
}
