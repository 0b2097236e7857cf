//! gRPC, with a real tonic server and channel over a loopback socket.

use http::HeaderName;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use tokio::{net::TcpListener, sync::Notify};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    codegen::{Service, http},
    server::{Grpc, NamedService},
    transport::{Channel, Endpoint, Server},
};
use tonic_prost::ProstCodec;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_telemetry::{Convention, Protocol, Server as ServerSide, filter};

use crate::support::{EXPECTED_PANIC, Telemetry, attribute, eventually, expect_panics, seconds};

type Messages = BoxStream<'static, Result<String, Status>>;

/// A service with a method of each kind. The message determines the behaviour.
#[derive(Clone, Default)]
struct Echo {
    entered: Arc<Notify>,
}

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Echo {
    async fn act(&self, message: &str) -> Result<String, Status> {
        match message.split_once(':') {
            Some(("status", code)) => {
                let code = Code::from_i32(code.parse().unwrap());
                let mut status = Status::new(code, "n\u{f6} such 100%");
                status.metadata_mut().insert("x-trailer", "t".parse().unwrap());
                Err(status)
            }
            _ if message == "never" => {
                self.entered.notify_one();
                std::future::pending().await
            }
            _ if message == "panic" => panic!("{EXPECTED_PANIC}"),
            _ => Ok(message.to_owned()),
        }
    }

    /// Returns two messages, then the result that `message` asks for.
    fn stream(&self, message: String) -> Messages {
        let this = self.clone();
        let last = stream::once(async move { this.act(&message).await });
        stream::iter([Ok("1".into()), Ok("2".into())]).chain(last).boxed()
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
            Ok(match request.uri().path() {
                "/test.Echo/Unary" => {
                    let unary = service_fn(move |request: Request<String>| {
                        let echo = echo.clone();
                        async move { echo.act(request.get_ref()).await.map(Response::new) }
                    });
                    grpc.unary(unary, request).await
                }
                "/test.Echo/ServerStream" => grpc.server_streaming(Streams(echo), request).await,
                "/test.Echo/ClientStream" => {
                    let collect = service_fn(move |request: Request<Streaming<String>>| {
                        let echo = echo.clone();
                        async move {
                            let mut messages = request.into_inner();
                            let mut last = String::new();
                            while let Some(message) = messages.message().await? {
                                last = message;
                            }
                            echo.act(&last).await.map(Response::new)
                        }
                    });
                    grpc.client_streaming(collect, request).await
                }
                "/test.Echo/Both" => grpc.streaming(Streams(echo), request).await,
                // A response without a status, as a broken proxy sends it.
                "/test.Echo/NoStatus" => http::Response::builder()
                    .header("content-type", "application/grpc")
                    .body(Body::empty())
                    .unwrap(),
                "/test.Echo/Proxy" => {
                    http::Response::builder().status(503).body(Body::empty()).unwrap()
                }
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

/// The methods that return a stream.
struct Streams(Echo);

impl tonic::server::ServerStreamingService<String> for Streams {
    type Response = String;
    type ResponseStream = Messages;
    type Future = Ready<Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        ready(Ok(Response::new(self.0.stream(request.into_inner()))))
    }
}

impl tonic::server::StreamingService<String> for Streams {
    type Response = String;
    type ResponseStream = Messages;
    type Future = Ready<Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        let echo = self.0.clone();
        let each = request.into_inner().then(move |message| {
            let echo = echo.clone();
            async move { echo.act(&message?).await }
        });
        ready(Ok(Response::new(each.boxed())))
    }
}

/// A server and a client with telemetry of their own.
struct Rig {
    server: Telemetry,
    client: Telemetry,
    address: SocketAddr,
    echo: Echo,
}

impl Rig {
    async fn new() -> Self {
        Self::with(Convention::server()).await
    }

    async fn with(convention: Convention<ServerSide>) -> Self {
        expect_panics();
        let server = Telemetry::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let echo = Echo::default();
        let router = Server::builder().layer(server.stack(convention)).add_service(echo.clone());
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(async move { router.serve_with_incoming(incoming).await });
        Self { server, client: Telemetry::new(), address, echo }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn channel(&self) -> Channel {
        Endpoint::new(self.origin()).unwrap().connect().await.unwrap()
    }

    async fn call(&self, method: &str, message: &str) -> Result<Vec<String>, Status> {
        let convention = Convention::client().with_origin(self.origin().parse().unwrap());
        let channel = self.client.stack(convention).layer(self.channel().await);
        call(channel, method, Request::new(message.to_owned())).await
    }

    /// Waits until both sides have recorded the call, and checks span and metric of each.
    async fn check(&self, method: Option<&str>, server: Expected, client: Expected) {
        let both = || self.server.spans().len() == 1 && self.client.spans().len() == 1;
        eventually("a span on each side", both).await;
        server.check(&self.server, SpanKind::Server, method);
        client.check(&self.client, SpanKind::Client, method);
    }
}

/// Calls a method of [`Echo`] by its name, and collects its messages.
async fn call<S, B>(
    channel: S,
    method: &str,
    request: Request<String>,
) -> Result<Vec<String>, Status>
where
    S: Service<http::Request<Body>, Response = http::Response<B>, Error: Into<tower::BoxError>>,
    B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = format!("/{method}").parse().unwrap();
    let codec = ProstCodec::<String, String>::default();
    let (metadata, extensions, message) = request.into_parts();
    let many = stream::iter([String::from("first"), message.clone()]);
    let streaming = Request::from_parts(metadata.clone(), extensions.clone(), many);
    let single = Request::from_parts(metadata, extensions, message);
    let stream = match method.rsplit('/').next().unwrap() {
        "ServerStream" => grpc.server_streaming(single, path, codec).await?.into_inner(),
        "Both" => grpc.streaming(streaming, path, codec).await?.into_inner(),
        "ClientStream" => {
            let answer = grpc.client_streaming(streaming, path, codec).await?;
            return Ok(vec![answer.into_inner()]);
        }
        _ => return Ok(vec![grpc.unary(single, path, codec).await?.into_inner()]),
    };
    stream.collect::<Vec<_>>().await.into_iter().collect()
}

/// The expected telemetry of one side: the code, and the `error.type` if the side counts it as an
/// error.
#[derive(Debug, Clone, Copy)]
struct Expected(&'static str, Option<&'static str>);

impl Expected {
    #[track_caller]
    fn check(self, telemetry: &Telemetry, kind: SpanKind, method: Option<&str>) {
        let Self(code, error) = self;
        let span = telemetry.span_of(kind.clone());
        let is_server = kind == SpanKind::Server;
        assert_eq!(attribute(&span, "rpc.system.name").as_deref(), Some("grpc"), "{kind:?}");
        assert_eq!(attribute(&span, "rpc.status_code").as_deref(), Some(code), "{kind:?}");
        assert_eq!(attribute(&span, "error.type").as_deref(), error, "{kind:?} {code}");
        assert_eq!(matches!(span.status, SpanStatus::Error { .. }), error.is_some());
        assert!(attribute(&span, "server.address").is_some(), "{kind:?}");
        assert!(!span.attributes.iter().any(|kv| kv.key.as_str().starts_with("http.")));
        if let Some(method) = method {
            assert_eq!(attribute(&span, "rpc.method").as_deref(), Some(method), "{kind:?} {code}");
            let name = if method == "_OTHER" { "grpc" } else { method };
            assert_eq!(span.name, name);
        }
        let points = telemetry.points();
        assert_eq!(points.len(), 1, "expected one series of one instrument: {points:#?}");
        let side = if is_server { "server" } else { "client" };
        assert_eq!(points[0].name, format!("rpc.{side}.call.duration"));
        assert_eq!((points[0].count, points[0].sum), (1, seconds(&span)));
        let label = |key: &str| points[0].labels.get(key).cloned();
        let quoted = |text: &str| Some(format!("String(({text:?}))"));
        assert_eq!(label("rpc.status_code"), quoted(code));
        assert_eq!(label("error.type"), error.and_then(quoted));
        assert_eq!(label("rpc.method"), attribute(&span, "rpc.method").and_then(|m| quoted(&m)));
        assert_eq!(label("server.address").is_some(), !is_server);
        assert_eq!(label("rpc.method_original"), None);
    }
}

const OK: Expected = Expected("OK", None);

#[tokio::test]
async fn every_kind_of_call_is_recorded() {
    for (kind, answers) in [
        ("Unary", &["hi"][..]),
        ("ServerStream", &["1", "2", "hi"]),
        ("ClientStream", &["hi"]),
        ("Both", &["first", "hi"]),
    ] {
        let rig = Rig::new().await;
        let method = format!("test.Echo/{kind}");
        assert_eq!(rig.call(&method, "hi").await.unwrap(), answers);
        rig.check(Some(&method), OK, OK).await;
        let span = rig.server.span_of(SpanKind::Server);
        let client = rig.client.span_of(SpanKind::Client);
        assert_eq!(span.parent_span_id, client.span_context.span_id());
        assert_eq!(attribute(&span, "network.peer.address").as_deref(), Some("127.0.0.1"));
        assert!(attribute(&span, "network.peer.port").is_some());
        for span in [&span, &client] {
            assert_eq!(attribute(span, "server.address").as_deref(), Some("127.0.0.1"));
            let port = rig.address.port().to_string();
            assert_eq!(attribute(span, "server.port").as_deref(), Some(&*port));
        }
    }
}

/// Every code, sent in the head (trailers-only) and in the trailers of a stream.
#[tokio::test]
async fn every_status_is_classified_on_both_sides() {
    const NAMES: [&str; 16] = [
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    const SERVERS: [&str; 6] =
        ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
    for (code, name) in (1..).zip(NAMES) {
        for kind in ["Unary", "ServerStream", "ClientStream", "Both"] {
            let rig = Rig::with(Convention::server().with_response_trailers([
                HeaderName::from_static("x-trailer"),
                HeaderName::from_static("x-missing"),
            ]))
            .await;
            let method = format!("test.Echo/{kind}");
            let error = rig.call(&method, &format!("status:{code}")).await.unwrap_err();
            assert_eq!(error.code() as i32, code);
            let server = SERVERS.contains(&name).then_some(name);
            // A client knows its method. The server's method is unknown if it is `UNIMPLEMENTED`.
            rig.check(None, Expected(name, server), Expected(name, Some(name))).await;
            let span = rig.server.span_of(SpanKind::Server);
            // Routers, interceptors and limiters give these codes for any path.
            let is_of_layers = matches!(
                name,
                "UNIMPLEMENTED" | "UNAUTHENTICATED" | "PERMISSION_DENIED" | "RESOURCE_EXHAUSTED"
            );
            // A stream that has begun shows that the method exists.
            let has_begun = matches!(kind, "ServerStream" | "Both") && name != "UNIMPLEMENTED";
            let known = if is_of_layers && !has_begun { "_OTHER" } else { &*method };
            assert_eq!(attribute(&span, "rpc.method").as_deref(), Some(known), "{name} {kind}");
            let trailer = attribute(&span, "rpc.response.trailer.x-trailer");
            assert_eq!(trailer.as_deref(), Some("[\"t\"]"), "{name} {kind}");
            let client = rig.client.span_of(SpanKind::Client);
            // The decoded message describes the status of the span if there is an error.
            for (span, is_error) in [(span, server.is_some()), (client, true)] {
                let expected = match is_error {
                    true => SpanStatus::error("n\u{f6} such 100%"),
                    false => SpanStatus::Unset,
                };
                assert_eq!(span.status, expected);
            }
        }
    }
}

#[tokio::test]
async fn unknown_methods_are_neither_names_nor_labels() {
    for method in ["test.Echo/Missing", "test.Missing/Unary"] {
        let rig = Rig::new().await;
        rig.call(method, "hi").await.unwrap_err();
        let told = Expected("UNIMPLEMENTED", Some("UNIMPLEMENTED"));
        rig.check(None, told, told).await;
        let span = rig.server.span_of(SpanKind::Server);
        assert_eq!(span.name, "grpc");
        assert_eq!(attribute(&span, "rpc.method").as_deref(), Some("_OTHER"));
        assert_eq!(attribute(&span, "rpc.method_original").as_deref(), Some(method));
        assert_eq!(
            attribute(&rig.client.span_of(SpanKind::Client), "rpc.method").as_deref(),
            Some(method)
        );
    }
    // An answer without gRPC, for a method that nobody knows, is an HTTP exchange of the server.
    let rig = Rig::new().await;
    rig.call("test.Echo/Proxy", "hi").await.unwrap_err();
    eventually("the server's span", || rig.server.spans().len() == 1).await;
    let span = rig.server.span_of(SpanKind::Server);
    assert_eq!((&*span.name, attribute(&span, "rpc.method")), ("POST", None));
    assert_eq!(attribute(&span, "http.response.status_code").as_deref(), Some("503"));
    assert_eq!(rig.server.duration().count, 1);
    assert!(rig.server.points_of("call.duration").is_empty());
    let client = rig.client.span_of(SpanKind::Client);
    assert_eq!(attribute(&client, "rpc.status_code").as_deref(), Some("UNAVAILABLE"));

    // With a list of services, no response makes a method of another service known.
    let rig = Rig::with(Convention::server().with_known_services(["test.Other"])).await;
    rig.call("test.Echo/Unary", "hi").await.unwrap();
    rig.check(None, OK, OK).await;
    assert_eq!(rig.server.span_of(SpanKind::Server).name, "grpc");
    let rig = Rig::with(Convention::server().with_known_services([Echo::NAME])).await;
    rig.call("test.Echo/Unary", "hi").await.unwrap();
    rig.check(Some("test.Echo/Unary"), OK, OK).await;
}

#[tokio::test]
async fn a_missing_status_is_unknown() {
    let rig = Rig::new().await;
    rig.call("test.Echo/NoStatus", "hi").await.unwrap_err();
    let told = Expected("UNKNOWN", Some("UNKNOWN"));
    rig.check(Some("test.Echo/NoStatus"), told, told).await;
}

/// The client cancels before the head, and in the middle of a stream.
#[tokio::test]
async fn cancelled_calls_are_recorded() {
    let client = Expected("CANCELLED", Some("CANCELLED"));
    for kind in ["Unary", "ClientStream", "Both", "ServerStream"] {
        let rig = Rig::new().await;
        let method = format!("test.Echo/{kind}");
        // The streams receive two messages, and the last request is never answered.
        tokio::select! {
            _ = rig.call(&method, "never") => unreachable!("it never answers"),
            () = rig.echo.entered.notified() => {}
        }
        rig.check(None, Expected("CANCELLED", None), client).await;
        // Without a response the server hasn't proved that the method exists.
        let is_answered = matches!(kind, "Both" | "ServerStream");
        let name = if is_answered { &*method } else { "grpc" };
        assert_eq!(rig.server.span_of(SpanKind::Server).name, name);
    }

    let rig = Rig::new().await;
    {
        let convention = Convention::client().with_origin(rig.origin().parse().unwrap());
        let channel = rig.client.stack(convention).layer(rig.channel().await);
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static("/test.Echo/ServerStream");
        let request = Request::new(String::from("never"));
        let codec = ProstCodec::<String, String>::default();
        let answer = grpc.server_streaming(request, path, codec).await.unwrap();
        let first = answer.into_inner().message().await.unwrap();
        assert_eq!(first.as_deref(), Some("1"));
    }
    rig.check(Some("test.Echo/ServerStream"), Expected("CANCELLED", None), client).await;
}

/// A later call is recorded by its method even if it is not answered.
#[tokio::test]
async fn an_answered_method_is_known_from_then_on() {
    let rig = Rig::new().await;
    rig.call("test.Echo/Unary", "hi").await.unwrap();
    tokio::select! {
        _ = rig.call("test.Echo/Unary", "never") => unreachable!("it never answers"),
        () = rig.echo.entered.notified() => {}
    }
    eventually("both spans", || rig.server.spans().len() == 2).await;
    assert!(rig.server.spans().iter().all(|span| span.name == "test.Echo/Unary"));
}

/// Each side has its own clock. The client's call began earlier, so its cancellation may arrive before the deadline
/// has passed for the server.
#[tokio::test]
async fn a_deadline_is_recorded_on_both_sides() {
    const DEADLINE: Duration = Duration::from_millis(50);
    for kind in ["Unary", "ClientStream"] {
        let passes_on_server = async || {
            let rig = Rig::new().await;
            let convention = Convention::client().with_origin(rig.origin().parse().unwrap());
            let channel = rig.client.stack(convention).layer(rig.channel().await);
            let mut request = Request::new(String::from("never"));
            request.set_timeout(DEADLINE);
            call(channel, &format!("test.Echo/{kind}"), request).await.unwrap_err();
            eventually("the server's span", || rig.server.spans().len() == 1).await;
            let span = &rig.server.spans()[0];
            let has_passed = span.end_time.duration_since(span.start_time).unwrap() >= DEADLINE;
            let server = match has_passed {
                true => Expected("DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED")),
                false => Expected("CANCELLED", None),
            };
            rig.check(None, server, Expected("DEADLINE_EXCEEDED", Some("timeout"))).await;
            has_passed
        };
        let mut attempts = 0;
        while !passes_on_server().await {
            attempts += 1;
            assert!(attempts < 50, "{kind}: the cancellation is always earlier");
        }
    }
}

/// After the deadline, a drop counts as `DEADLINE_EXCEEDED`, whoever drops the stream.
#[tokio::test]
async fn a_deadline_ends_a_stream() {
    let rig = Rig::new().await;
    {
        let convention = Convention::client().with_origin(rig.origin().parse().unwrap());
        let channel = rig.client.stack(convention).layer(rig.channel().await);
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static("/test.Echo/ServerStream");
        let deadline = Duration::from_millis(200);
        let mut request = Request::new(String::from("never"));
        request.set_timeout(deadline);
        let codec = ProstCodec::<String, String>::default();
        let mut messages = grpc.server_streaming(request, path, codec).await.unwrap().into_inner();
        let reading = async { while let Ok(Some(_)) = messages.message().await {} };
        let _ = tokio::time::timeout(deadline, reading).await;
    }
    let told = Expected("DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED"));
    rig.check(Some("test.Echo/ServerStream"), told, told).await;
}

#[tokio::test]
async fn a_panic_is_recorded() {
    let rig = Rig::new().await;
    rig.call("test.Echo/Unary", "panic").await.unwrap_err();
    eventually("the server's span", || rig.server.spans().len() == 1).await;
    Expected("UNKNOWN", Some("panic")).check(&rig.server, SpanKind::Server, None);
}

#[tokio::test]
async fn a_refused_connection_is_recorded() {
    let client = Telemetry::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let convention = Convention::client().with_origin(origin.parse().unwrap());
    let channel = Endpoint::new(origin).unwrap().connect_lazy();
    let channel = client.stack(convention).layer(channel);
    let answer = call(channel, "test.Echo/Unary", Request::new(String::new())).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
    Expected("UNAVAILABLE", Some("connection_refused")).check(
        &client,
        SpanKind::Client,
        Some("test.Echo/Unary"),
    );
}

/// The server closes the connection before the head, or after the client has read a message.
#[tokio::test]
async fn a_broken_stream_is_recorded() {
    for is_begun in [false, true] {
        let client = Telemetry::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let has_read = Arc::new(Notify::new());
        let breaks = Arc::clone(&has_read);
        let service = service_fn(move |_: hyper::Request<hyper::body::Incoming>| {
            let breaks = Arc::clone(&breaks);
            let frame = stream::iter([Ok(Bytes::from_static(&[0, 0, 0, 0, 0]))]);
            let broken = stream::once(async move {
                if is_begun {
                    breaks.notified().await;
                }
                Err(std::io::Error::other("broken"))
            });
            let body = frame.chain(broken).map(|data| data.map(http_body::Frame::data));
            let body = http_body_util::StreamBody::new(body);
            let answer = http::Response::builder().header("content-type", "application/grpc");
            std::future::ready(Ok::<_, Infallible>(answer.body(body).unwrap()))
        });
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = hyper_util::rt::TokioIo::new(stream);
            let service = hyper_util::service::TowerToHyperService::new(service);
            hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
                .serve_connection(stream, service)
                .await
        });
        let convention = Convention::client().with_origin(origin.parse().unwrap());
        let channel = Endpoint::new(origin).unwrap().connect().await.unwrap();
        let channel = client.stack(convention).layer(channel);
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static("/test.Echo/ServerStream");
        let codec = ProstCodec::<String, String>::default();
        let answer = grpc.server_streaming(Request::new(String::new()), path, codec).await;
        let error = match answer {
            Ok(answer) => {
                let mut messages = answer.into_inner();
                assert!(is_begun && messages.message().await.unwrap().is_some());
                has_read.notify_one();
                messages.message().await.unwrap_err()
            }
            Err(error) => error,
        };
        assert_eq!(error.code(), Code::Internal);
        Expected("INTERNAL", Some("http2_internal_error")).check(
            &client,
            SpanKind::Client,
            Some("test.Echo/ServerStream"),
        );
    }
}

