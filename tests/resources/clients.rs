//! Connections of a client of hyper-util, with the pool that it has.

use std::{
    convert::Infallible,
    future::ready,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::Path, routing::get};
use bytes::Bytes;
use futures_util::{future::join_all, poll};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::{
    client::legacy::{Builder, Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, broadcast},
};
use tower::{Layer, Service, ServiceExt, util::BoxCloneService};
use tower_telemetry::{
    SpanLayer,
    resources::{ClientConnections, CountedBody, CountedConnector, CountedRequests},
};

use crate::support::{Metrics, QUIET};

type Counted = CountedRequests<Client<CountedConnector<HttpConnector>, Empty<Bytes>>>;

/// A server whose `/held` answers with a head, and with a body when the test says so.
async fn server() -> (SocketAddr, broadcast::Sender<()>) {
    let (release, _) = broadcast::channel::<()>(1);
    let releases = release.clone();
    let held = get(move |Path(path): Path<String>| {
        let mut released = releases.subscribe();
        async move {
            match path.as_str() {
                "held" => Body::from_stream(futures_util::stream::once(async move {
                    let _ = released.recv().await;
                    Ok::<_, std::io::Error>(Bytes::from_static(b"body"))
                })),
                _ => Body::from("body"),
            }
        }
    });
    let app = Router::new().route("/{path}", held);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, release)
}

fn client(metrics: &Metrics, configure: impl FnOnce(&mut Builder)) -> Counted {
    let connections = ClientConnections::new().with_meter_provider(&metrics.provider);
    let connector = connections.connector(HttpConnector::new());
    let mut builder = Client::builder(TokioExecutor::new());
    configure(&mut builder);
    connections.layer(builder.build(connector))
}

fn request(address: SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://{address}/{path}")).body(Empty::new()).unwrap()
}

async fn read_all(response: Response<CountedBody<hyper::body::Incoming>>) {
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body");
}

/// `active idle | closed | new reused`
fn counts(metrics: &Metrics, address: SocketAddr) -> String {
    let values = metrics.values();
    let server = format!("server.address=127.0.0.1,server.port={}", address.port());
    let value = |name: &str, label: &str| {
        values.get(&format!("http.client.{name}{{{label}{server}}}")).copied().unwrap_or(0.0)
    };
    format!(
        "{} {} | {} | {} {}",
        value("open_connections", "http.connection.state=active,"),
        value("open_connections", "http.connection.state=idle,"),
        value("connection.duration", ""),
        value("connection.wait_time", "http.client.connection.reused=false,"),
        value("connection.wait_time", "http.client.connection.reused=true,"),
    )
}

fn numbers(metrics: &Metrics, address: SocketAddr) -> [f64; 5] {
    let counts = counts(metrics, address);
    let numbers: Vec<_> = counts.split([' ', '|']).filter_map(|n| n.parse().ok()).collect();
    numbers.try_into().unwrap()
}

