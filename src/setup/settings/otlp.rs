//! How telemetry gets to a Collector or a backend: settings in code, and the variables before them.

use std::{fmt, time::Duration};

/// The encoding and transport of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OtlpProtocol {
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
}

impl Otlp {
    /// The specification's defaults: `http/protobuf` to localhost.
    pub fn new() -> Self {
        Self::default()
    }

    /// By which protocol.
    #[must_use]
    pub fn with_protocol(mut self, protocol: OtlpProtocol) -> Self {
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