#[tokio::test]
async fn only_listed_metadata_is_captured() {
    let convention = Convention::server()
        .with_request_headers([
            HeaderName::from_static("x-tenant"),
            HeaderName::from_static("trace-bin"),
            HeaderName::from_static("authorization"),
        ])
        .with_response_headers([HeaderName::from_static("content-type")]);
    let rig = Rig::with(convention).await;
    let mut request = Request::new(String::from("hi"));
    request.metadata_mut().append("x-tenant", "one".parse().unwrap());
    request.metadata_mut().append("x-tenant", "two".parse().unwrap());
    request.metadata_mut().insert("authorization", "Bearer s3cret".parse().unwrap());
    request.metadata_mut().insert("x-other", "not captured".parse().unwrap());
    request
        .metadata_mut()
        .insert_bin("trace-bin", tonic::metadata::MetadataValue::from_bytes(b"\0\x01"));
    call(rig.channel().await, "test.Echo/Unary", request).await.unwrap();
    eventually("the server's span", || rig.server.spans().len() == 1).await;
    let span = rig.server.span_of(SpanKind::Server);
    for (key, value) in [
        ("rpc.request.header.x-tenant", Some("[\"one\",\"two\"]")),
        ("rpc.request.header.trace-bin", Some("[\"AAE\"]")),
        ("rpc.request.header.authorization", Some("[\"REDACTED\"]")),
        ("rpc.request.header.x-other", None),
        ("rpc.response.header.content-type", Some("[\"application/grpc\"]")),
    ] {
        assert_eq!(attribute(&span, key).as_deref(), value, "{key}");
    }
}

