//! A receiver of OTLP over gRPC and HTTP, on one port.

#![allow(dead_code, reason = "each of the tests that share it uses a part")]

use std::{
    io::Read,
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::HeaderMap,
    routing::post,
};
use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs},
    metrics::v1::{Metric, ResourceMetrics},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, Span},
};
use prost::Message;
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::{Code, Request, Response, Status, codec::CompressionEncoding, service::Routes};
use tonic_types::{ErrorDetails, StatusExt};

/// The telemetry and the requests that arrived.
#[derive(Default, Clone)]
pub(crate) struct Received {
    pub(crate) traces: Vec<ResourceSpans>,
    pub(crate) metrics: Vec<ResourceMetrics>,
    pub(crate) logs: Vec<ResourceLogs>,
    /// The path of each request, with its headers.
    pub(crate) requests: Vec<(String, HeaderMap)>,
}

impl Received {
    pub(crate) fn spans(&self) -> Vec<&Span> {
        self.traces.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).collect()
    }

    pub(crate) fn log_records(&self) -> Vec<&LogRecord> {
        self.logs.iter().flat_map(|r| &r.scope_logs).flat_map(|s| &s.log_records).collect()
    }

    /// Returns the metrics with a name, in the order of their arrival.
    pub(crate) fn metrics(&self, name: &str) -> Vec<&Metric> {
        let all = self.metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
        all.filter(|metric| metric.name == name).collect()
    }

    pub(crate) fn resource(&self) -> &Resource {
        let traces = self.traces.iter().map(|r| &r.resource);
        let metrics = self.metrics.iter().map(|r| &r.resource);
        let logs = self.logs.iter().map(|r| &r.resource);
        traces.chain(metrics).chain(logs).flatten().next().expect("something has arrived")
    }
}

/// Returns an attribute as text.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match attribute.value.clone()?.value? {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// The behaviour of the receiver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Takes,
    /// Reads requests and never answers.
    Hangs,
    /// Takes the request but for some items, and says why. With none rejected it only warns.
    Rejects(u8),
    /// Fails with a status of HTTP or of gRPC, and asks for a pause of seconds.
    Fails(u16, Code, Option<u8>),
    /// Answers with more bytes than an exporter should read.
    Chatters,
}

impl Mood {
    pub(crate) const REFUSES: Self = Self::Fails(401, Code::Unauthenticated, None);
    pub(crate) const OVERWHELMED: Self = Self::Fails(429, Code::Unavailable, Some(1));
}

#[derive(Clone)]
struct Shared(Arc<(Mutex<(Mood, Received)>, Condvar)>);

impl Shared {
    fn new() -> Self {
        Self(Arc::new((Mutex::new((Mood::Takes, Received::default())), Condvar::new())))
    }

    /// Stores the message if the receiver takes it. Returns how to answer.
    async fn hear(
        &self,
        path: &str,
        headers: &HeaderMap,
        store: impl FnOnce(&mut Received),
    ) -> Mood {
        let mood = {
            let (state, changed) = &*self.0;
            let mut state = state.lock().unwrap();
            state.1.requests.push((path.to_owned(), headers.clone()));
            if matches!(state.0, Mood::Takes | Mood::Rejects(_)) {
                store(&mut state.1);
            }
            changed.notify_all();
            state.0
        };
        if mood == Mood::Hangs {
            std::future::pending::<()>().await;
        }
        mood
    }
}

/// A receiver with a thread of its own.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Shared,
    runtime: Option<Runtime>,
    tls: Option<TlsAcceptor>,
}

