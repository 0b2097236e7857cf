//! OTLP exporters, on a runtime of their own.

use std::{mem, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT},
    uri::Scheme,
};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::Context;
use opentelemetry_http::{HttpClient, HttpError, hyper::HyperClient};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, RetryPolicy, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::metrics::Temporality;
use tokio::runtime::{self, Handle, Runtime};
use tonic::{
    Request,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use super::reconnect::Reconnecting;
use crate::setup::settings::{Compression, Destination, OtlpProtocol, SetupError};

/// The runtime on which exporters connect and send. The program's own runtime may be
/// single-threaded, blocked, or absent.
#[derive(Debug)]
pub(crate) struct PrivateRuntime(Option<Runtime>);

impl PrivateRuntime {
    pub(crate) fn start() -> Result<Self, SetupError> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(2)
            .thread_name("telemetry")
            .enable_all()
            // Exporting spans and log records of the exporters would create more of them,
            // endlessly.
            .on_thread_start(|| mem::forget(Context::enter_telemetry_suppressed_scope()))
            .build()
            .map_err(SetupError::runtime)?;
        Ok(Self(Some(runtime)))
    }

    pub(crate) fn handle(&self) -> Handle {
        self.0.as_ref().expect("the runtime is present until drop").handle().clone()
    }
}

impl Drop for PrivateRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Dropping a runtime inside of another one panics.
            runtime.shutdown_background();
        }
    }
}

/// Builds exporters. An attempt may last for the destination's timeout, a batch with all its
/// attempts for `batch_timeout`.
pub(crate) struct Transport<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) batch_timeout: Duration,
}

impl Transport<'_> {
    pub(crate) fn spans(&self) -> Result<Reconnecting<SpanExporter>, SetupError> {
        let builder = SpanExporter::builder();
        self.built(match self.destination.protocol {
            OtlpProtocol::Grpc => self.grpc(builder.with_tonic())?.build(),
            OtlpProtocol::HttpProtobuf => self.http(builder.with_http())?.build(),
        })
    }

    pub(crate) fn metrics(
        &self,
        temporality: Temporality,
    ) -> Result<Reconnecting<MetricExporter>, SetupError> {
        let builder = MetricExporter::builder().with_temporality(temporality);
        self.built(match self.destination.protocol {
            OtlpProtocol::Grpc => self.grpc(builder.with_tonic())?.build(),
            OtlpProtocol::HttpProtobuf => self.http(builder.with_http())?.build(),
        })
    }

    pub(crate) fn logs(&self) -> Result<Reconnecting<LogExporter>, SetupError> {
        let builder = LogExporter::builder();
        self.built(match self.destination.protocol {
            OtlpProtocol::Grpc => self.grpc(builder.with_tonic())?.build(),
            OtlpProtocol::HttpProtobuf => self.http(builder.with_http())?.build(),
        })
    }

    fn built<E>(
        &self,
        exporter: Result<E, ExporterBuildError>,
    ) -> Result<Reconnecting<E>, SetupError> {
        let exporter = exporter.map_err(|error| SetupError::setting("the OTLP exporter", error))?;
        let Self { destination, batch_timeout } = *self;
        Ok(Reconnecting { exporter, protocol: destination.protocol, batch_timeout })
    }

    fn grpc<B: WithTonicConfig + WithExportConfig>(&self, builder: B) -> Result<B, SetupError> {
        let headers = self.destination.headers.clone();
        let builder = builder
            .with_channel(self.channel()?)
            .with_interceptor(move |mut request: Request<()>| {
                let mut all = mem::take(request.metadata_mut()).into_headers();
                replace(&mut all, &headers);
                *request.metadata_mut() = MetadataMap::from_headers(all);
                Ok(request)
            })
            .with_retry_policy(retry_policy())
            .with_timeout(self.batch_timeout);
        Ok(match self.destination.compression {
            Compression::Gzip => builder.with_compression(opentelemetry_otlp::Compression::Gzip),
            Compression::None => builder,
        })
    }

    fn http<B: WithHttpConfig + WithExportConfig>(&self, builder: B) -> Result<B, SetupError> {
        let timeout = self.destination.timeout;
        let is_tls = self.destination.endpoint.scheme() == Some(&Scheme::HTTPS);
        let client = if is_tls { tls_client(timeout)? } else { tcp_client(timeout) };
        let builder = builder
            .with_http_client(WithHeaders { client, headers: self.destination.headers.clone() })
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_endpoint(self.destination.endpoint.to_string())
            .with_retry_policy(retry_policy())
            .with_timeout(self.batch_timeout);
        Ok(match self.destination.compression {
            Compression::Gzip => builder.with_compression(opentelemetry_otlp::Compression::Gzip),
            Compression::None => builder,
        })
    }

    fn channel(&self) -> Result<Channel, SetupError> {
        let timeout = self.destination.timeout;
        let endpoint = Endpoint::from(self.destination.endpoint.clone())
            .timeout(timeout)
            .connect_timeout(timeout);
        Ok(with_tls(endpoint)?.connect_lazy())
    }
}