/// An interceptor in front of the router refuses paths that don't exist. The number of names is
/// bounded, and methods that were answered before stay known.
#[tokio::test]
async fn refusals_of_an_interceptor_make_a_bounded_number_of_names() {
    let telemetry = Telemetry::new();
    let refuse = |request: Request<()>| match request.metadata().get("authorization") {
        Some(_) => Ok(request),
        None => Err(Status::unauthenticated("who are you?")),
    };
    let layers = ServiceBuilder::new()
        .layer(telemetry.stack(Convention::server()))
        .layer(tonic::service::InterceptorLayer::new(refuse))
        .into_inner();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let router = Server::builder().layer(layers).add_service(Echo::default());
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(async move { router.serve_with_incoming(incoming).await });
    let channel = Endpoint::new(origin).unwrap().connect().await.unwrap();
    for i in 0..300 {
        let request = Request::new(String::new());
        call(channel.clone(), &format!("test.Echo/MadeUp{i}"), request).await.unwrap_err();
    }
    let mut request = Request::new(String::new());
    request.metadata_mut().insert("authorization", "yes".parse().unwrap());
    call(channel, "test.Echo/Unary", request).await.unwrap();
    eventually("all spans", || telemetry.spans().len() == 301).await;
    let points = telemetry.points_of("duration");
    let methods: std::collections::BTreeSet<_> =
        points.iter().map(|p| &p.labels["rpc.method"]).collect();
    assert!(methods.len() <= 102, "{}", methods.len());
    assert_eq!(telemetry.spans().last().unwrap().name, "test.Echo/Unary");
}

