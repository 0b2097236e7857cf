//! A receiver of OTLP over gRPC and HTTP, on one port.

#![allow(dead_code, reason = "each of the tests that share it uses a part")]

use std::{
    io::Read,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, http::HeaderMap, routing::post};
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
            ExportTraceServiceRequest, ExportTraceServiceResponse,
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
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::{Request, Response, Status, codec::CompressionEncoding, service::Routes};

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
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Takes,
    /// Reads requests and never answers.
    Hangs,
    /// Refuses without a hint to retry: 401, UNAUTHENTICATED.
    Refuses,
    /// Asks to retry later: 429 with `retry-after: 1`, UNAVAILABLE.
    Overwhelmed,
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
            if state.0 == Mood::Takes {
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
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tls = Some(TlsAcceptor::from(Arc::new(config)));
        let address = "127.0.0.1:0".parse().unwrap();
        let mut receiver = Self { address, shared: Shared::new(), runtime: None, tls };
        receiver.resume();
        (receiver, cert.pem())
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

/// Returns an address without a listener.
pub(crate) fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
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
}

type HttpAnswer = (axum::http::StatusCode, [(&'static str, &'static str); 1], Vec<u8>);

/// Decodes the body of a request.
fn decoded<M: Message + Default>(headers: &HeaderMap, body: &Bytes) -> M {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&**body).read_to_end(&mut plain).unwrap();
        return M::decode(&*plain).unwrap();
    }
    M::decode(&**body).unwrap()
}

fn http_answer(mood: Mood) -> HttpAnswer {
    use axum::http::StatusCode;
    match mood {
        Mood::Refuses => (StatusCode::UNAUTHORIZED, [("x-no", "no")], Vec::new()),
        Mood::Overwhelmed => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], Vec::new()),
        _ => (StatusCode::OK, [("content-type", "application/x-protobuf")], Vec::new()),
    }
}

fn path_and_query(uri: &axum::http::Uri) -> String {
    uri.path_and_query().unwrap().to_string()
}

async fn http_traces(
    State(shared): State<Shared>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> HttpAnswer {
    let message: ExportTraceServiceRequest = decoded(&headers, &body);
    let store = |received: &mut Received| received.traces.extend(message.resource_spans);
    http_answer(shared.hear(&path_and_query(&uri), &headers, store).await)
}

async fn http_metrics(
    State(shared): State<Shared>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> HttpAnswer {
    let message: ExportMetricsServiceRequest = decoded(&headers, &body);
    let store = |received: &mut Received| received.metrics.extend(message.resource_metrics);
    http_answer(shared.hear(&path_and_query(&uri), &headers, store).await)
}

async fn http_logs(
    State(shared): State<Shared>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> HttpAnswer {
    let message: ExportLogsServiceRequest = decoded(&headers, &body);
    let store = |received: &mut Received| received.logs.extend(message.resource_logs);
    http_answer(shared.hear(&path_and_query(&uri), &headers, store).await)
}

fn grpc_answer<T: Default>(mood: Mood) -> Result<Response<T>, Status> {
    match mood {
        Mood::Refuses => Err(Status::unauthenticated("no")),
        Mood::Overwhelmed => Err(Status::unavailable("later")),
        _ => Ok(Response::new(T::default())),
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