async fn wait_for(metrics: &Metrics, address: SocketAddr, expected: &str) {
    let start = Instant::now();
    loop {
        let now = counts(metrics, address);
        if now == expected {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{now}, not {expected}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_active_until_the_end_of_the_body() {
    let _not_quiet = QUIET.read().await;
    let metrics = Metrics::new();
    let (address, release) = server().await;
    let mut client = client(&metrics, |_| ());

    let first = client.call(request(address, "held")).await.unwrap();
    assert_eq!(counts(&metrics, address), "1 0 | 0 | 1 0");
    release.send(()).unwrap();
    read_all(first).await;
    wait_for(&metrics, address, "0 1 | 0 | 1 0").await;

    // hyper-util puts the connection back some time after the body was read.
    let start = Instant::now();
    while numbers(&metrics, address)[4] == 0.0 {
        read_all(client.call(request(address, "now")).await.unwrap()).await;
        assert!(start.elapsed() < Duration::from_secs(20), "no connection is used again");
    }
    // A body that is dropped before its end closes an HTTP/1.1 connection.
    drop(client.call(request(address, "held")).await.unwrap());
    drop(client);
    let start = Instant::now();
    loop {
        let now = numbers(&metrics, address);
        let [active, idle, closed, new, reused] = now;
        // The client may have connected once more while it waited for the first connection.
        if (active, idle) == (0.0, 0.0) && closed >= new && new >= 1.0 && reused >= 1.0 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{now:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_http2_share_a_connection() {
    let _not_quiet = QUIET.read().await;
    let metrics = Metrics::new();
    let (address, release) = server().await;
    let mut client = client(&metrics, |builder| _ = builder.http2_only(true));
    read_all(client.call(request(address, "now")).await.unwrap()).await;
    let held = (0..10).map(|_| client.call(request(address, "held"))).collect::<Vec<_>>();
    let held = join_all(held).await;
    assert_eq!(counts(&metrics, address), "1 0 | 0 | 1 10");
    release.send(()).unwrap();
    for response in held {
        read_all(response.unwrap()).await;
    }
    assert_eq!(counts(&metrics, address), "0 1 | 0 | 1 10");
    drop(client);
    wait_for(&metrics, address, "0 0 | 1 | 1 10").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_are_counted_exactly() {
    let _not_quiet = QUIET.read().await;
    let metrics = Metrics::new();
    let (address, _release) = server().await;
    let client = client(&metrics, |builder| _ = builder.pool_max_idle_per_host(0));
    for _ in 0..10 {
        join_all((0..100).map(|n| {
            let client = client.clone();
            async move {
                match n % 10 {
                    // Dropped while it is on its way, or after the head.
                    0..3 => {
                        let mut call = pin!(client.oneshot(request(address, "held")));
                        let _ = poll!(&mut call);
                    }
                    3..5 => drop(client.oneshot(request(address, "held")).await.unwrap()),
                    _ => read_all(client.oneshot(request(address, "now")).await.unwrap()).await,
                }
            }
        }))
        .await;
    }
    let start = Instant::now();
    loop {
        let now = numbers(&metrics, address);
        let [active, idle, closed, new, reused] = now;
        // Those that were dropped at once may have no connection, or one without a request.
        if (active, idle, reused) == (0.0, 0.0, 0.0)
            && (700.0..=1000.0).contains(&new)
            && (new..=1000.0).contains(&closed)
        {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{now:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_without_a_connection_leaves_nothing() {
    let metrics = Metrics::new();
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let mut client = client(&metrics, |_| ());
    assert!(client.call(request(address, "now")).await.unwrap_err().is_connect());
    assert!(metrics.collect().is_empty());
}

/// The ways in which a connection ends after it was used.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// The client sends another request, and goes away.
    KeepAlive,
    /// The server says after a response that it is the last one.
    ServerCloses,
    /// The server resets the connection with a response.
    Reset,
    /// The server resets it before it answers.
    ResetAtOnce,
}

/// Serves a connection, and ends it in its way.
async fn serve(stream: TcpStream, way: Way) {
    stream.set_zero_linger().unwrap();
    if let Way::ResetAtOnce = way {
        // The first byte of the request: the client has its connection.
        while stream.try_read(&mut [0]).is_err() {
            stream.readable().await.unwrap();
        }
        return;
    }
    let responded = Arc::new(Notify::new());
    let respond = Arc::clone(&responded);
    let service = hyper::service::service_fn(move |_| {
        respond.notify_one();
        ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"body")))))
    });
    let http = auto::Builder::new(TokioExecutor::new());
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = responded.notified() => {}
    }
    match way {
        Way::ServerCloses => connection.as_mut().graceful_shutdown(),
        // The client may see the response or only the reset.
        Way::Reset => {
            let _ = poll!(connection);
            return;
        }
        Way::KeepAlive | Way::ResetAtOnce => {}
    }
    let _ = connection.await;
}

/// As many connections are counted as the server has accepted: none is missing, and none is there twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_end_a_connection_is_counted_once() {
    let _not_quiet = QUIET.read().await;
    for is_http2 in [false, true] {
        for way in [Way::KeepAlive, Way::ServerCloses, Way::Reset, Way::ResetAtOnce] {
            let metrics = Metrics::new();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let accepted = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&accepted);
            let server = tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    count.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(serve(stream, way));
                }
            });
            let connections = ClientConnections::new().with_meter_provider(&metrics.provider);
            for _ in 0..13 {
                join_all((0..10).map(|_| {
                    // A client of its own, and so a pool of its own.
                    let mut builder = Client::builder(TokioExecutor::new());
                    let connector = connections.connector(HttpConnector::new());
                    let client = builder.http2_only(is_http2).build(connector);
                    let client = connections.layer(client);
                    async move {
                        for _ in 0..2 {
                            match client.clone().oneshot(request(address, "now")).await {
                                Ok(response) => _ = response.into_body().collect().await,
                                Err(error) => assert!(!matches!(way, Way::KeepAlive), "{error:?}"),
                            }
                        }
                    }
                }))
                .await;
            }
            let start = Instant::now();
            loop {
                let [active, idle, closed, new, reused] = numbers(&metrics, address);
                let accepted = accepted.load(Ordering::Relaxed) as f64;
                if (active, idle) == (0.0, 0.0) && closed == accepted {
                    let row = format!("{is_http2} {way:?}: {closed} {new} {reused}");
                    assert!(
                        closed >= 130.0 && new <= closed && new + reused <= 2.0 * closed,
                        "{row}"
                    );
                    break;
                }
                let late = start.elapsed() > Duration::from_secs(20);
                assert!(!late, "{is_http2} {way:?}: {active} {idle} {closed} {accepted}");
                tokio::task::yield_now().await;
            }
            server.abort();
        }
    }
}

#[tokio::test]
async fn the_wait_is_on_the_span_of_the_request() {
    let (address, _release) = server().await;
    let spans = InMemorySpanExporter::default();
    let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let metrics = Metrics::new();
    let client = client(&metrics, |_| ());
    let mut client: BoxCloneService<_, _, Error> =
        BoxCloneService::new(SpanLayer::client().with_tracer_provider(&tracers).layer(client));
    // Sends requests until one has found a connection that was used before.
    let (mut reused, mut sum) = (false, 0.0);
    let start = Instant::now();
    while !reused {
        let response = client.call(request(address, "now")).await.unwrap();
        response.into_body().collect().await.unwrap();
        let span = spans.get_finished_spans().unwrap().pop().unwrap();
        let attribute = |key: &str| {
            span.attributes.iter().find(|a| a.key.as_str() == key).unwrap().value.clone()
        };
        let is_first = sum == 0.0;
        reused = attribute("http.client.connection.reused") == true.into();
        assert!(!is_first || !reused);
        let opentelemetry::Value::F64(waited) = attribute("http.client.connection.wait_time")
        else {
            panic!("{span:?}")
        };
        let whole = span.end_time.duration_since(span.start_time).unwrap().as_secs_f64();
        assert!(waited > 0.0 && waited <= whole, "{waited} {whole}");
        sum += waited;
        let recorded = metrics.sum("http.client.connection.wait_time");
        assert!((recorded - sum).abs() < 1e-9, "{recorded} {sum}");
        assert!(start.elapsed() < Duration::from_secs(20), "no connection is used again");
    }
}