/// The status is in the trailers, so the options that end an HTTP exchange early don't end a call.
#[tokio::test]
async fn a_call_ends_with_its_status() {
    let rig = Rig::with(Convention::server().with_end_at_head(|_| true)).await;
    rig.call("test.Echo/ServerStream", "status:13").await.unwrap_err();
    let told = Expected("INTERNAL", Some("INTERNAL"));
    rig.check(Some("test.Echo/ServerStream"), told, told).await;
}

/// A proxy forwards hosts and methods that its callers choose. The origin and the list of services
/// bound the labels.
#[tokio::test]
async fn labels_of_a_proxy_are_bounded() {
    let telemetry = Telemetry::new();
    let convention = Convention::client()
        .with_origin("http://orders.internal:50051".parse().unwrap())
        .with_known_services(["shop.Orders", "shop.Stock/Find"]);
    let service = telemetry.stack(convention).layer(service_fn(crate::support::hello::<String>));
    for (path, method) in [
        ("shop.Orders/Place", "shop.Orders/Place"),
        ("shop.Stock/Find", "shop.Stock/Find"),
        ("shop.Stock/Other", "_OTHER"),
        ("made.Up/Method", "_OTHER"),
    ] {
        let request = http::Request::post(format!("http://made.up.example/{path}"))
            .header("content-type", "application/grpc")
            .body(String::new())
            .unwrap();
        service.clone().oneshot(request).await.unwrap();
        let span = telemetry.spans().pop().unwrap();
        assert_eq!(attribute(&span, "rpc.method").as_deref(), Some(method), "{path}");
        let original = attribute(&span, "rpc.method_original");
        assert_eq!(original.as_deref(), (method == "_OTHER").then_some(path));
        assert_eq!(attribute(&span, "server.address").as_deref(), Some("orders.internal"));
    }
}