impl Receiver {
    /// Starts a receiver with TLS. Returns its certificate too, as PEM.
    pub(crate) fn start_with_tls() -> (Self, String) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let config = tls_config().with_no_client_auth();
        let config = config.with_single_cert(vec![cert.der().clone()], key).unwrap();
        (Self::start_with(config), cert.pem())
    }

    /// Starts a receiver that demands a certificate of an authority.
    pub(crate) fn start_with_mutual_tls(
        certificate: CertificateDer<'static>,
        key: Vec<u8>,
        authority: CertificateDer<'static>,
    ) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let config = tls_config().with_client_cert_verifier(clients.build().unwrap());
        let key = PrivateKeyDer::Pkcs8(key.into());
        Self::start_with(config.with_single_cert(vec![certificate], key).unwrap())
    }

    fn start_with(mut config: rustls::ServerConfig) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tls = Some(TlsAcceptor::from(Arc::new(config)));
        let address = "127.0.0.1:0".parse().unwrap();
        let mut receiver = Self { address, shared: Shared::new(), runtime: None, tls };
        receiver.resume();
        receiver
    }

    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let mut receiver = Self { address, shared: Shared::new(), runtime: None, tls: None };
        receiver.resume();
        receiver
    }

    /// Stops the receiver and its connections. It retains what it has received.
    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }

    /// Starts it on its address.
    pub(crate) fn resume(&mut self) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = {
            let _entered = runtime.enter();
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(self.address).unwrap();
            socket.listen(1024).unwrap()
        };
        self.address = listener.local_addr().unwrap();
        let app = app(self.shared.clone());
        match self.tls.clone() {
            None => runtime.spawn(async move { axum::serve(listener, app).await }),
            Some(tls) => {
                let listener = TlsListener { listener, tls };
                runtime.spawn(async move { axum::serve(listener, app).await })
            }
        };
        self.runtime = Some(runtime);
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.shared.0.0.lock().unwrap().0 = mood;
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    pub(crate) fn received(&self) -> Received {
        self.shared.0.0.lock().unwrap().1.clone()
    }

    /// Waits until the condition holds, for a minute at most. Returns what has arrived then.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn(&Received) -> bool) -> Received {
        let (state, changed) = &*self.shared.0;
        let limit = Duration::from_secs(60);
        let state = state.lock().unwrap();
        let (state, timeout) =
            changed.wait_timeout_while(state, limit, |state| !condition(&state.1)).unwrap();
        assert!(!timeout.timed_out(), "{what} has arrived");
        state.1.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn tls_config() -> rustls::ConfigBuilder<rustls::ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    config.with_safe_default_protocol_versions().unwrap()
}

struct TlsListener {
    listener: tokio::net::TcpListener,
    tls: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<tokio::net::TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            // A client that does not trust the certificate disconnects.
            let Ok(stream) = self.tls.accept(stream).await else { continue };
            return (stream, address);
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Returns an address without a listener. No other socket gets its port, until one is bound to it by name.
pub(crate) fn nowhere() -> SocketAddr {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}

fn app(shared: Shared) -> Router {
    let gzip = CompressionEncoding::Gzip;
    Routes::new(TraceServiceServer::new(shared.clone()).accept_compressed(gzip))
        .add_service(MetricsServiceServer::new(shared.clone()).accept_compressed(gzip))
        .add_service(LogsServiceServer::new(shared.clone()).accept_compressed(gzip))
        .into_axum_router()
        .merge(
            Router::new()
                .route("/v1/traces", post(http_traces))
                .route("/own/path", post(http_traces))
                .route("/v1/metrics", post(http_metrics))
                .route("/v1/logs", post(http_logs))
                .with_state(shared),
        )
        .layer(DefaultBodyLimit::disable())
}

/// Decodes the body of a request.
fn decoded<M: Message + Default + DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> M {
    let mut plain = body.to_vec();
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        plain.clear();
        flate2::read::GzDecoder::new(&**body).read_to_end(&mut plain).unwrap();
    }
    match headers["content-type"].to_str().unwrap() {
        "application/json" => serde_json::from_slice(&plain).unwrap(),
        "application/x-protobuf" => M::decode(&*plain).unwrap(),
        other => panic!("the content type {other}"),
    }
}

