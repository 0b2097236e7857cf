//! A small shop with telemetry. Without an OTLP endpoint in the environment, spans and metrics are
//! printed:
//!
//! ```text
//! cargo run --manifest-path examples/axum/Cargo.toml
//! ```
//!
//! With an endpoint they are exported to it. The README lists the environment variables:
//!
//! ```text
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 \
//!     cargo run --manifest-path examples/axum/Cargo.toml
//! ```

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::{MatchedPath, Path, Request, State},
    http::{StatusCode, Uri},
    middleware::{self, Next},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_telemetry::{
    Telemetry, TelemetryLayer, TelemetryService, filter,
    logs::LogFormat,
    opentelemetry::{
        KeyValue, global,
        metrics::{Counter, Histogram},
        trace::{Span, Tracer},
    },
    setup::GracefulShutdown,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::builder()
        .with_service_name("shop")
        .with_console_by_default()
        .with_log_lines(LogFormat::Auto)
        .with_prometheus()
        .with_viewer()
        .build()?;

    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    println!("Listening on http://{address}. Try:\n");
    for (options, path) in TRY {
        println!("  curl {options}http://{address}{path}");
    }
    println!("\nand open http://{address}/telemetry in a browser.\n");
    println!(
        "Telemetry is exported as the environment says, or printed here. Press Ctrl-C to stop.\n"
    );

    let shutdown = GracefulShutdown::new(telemetry);
    let app = app(address.to_string())
        .route_service("/metrics", shutdown.telemetry().prometheus())
        .route_service("/telemetry", shutdown.telemetry().viewer())
        .route_service("/readyz", shutdown.readiness())
        .into_make_service_with_connect_info::<SocketAddr>();
    shutdown.serve(|stop| axum::serve(listener, app).with_graceful_shutdown(stop)).await?;
    println!("flushed");
    Ok(())
}

const TRY: [(&str, &str); 7] = [
    ("", "/users/7"),
    ("--json '{\"amount\": 3}' ", "/orders"),
    ("", "/proxy"),
    ("-N ", "/events"),
    ("", "/fail"),
    ("", "/metrics"),
    ("", "/healthz  # filtered: no span, no measurement"),
];

/// The application. One layer makes it observable.
fn app(own_address: String) -> Router {
    let telemetry = TelemetryLayer::server().with_filter(filter::except_paths(["/healthz"]));
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/users/{id}", get(user))
        .route("/orders", post(order))
        .route("/proxy", get(proxy))
        .route("/events", get(events))
        .route("/fail", get(fail))
        .with_state(Shop::new(own_address))
        .layer(middleware::from_fn(log))
        .layer(telemetry)
}

/// Logs a line for each request. The line has the ids of the server's span, because that span is
/// current here.
async fn log(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let route = route.as_ref().map(MatchedPath::as_str);
    tracing::info!(route, status = response.status().as_u16(), "answered");
    response
}

type HttpClient = TelemetryService<Client<HttpConnector, Empty<Bytes>>>;

#[derive(Clone)]
struct Shop {
    own_address: String,
    client: HttpClient,
    orders: Counter<u64>,
    order_amount: Histogram<f64>,
}

impl Shop {
    fn new(own_address: String) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let meter = global::meter("shop");
        Self {
            own_address,
            client: TelemetryLayer::client().layer(client),
            orders: meter
                .u64_counter("shop.orders")
                .with_description("Orders placed.")
                .with_unit("{order}")
                .build(),
            order_amount: meter
                .f64_histogram("shop.order.duration")
                .with_description("Duration of placing an order.")
                .with_unit("s")
                .build(),
        }
    }
}

async fn user(Path(id): Path<u64>) -> String {
    format!("user {id}\n")
}

#[derive(serde::Deserialize)]
struct Order {
    amount: u64,
}

/// A business operation with a span, an event, a counter and a histogram of its own.
async fn order(State(shop): State<Shop>, Json(order): Json<Order>) -> impl IntoResponse {
    let started = std::time::Instant::now();
    let mut span = global::tracer("shop").start("place order");
    span.set_attribute(KeyValue::new("shop.order.amount", order.amount as i64));
    tokio::time::sleep(Duration::from_millis(20)).await; // the work
    span.add_event("paid", vec![KeyValue::new("shop.payment.method", "invoice")]);
    span.end();
    shop.orders.add(1, &[]);
    shop.order_amount.record(started.elapsed().as_secs_f64(), &[]);
    (StatusCode::CREATED, "ordered\n")
}

/// Calls another route of this server, so that one trace spans two services.
async fn proxy(State(shop): State<Shop>) -> Result<String, Failure> {
    let uri: Uri = format!("http://{}/users/42", shop.own_address).parse()?;
    let response = shop.client.oneshot(axum::http::Request::get(uri).body(Empty::new())?).await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(format!("the other service says: {}", String::from_utf8_lossy(&body)))
}

async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::iter(1..=5).then(|n| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(Event::default().data(format!("event {n}")))
    }))
}

async fn fail() -> (StatusCode, &'static str) {
    (StatusCode::INTERNAL_SERVER_ERROR, "failed, as requested\n")
}

struct Failure;

impl<E: std::error::Error> From<E> for Failure {
    fn from(_: E) -> Self {
        Self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::BAD_GATEWAY, "the other service failed\n").into_response()
    }
}