#[tokio::test]
async fn health_checks_and_reflection_can_be_filtered() {
    let rig = Rig::with(Convention::server().with_filter(filter::except_grpc_probes)).await;
    let channel = rig.channel().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let request = tonic_health::pb::HealthCheckRequest::default();
    health.check(request).await.unwrap_err();
    rig.call("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "").await.unwrap_err();
    rig.call("test.Echo/Unary", "hi").await.unwrap();
    eventually("the span of the last call", || !rig.server.spans().is_empty()).await;
    assert_eq!(rig.server.span_of(SpanKind::Server).name, "test.Echo/Unary");
}

/// tonic's health service, unary and streaming.
#[tokio::test]
async fn the_health_service_is_recorded() {
    let telemetry = Telemetry::new();
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<Echo>().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Server::builder().layer(telemetry.stack(Convention::server())).add_service(health);
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(async move { router.serve_with_incoming(incoming).await });
    let channel = Endpoint::new(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    let request = || tonic_health::pb::HealthCheckRequest { service: Echo::NAME.into() };
    client.check(request()).await.unwrap();
    let mut watch = client.watch(request()).await.unwrap().into_inner();
    watch.message().await.unwrap();
    drop(watch);
    eventually("both spans", || telemetry.spans().len() == 2).await;
    let spans = telemetry.spans();
    let of = |span: usize| {
        (
            spans[span].name.to_string(),
            attribute(&spans[span], "rpc.status_code").unwrap().into_owned(),
        )
    };
    assert_eq!(of(0), ("grpc.health.v1.Health/Check".into(), "OK".into()));
    assert_eq!(of(1), ("grpc.health.v1.Health/Watch".into(), "CANCELLED".into()));
}

#[tokio::test]
async fn the_protocol_is_detected_or_set_and_grpc_web_is_http() {
    let (grpc, http_metric) = ("application/grpc", "http.server.request.duration");
    let rpc_metric = "rpc.server.call.duration";
    // The content type of the request, and that of the answer.
    for (pinned, kind, answer, instrument) in [
        (None, grpc, Some(grpc), rpc_metric),
        (None, "application/grpc+proto", Some("application/grpc+proto"), rpc_metric),
        (None, "application/grpc;charset=utf-8", Some(grpc), rpc_metric),
        (None, "Application/GRPC", Some(grpc), rpc_metric),
        (None, "application/grpc-web", Some("application/grpc-web"), http_metric),
        (None, "application/grpcx", Some(grpc), http_metric),
        (None, "application/json", None, http_metric),
        // A plain HTTP service, whatever its caller claims.
        (None, grpc, None, http_metric),
        (None, grpc, Some("application/json"), http_metric),
        (Some(Protocol::Http), grpc, Some(grpc), http_metric),
        (Some(Protocol::Grpc), "application/json", None, rpc_metric),
        (Some(Protocol::Grpc), grpc, None, rpc_metric),
    ] {
        let telemetry = Telemetry::new();
        let mut convention = Convention::server();
        if let Some(protocol) = pinned {
            convention = convention.with_protocol(protocol);
        }
        let service = telemetry.stack(convention).layer(service_fn(
            move |_: http::Request<String>| async move {
                let mut response = http::Response::builder();
                if let Some(kind) = answer {
                    response = response.header("content-type", kind);
                    if kind == "application/grpc" || kind == "application/grpc+proto" {
                        response = response.header("grpc-status", "0");
                    }
                }
                Ok::<_, std::convert::Infallible>(response.body(String::new()).unwrap())
            },
        ));
        let request = http::Request::post("/test.Echo/Unary").header("content-type", kind);
        service.oneshot(request.body(String::new()).unwrap()).await.unwrap();
        let points = telemetry.points_of("duration");
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].name, instrument, "{pinned:?} {kind} {answer:?}");
        assert_eq!(telemetry.active(), 0);
        let span = telemetry.span_of(SpanKind::Server);
        let is_rpc = attribute(&span, "rpc.system.name").is_some();
        assert_eq!(is_rpc, instrument == rpc_metric, "{pinned:?} {kind} {answer:?}");
    }
}