/// Answers by HTTP, in the encoding of the request. `field` is the JSON name of the rejected items.
fn http_answer(mood: Mood, headers: &HeaderMap, field: &str) -> axum::response::Response {
    use axum::{http::StatusCode, response::IntoResponse};

    let content_type = headers["content-type"].clone();
    let is_json = content_type == "application/json";
    let (status, retry_after, body) = match mood {
        Mood::Fails(status, _, retry_after) => {
            let message = tonic_types::Status { message: WHY_NOT.to_owned(), ..Default::default() };
            let json = format!(r#"{{"code":3,"message":"{WHY_NOT}"}}"#);
            let body = if is_json { json.into_bytes() } else { message.encode_to_vec() };
            (status, retry_after, body)
        }
        Mood::Rejects(rejected) => {
            let json = format!(
                r#"{{"partialSuccess":{{"{field}":"{rejected}","errorMessage":"{TOO_OLD}"}}}}"#
            );
            let body = if is_json { json.into_bytes() } else { rejecting(rejected) };
            (200, None, body)
        }
        Mood::Chatters => (200, None, vec![b' '; 5 << 20]),
        _ => (200, None, if is_json { b"{}".to_vec() } else { Vec::new() }),
    };
    let mut answer = (StatusCode::from_u16(status).unwrap(), body).into_response();
    answer.headers_mut().insert("content-type", content_type);
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert("retry-after", u16::from(seconds).into());
    }
    answer
}

/// Returns a response with a partial success, which has the same shape for each signal.
fn rejecting(rejected: u8) -> Vec<u8> {
    let partial_success = Some(ExportTracePartialSuccess {
        rejected_spans: rejected.into(),
        error_message: TOO_OLD.to_owned(),
    });
    ExportTraceServiceResponse { partial_success }.encode_to_vec()
}

/// The words of a receiver that repeats a key.
pub(crate) const WHY_NOT: &str = "not with s3cret-key";
pub(crate) const TOO_OLD: &str = "too old";

fn path_and_query(uri: &axum::http::Uri) -> String {
    uri.path_and_query().unwrap().to_string()
}

async fn http_traces(
    State(shared): State<Shared>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let message: ExportTraceServiceRequest = decoded(&headers, &body);
    let store = |received: &mut Received| received.traces.extend(message.resource_spans);
    let mood = shared.hear(&path_and_query(&uri), &headers, store).await;
    http_answer(mood, &headers, "rejectedSpans")
}

async fn http_metrics(
    State(shared): State<Shared>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let message: ExportMetricsServiceRequest = decoded(&headers, &body);
    let store = |received: &mut Received| received.metrics.extend(message.resource_metrics);
    let mood = shared.hear(&path_and_query(&uri), &headers, store).await;
    http_answer(mood, &headers, "rejectedDataPoints")
}

async fn http_logs(
    State(shared): State<Shared>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let message: ExportLogsServiceRequest = decoded(&headers, &body);
    let store = |received: &mut Received| received.logs.extend(message.resource_logs);
    let mood = shared.hear(&path_and_query(&uri), &headers, store).await;
    http_answer(mood, &headers, "rejectedLogRecords")
}

fn grpc_answer<T: Message + Default>(mood: Mood) -> Result<Response<T>, Status> {
    match mood {
        Mood::Fails(_, code, None) => Err(Status::new(code, WHY_NOT)),
        Mood::Fails(_, code, Some(seconds)) => {
            let pause = Some(Duration::from_secs(seconds.into()));
            let details = ErrorDetails::with_retry_info(pause);
            Err(Status::with_error_details(code, WHY_NOT, details))
        }
        Mood::Rejects(rejected) => Ok(Response::new(T::decode(&*rejecting(rejected)).unwrap())),
        Mood::Chatters => {
            let message = "x".repeat(5 << 20);
            let partial_success =
                Some(ExportTracePartialSuccess { rejected_spans: 0, error_message: message });
            let chatter = ExportTraceServiceResponse { partial_success }.encode_to_vec();
            Ok(Response::new(T::decode(&*chatter).unwrap()))
        }
        Mood::Takes | Mood::Hangs => Ok(Response::new(T::default())),
    }
}

#[tonic::async_trait]
impl TraceService for Shared {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        let message = request.into_inner();
        let store = |received: &mut Received| received.traces.extend(message.resource_spans);
        grpc_answer(self.hear("traces", &headers, store).await)
    }
}

#[tonic::async_trait]
impl MetricsService for Shared {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        let message = request.into_inner();
        let store = |received: &mut Received| received.metrics.extend(message.resource_metrics);
        grpc_answer(self.hear("metrics", &headers, store).await)
    }
}

#[tonic::async_trait]
impl LogsService for Shared {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        let message = request.into_inner();
        let store = |received: &mut Received| received.logs.extend(message.resource_logs);
        grpc_answer(self.hear("logs", &headers, store).await)
    }
}
