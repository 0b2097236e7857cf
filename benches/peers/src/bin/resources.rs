//! Counts the instructions that each part of `resources` adds to a request, or to a connection. Needs
//! valgrind.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml --bin resources`

use std::{convert::Infallible, future::ready, io, sync::Arc};

use axum::body::Body;
use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use peers::{Sdk, Workload};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    runtime::Runtime,
};
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimit, service_fn,
    util::BoxCloneSyncService,
};
use tower_telemetry::{
    RequestBodyLayer, TelemetryLayer,
    propagation::W3c,
    resources::{
        self, ClientConnections, PoolState, SaturationLayer, ServerConnectionsLayer, observe_pool,
    },
};

/// A measurement, and the one that it is compared with.
const ROWS: [(&str, &str, &str); 9] = [
    ("process, runtime and a pool are observed", "others observed", "observed"),
    ("`SaturationLayer`, ready at once", "limit", "saturation"),
    ("`ServerConnectionsLayer`, a request", "service", "server request"),
    ("`ServerConnectionsLayer`, a connection", "make-service", "server connection"),
    ("`ClientConnections`, a request", "client", "client connections"),
    ("`RequestBodyLayer` without the option", "sizes", "body layer alone"),
    ("`with_counted_body_sizes` without `RequestBodyLayer`", "sizes", "counted alone"),
    ("`with_counted_body_sizes` and `RequestBodyLayer`", "sizes", "counted"),
    ("`with_time_to_first_byte`", "stack", "first byte"),
];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [row] = &arguments[..] {
        return exchange_all(&mut *row_of(row), BATCH);
    }
    println!("| | instructions |");
    println!("|---|---:|");
    for (title, without, with) in ROWS {
        let [without, with] = [without, with].map(|row| {
            peers::instructions(&[row]).expect("valgrind is installed") as f64 / BATCH as f64
        });
        println!("| {title} | {:.0} |", with - without);
    }
}

/// Runs a row. Valgrind counts the instructions in the function of this name.
#[inline(never)]
fn exchange_all(row: &mut dyn FnMut(), times: usize) {
    (0..times).for_each(|_| row());
}

/// Returns a row that has filled its caches.
fn row_of(name: &str) -> Box<dyn FnMut()> {
    let sdk = Sdk::silent();
    let stack = TelemetryLayer::server()
        .with_tracer_provider(&sdk.tracers)
        .with_meter_provider(&sdk.meters)
        .with_propagator(W3c::new());
    let sizes = stack.clone().with_body_sizes();
    let counted = stack.clone().with_counted_body_sizes();
    let mut row: Box<dyn FnMut()> = match name {
        "stack" => exchanges(stack.layer(service_fn(hello))),
        // The same memory is in use, which the allocator's instructions depend on.
        "others observed" => {
            let other = Sdk::silent();
            observe(&other);
            std::mem::forget(other);
            exchanges(stack.layer(service_fn(hello)))
        }
        "observed" => {
            std::mem::forget(Sdk::silent());
            observe(&sdk);
            exchanges(stack.layer(service_fn(hello)))
        }
        "first byte" => exchanges(stack.with_time_to_first_byte().layer(service_fn(hello))),
        "sizes" => exchanges(sizes.layer(service_fn(hello))),
        "body layer alone" => {
            exchanges(sizes.layer(RequestBodyLayer::new().layer(service_fn(hello))))
        }
        "counted alone" => exchanges(counted.layer(service_fn(hello))),
        "counted" => exchanges(counted.layer(RequestBodyLayer::new().layer(service_fn(hello)))),
        "limit" => exchanges(ConcurrencyLimit::new(service_fn(hello), 100)),
        "saturation" => {
            let saturation = SaturationLayer::new("peers").with_meter_provider(&sdk.meters);
            exchanges(saturation.layer(ConcurrencyLimit::new(service_fn(hello), 100)))
        }
        "service" => exchanges(HelloService::new(service_fn(hello::<Body>))),
        "server request" => {
            let make_service = connections(&sdk).layer(service_fn(make_service));
            let service = make_service.oneshot(()).now_or_never().expect("it is ready");
            let Ok(service) = service;
            exchanges(service)
        }
        "make-service" => opened(service_fn(make_service)),
        "server connection" => opened(connections(&sdk).layer(service_fn(make_service))),
        "client" => requests(|connector| Client::builder(TokioExecutor::new()).build(connector)),
        "client connections" => {
            let connections = ClientConnections::new().with_meter_provider(&sdk.meters);
            requests(|connector| {
                let connector = connections.connector(connector);
                let client = Client::builder(TokioExecutor::new()).build(connector);
                connections.layer(client)
            })
        }
        name => unreachable!("unknown row {name}"),
    };
    (0..peers::WARM_UP).for_each(|_| row());
    // The SDK lives as long as the program.
    std::mem::forget(sdk);
    row
}