/// A caller can't turn the requests of an HTTP service into failed gRPC calls.
#[tokio::test]
async fn a_claimed_call_is_http() {
    let telemetry = Telemetry::new();
    let service = service_fn(|request: http::Request<String>| async move {
        match request.uri().path() {
            "/never" => std::future::pending().await,
            "/fail" => Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe)),
            "/echo" => {
                let response = http::Response::builder();
                let response = response.header("content-type", "application/grpc");
                Ok(response.body(String::from("hello")).unwrap())
            }
            _ => Ok(http::Response::new(String::from("hello"))),
        }
    });
    let mut service = telemetry.stack(Convention::server()).layer(service);
    for path in ["/a.B/C", "/echo", "/never", "/fail"] {
        let request = http::Request::post(path).header("content-type", "application/grpc");
        let call = tower::Service::call(&mut service, request.body(String::new()).unwrap());
        drop(futures_util::FutureExt::now_or_never(call));
    }
    assert!(telemetry.points_of("call.duration").is_empty());
    let durations = telemetry.points_of("request.duration");
    assert_eq!(durations.iter().map(|point| point.count).sum::<u64>(), 4);
    assert_eq!(telemetry.active(), 0);
    for span in telemetry.spans() {
        assert_eq!(span.name, "POST");
        assert!(span.attributes.iter().all(|kv| !kv.key.as_str().starts_with("rpc.")), "{span:?}");
    }
}