/// Retries until the batch's timeout, at least every five seconds, so that a receiver that is back
/// is found soon.
fn retry_policy() -> RetryPolicy {
    RetryPolicy::recommended()
        .with_max_retries(usize::MAX)
        .with_initial_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(5))
        .with_max_jitter(Duration::from_millis(250))
}

#[cfg(feature = "setup-tls")]
fn with_tls(endpoint: Endpoint) -> Result<Endpoint, SetupError> {
    use tonic::transport::ClientTlsConfig;

    if endpoint.uri().scheme() != Some(&Scheme::HTTPS) {
        return Ok(endpoint);
    }
    let tls = ClientTlsConfig::new().with_native_roots();
    endpoint.tls_config(tls).map_err(|error| SetupError::setting("TLS of the exporter", error))
}

#[cfg(not(feature = "setup-tls"))]
#[expect(clippy::unnecessary_wraps, reason = "as with TLS")]
fn with_tls(endpoint: Endpoint) -> Result<Endpoint, SetupError> {
    Ok(endpoint)
}

/// Reading the system's certificates takes time at start, so only `https` endpoints do.
#[cfg(feature = "setup-tls")]
fn tls_client(timeout: Duration) -> Result<Box<dyn HttpClient>, SetupError> {
    let mut tcp = tcp(timeout);
    tcp.enforce_http(false);
    let tls = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| SetupError::setting("TLS of the exporter", error))?;
    let connector = tls.https_or_http().enable_http1().enable_http2().wrap_connector(tcp);
    Ok(Box::new(HyperClient::new(connector, timeout, None)))
}

#[cfg(not(feature = "setup-tls"))]
#[expect(clippy::unnecessary_wraps, reason = "as with TLS")]
fn tls_client(timeout: Duration) -> Result<Box<dyn HttpClient>, SetupError> {
    Ok(tcp_client(timeout))
}

fn tcp_client(timeout: Duration) -> Box<dyn HttpClient> {
    Box::new(HyperClient::new(tcp(timeout), timeout, None))
}

fn tcp(timeout: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(timeout));
    tcp.set_nodelay(true);
    tcp
}

/// A client that adds the destination's headers.
#[derive(Debug)]
struct WithHeaders {
    client: Box<dyn HttpClient>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[async_trait]
impl HttpClient for WithHeaders {
    async fn send_bytes(
        &self,
        mut request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
        let headers = request.headers_mut();
        let is_compressed = headers.get(CONTENT_ENCODING).is_some_and(|value| value == "gzip");
        replace(headers, &self.headers);
        headers.insert(CONTENT_TYPE, PROTOBUF);
        if is_compressed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        self.client.send_bytes(request).await
    }
}

/// Replaces all headers but the exporter's `user-agent`, before which that of the destination goes.
///
/// The exporter adds the headers of the process's environment itself. If variables are looked up
/// elsewhere, a key in the process's environment is not meant for this destination.
fn replace(all: &mut HeaderMap, headers: &[(HeaderName, HeaderValue)]) {
    let own = all.get(USER_AGENT).filter(|own| own.as_bytes().starts_with(PRODUCT.as_bytes()));
    let own = own.cloned().unwrap_or(HeaderValue::from_static(PRODUCT));
    all.clear();
    all.extend(headers.iter().cloned());
    let user_agent = match all.get(USER_AGENT) {
        Some(first) => {
            let both = [first.as_bytes(), b" ", own.as_bytes()].concat();
            HeaderValue::from_bytes(&both).unwrap_or(own)
        }
        None => own,
    };
    all.insert(USER_AGENT, user_agent);
}

/// The product name in the exporter's `user-agent`.
const PRODUCT: &str = "OTel-OTLP-Exporter-Rust";
