//! The settings of OTLP exporters in code.

use std::{fmt, path::PathBuf, time::Duration};

/// The encoding and transport of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OtlpProtocol {
    /// `grpc`, on port 4317 by default.
    Grpc,
    /// `http/protobuf`, on port 4318 by default.
    #[default]
    HttpProtobuf,
    /// `http/json`, on port 4318 by default.
    HttpJson,
}

/// The compression of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip (RFC 1952).
    Gzip,
}

/// The settings of an OTLP exporter. Environment variables override them.
///
/// TLS (`https://`) needs the feature `setup-tls`. It trusts the certificates of the system, or those in
/// the file that `SSL_CERT_FILE` names, unless
/// [`with_certificate_file`](Self::with_certificate_file) says otherwise.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tower_telemetry::setup::{Compression, Otlp, OtlpProtocol};
///
/// let otlp = Otlp::new()
///     .with_protocol(OtlpProtocol::Grpc)
///     .with_endpoint("http://collector.internal:4317")
///     .with_header("x-tenant", "shop")
///     .with_compression(Compression::Gzip)
///     .with_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Default)]
pub struct Otlp {
    pub(super) protocol: Option<OtlpProtocol>,
    pub(super) endpoint: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Option<Duration>,
    pub(super) compression: Option<Compression>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) client_certificate: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
}

impl Otlp {
    /// Creates settings with the specification's defaults: `http/protobuf` to `localhost:4318`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the protocol. Default: gRPC if the endpoint has the port 4317, otherwise
    /// `http/protobuf`.
    #[must_use]
    pub fn with_protocol(mut self, protocol: OtlpProtocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Sets the URL of the receiver.
    ///
    /// For all signals it is a base, to which `http/protobuf` adds `/v1/traces`, `/v1/metrics` or
    /// `/v1/logs`. For one signal
    /// ([`with_signal_otlp`](crate::setup::TelemetryBuilder::with_signal_otlp)) it is used as it
    /// is.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Adds a header to each request, such as a backend's key.
    ///
    /// Headers that the exporter or the protocol sets (`host`, `content-type`, `te`, `grpc-timeout`
    /// and the like) are refused by [`build`](crate::setup::TelemetryBuilder::build). `user-agent`
    /// goes before the exporter's own.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Limits the time of one attempt. Default: 10 seconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Trusts the certificates in a PEM file instead of those of the system.
    ///
    /// The file is read by [`build`](crate::setup::TelemetryBuilder::build), which fails if it can't be
    /// read. The variable is `OTEL_EXPORTER_OTLP_CERTIFICATE`.
    #[must_use]
    pub fn with_certificate_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificate = Some(path.into());
        self
    }

    /// Shows the receiver a certificate (mutual TLS): PEM files with the certificate, followed by those
    /// that issued it, and with its private key.
    ///
    /// The variables are `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY`.
    #[must_use]
    pub fn with_client_certificate_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.client_certificate = Some(certificate.into());
        self.client_key = Some(key.into());
        self
    }

    /// Sets the compression of requests. Default: none.
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