fn observe(sdk: &Sdk) {
    resources::process(&sdk.meters);
    let runtime = Runtime::new().expect("a runtime starts");
    resources::runtime(&sdk.meters, "main", runtime.handle());
    observe_pool(&sdk.meters, "orders", || PoolState::new(1, 2));
}

fn connections(sdk: &Sdk) -> ServerConnectionsLayer {
    ServerConnectionsLayer::new().with_meter_provider(&sdk.meters)
}

/// Reads the request's body, and answers.
async fn hello<B: http_body::Body>(request: Request<B>) -> Result<Response<Body>, Infallible> {
    let body = request.into_body().collect().await;
    assert!(body.is_ok_and(|body| body.to_bytes().len() == BODY.len()));
    Ok(Response::new(Body::from("hello")))
}

/// Sends a request for each call. As hyper does, it clones the service before.
fn exchanges<S, B>(service: S) -> Box<dyn FnMut()>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = axum::body::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let service = service.map_response(|response| response.map(Body::new));
    let service: BoxCloneSyncService<_, _, Infallible> = BoxCloneSyncService::new(service);
    Box::new(move || {
        let request = Workload::W1n.request().map(|_| Body::from(BODY));
        let response = service.clone().oneshot(request).now_or_never();
        let Ok(response) = response.expect("the service answers at once");
        let body = response.into_body().collect().now_or_never();
        assert!(body.is_some_and(|body| body.is_ok()));
    })
}

async fn make_service(_: ()) -> Result<HelloService, Infallible> {
    Ok(BoxCloneSyncService::new(service_fn(hello::<Body>)))
}

type HelloService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Opens a connection and closes it, for each call.
fn opened<M>(make_service: M) -> Box<dyn FnMut()>
where
    M: Service<(), Error = Infallible> + Clone + 'static,
{
    Box::new(move || {
        let service = make_service.clone().oneshot(()).now_or_never();
        assert!(service.is_some_and(|service| service.is_ok()));
    })
}

/// Sends a request by hyper-util's client for each call, to a server in the same thread. They are
/// connected by a pipe in memory, and the connection is used again.
fn requests<S, B>(client: impl FnOnce(Connector) -> S) -> Box<dyn FnMut()>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + 'static,
    S::Error: std::fmt::Debug,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = Arc::new(runtime.expect("a runtime starts"));
    let client = client(Connector);
    Box::new(move || {
        let client = client.clone();
        runtime.block_on(async move {
            let request = Request::post("http://shop/").body(Body::from(BODY));
            let response = client.oneshot(request.expect("it is valid")).await;
            let body = response.expect("the server answers").into_body().collect().await;
            assert!(body.is_ok());
            // The connection goes back to its pool.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        });
    })
}

/// Connects to a server in the same thread.
#[derive(Clone)]
struct Connector;

impl Service<Uri> for Connector {
    type Response = TokioIo<Pipe>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Pipe>>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (client, server) = tokio::io::duplex(1 << 16);
        let service = TowerToHyperService::new(ServiceBuilder::new().service_fn(hello));
        let http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new()).http1_only();
        tokio::spawn(async move {
            http.serve_connection(TokioIo::new(server), service).await.map_err(drop)
        });
        Box::pin(ready(Ok(TokioIo::new(Pipe(client)))))
    }
}

/// One end of a pipe in memory.
struct Pipe(DuplexStream);

impl Connection for Pipe {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

const BODY: &str = "the body of a request";
const BATCH: usize = 200;