/// A proxy that answers every path with the content type of gRPC, and an interceptor that refuses all.
#[tokio::test]
async fn invented_methods_do_not_displace_real_ones() {
    let telemetry = Telemetry::new();
    let service = service_fn(|request: http::Request<String>| async move {
        let response = http::Response::builder().header("content-type", "application/grpc");
        let response = match request.uri().path() {
            "/real.Service/Ok" => response.header("grpc-status", "0"),
            path if path.starts_with("/refused.") => response.header("grpc-status", "16"),
            _ => response,
        };
        Ok::<_, std::convert::Infallible>(response.body(String::new()).unwrap())
    });
    let mut service = telemetry.stack(Convention::server()).layer(service);
    let paths = (0..2500).flat_map(|i| [format!("/echo.S/{i}"), format!("/refused.S/{i}")]);
    for path in paths.chain([String::from("/real.Service/Ok")]) {
        let request = http::Request::post(path).header("content-type", "application/grpc");
        let call = tower::Service::call(&mut service, request.body(String::new()).unwrap());
        drop(futures_util::FutureExt::now_or_never(call));
    }
    let points = telemetry.points_of("call.duration");
    let methods = |prefix: &str| {
        points.iter().filter(|point| point.labels["rpc.method"].contains(prefix)).count()
    };
    assert_eq!((methods("real.Service/Ok"), methods("refused")), (1, 0));
    assert!(methods("echo") <= 100, "{}", methods("echo"));
}

/// A known method keeps its name, whatever it answers; a listed one has it from the start.
#[tokio::test]
async fn known_methods_keep_their_names() {
    let service = || {
        service_fn(|request: http::Request<String>| async move {
            let response = http::Response::builder();
            let response = match request.body().as_str() {
                "ok" => response.header("grpc-status", "0"),
                "unimplemented" => response.header("grpc-status", "12"),
                "hang" => std::future::pending().await,
                "plain" => response.status(503),
                other => panic!("{other}"),
            };
            Ok::<_, std::convert::Infallible>(response.body(String::new()).unwrap())
        })
    };
    let (answered, listed) = ("test.Echo/Unary", "test.Echo/Listed");
    for (path, list, sent, expected) in [
        (answered, vec![], &["ok", "unimplemented", "plain", "hang"][..], 4),
        // Without an answer nothing shows that the method exists.
        (answered, vec![], &["unimplemented", "hang"], 0),
        (listed, vec![listed], &["unimplemented", "plain", "hang"], 3),
        // A method of a listed service is known where it hangs, because no router has refused it.
        (answered, vec!["test.Echo"], &["hang"], 1),
        (answered, vec!["test.Echo"], &["unimplemented"], 0),
        (answered, vec!["test.Other"], &["ok", "hang"], 0),
    ] {
        let telemetry = Telemetry::new();
        let convention = match list.is_empty() {
            true => Convention::server(),
            false => Convention::server().with_known_services(list.clone()),
        };
        let mut service = telemetry.stack(convention).layer(service());
        for body in sent {
            let request = http::Request::post(format!("/{path}"));
            let request = request.header("content-type", "application/grpc");
            let request = request.body(String::from(*body)).unwrap();
            let call = tower::Service::call(&mut service, request);
            drop(futures_util::FutureExt::now_or_never(call));
        }
        let points = telemetry.points_of("call.duration");
        let named = points.iter().filter(|point| point.labels["rpc.method"].contains(path));
        assert_eq!(
            named.map(|point| point.count).sum::<u64>(),
            expected,
            "{path} {list:?} {sent:?}"
        );
    }
}

/// A call without a method has a name, and no empty attribute.
#[tokio::test]
async fn a_client_that_calls_no_method() {
    let telemetry = Telemetry::new();
    let service = telemetry.stack(Convention::client()).layer(service_fn(crate::support::hello));
    let request = http::Request::post("http://a/").header("content-type", "application/grpc");
    service.oneshot(request.body(String::new()).unwrap()).await.unwrap();
    let span = telemetry.span_of(SpanKind::Client);
    assert_eq!((&*span.name, attribute(&span, "rpc.method").as_deref()), ("grpc", Some("_OTHER")));
    assert!(span.attributes.iter().all(|kv| !kv.value.as_str().is_empty()));
}

/// The layer composes with tower's and tonic's, in any order, on both sides, and names their errors.
#[cfg(feature = "tower")]
#[tokio::test]
async fn the_layer_composes_with_layers_of_tower_and_tonic() {
    for is_outside in [false, true] {
        let (server, client) = (Telemetry::new(), Telemetry::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let limits = ServiceBuilder::new()
            .layer(tower::timeout::TimeoutLayer::new(Duration::from_millis(200)))
            .layer(tower::load_shed::LoadShedLayer::new())
            .layer(tower::limit::GlobalConcurrencyLimitLayer::new(1))
            .layer(tonic::service::InterceptorLayer::new(Ok))
            .into_inner();
        let echo = Echo::default();
        let entered = Arc::clone(&echo.entered);
        let telemetry = server.stack(Convention::server());
        let incoming = TcpListenerStream::new(listener);
        if is_outside {
            let layers = ServiceBuilder::new().layer(telemetry).layer(limits).into_inner();
            let router = Server::builder().layer(layers).add_service(echo);
            tokio::spawn(async move { router.serve_with_incoming(incoming).await });
        } else {
            let layers = ServiceBuilder::new().layer(limits).layer(telemetry).into_inner();
            let router = Server::builder().layer(layers).add_service(echo);
            tokio::spawn(async move { router.serve_with_incoming(incoming).await });
        }

        let convention = Convention::client().with_origin(origin.parse().unwrap());
        let channel = Endpoint::new(origin).unwrap().connect().await.unwrap();
        let telemetry = client.stack(convention);
        let limits = ServiceBuilder::new()
            .layer(tower::load_shed::LoadShedLayer::new())
            .layer(tower::timeout::TimeoutLayer::new(Duration::from_secs(20)))
            .layer(tower::limit::ConcurrencyLimitLayer::new(8))
            .layer(tonic::service::InterceptorLayer::new(Ok))
            .into_inner();
        let message = |text: &str| Request::new(String::from(text));
        let method = "test.Echo/Unary";
        macro_rules! calls {
            ($channel:expr) => {{
                let channel = $channel;
                call(channel.clone(), method, message("hi")).await.unwrap();
                // The first call fills the server and times out, and the second one is shed.
                let never = call(channel.clone(), method, message("never"));
                let shed = async {
                    entered.notified().await;
                    call(channel, method, message("hi")).await
                };
                let (never, shed) = tokio::join!(never, shed);
                assert!(never.is_err() && shed.is_err());
            }};
        }
        match is_outside {
            true => calls!(ServiceBuilder::new().layer(telemetry).layer(limits).service(channel)),
            false => calls!(ServiceBuilder::new().layer(limits).layer(telemetry).service(channel)),
        }
        // Calls that are shed outside of the server's layer don't reach it.
        let expected: &[_] = match is_outside {
            true => &[
                "OK None",
                "RESOURCE_EXHAUSTED Some(\"overloaded\")",
                "DEADLINE_EXCEEDED Some(\"timeout\")",
            ],
            false => &["OK None", "CANCELLED None"],
        };
        eventually("the server's spans", || server.spans().len() == expected.len()).await;
        let told = |span: &opentelemetry_sdk::trace::SpanData| {
            let code = attribute(span, "rpc.status_code").unwrap();
            format!("{code} {:?}", attribute(span, "error.type"))
        };
        assert_eq!(server.spans().iter().map(told).collect::<Vec<_>>(), expected);
        assert_eq!(client.spans().len(), 3);
    }
}

/// One router serves HTTP and gRPC, and calls a backend within the same trace.
#[cfg(feature = "axum")]
#[tokio::test]
async fn one_trace_through_a_gateway() {
    use http_body_util::BodyExt;

    let backend = Rig::new().await;
    let gateway = Telemetry::new();
    let convention = Convention::client().with_origin(backend.origin().parse().unwrap());
    let channel = gateway.stack(convention).layer(backend.channel().await);
    let handler = move || {
        let channel = channel.clone();
        async move {
            let answer = call(channel, "test.Echo/Unary", Request::new("hi".into())).await;
            answer.unwrap().remove(0)
        }
    };
    let router = axum::Router::new()
        .route("/call", axum::routing::get(handler))
        .merge(tonic::service::Routes::new(Echo::default()).into_axum_router())
        .layer(gateway.stack(Convention::server()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });

    let caller = Telemetry::new();
    let http = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<http_body_util::Empty<Bytes>>();
    let http = caller.stack(Convention::client()).layer(http);
    let request = http::Request::get(format!("{origin}/call")).body(Default::default()).unwrap();
    let answer = http.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(answer.to_bytes(), "hi");
    eventually("all spans", || {
        backend.server.spans().len() + gateway.spans().len() + caller.spans().len() == 4
    })
    .await;
    let (outer, inner) =
        (caller.span_of(SpanKind::Client), backend.server.span_of(SpanKind::Server));
    let (entry, exit) = (gateway.span_of(SpanKind::Server), gateway.span_of(SpanKind::Client));
    assert_eq!((&*entry.name, &*exit.name), ("GET /call", "test.Echo/Unary"));
    for (child, parent) in [(&entry, &outer), (&exit, &entry), (&inner, &exit)] {
        assert_eq!(child.parent_span_id, parent.span_context.span_id());
        assert_eq!(child.span_context.trace_id(), outer.span_context.trace_id());
    }

    // A gRPC call to the same router is recorded as one call.
    let channel = Endpoint::new(origin).unwrap().connect().await.unwrap();
    call(channel, "test.Echo/Unary", Request::new("hi".into())).await.unwrap();
    eventually("the call's span", || gateway.spans().len() == 3).await;
    let span = gateway.spans().remove(2);
    assert_eq!((span.name.as_ref(), span.span_kind.clone()), ("test.Echo/Unary", SpanKind::Server));
}
