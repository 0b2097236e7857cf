//! A service with the viewer at `/telemetry`, unless its argument is `without`. Its address is the first line of
//! standard error.

use std::{
    env,
    error::Error,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{Request, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_telemetry::{
    Telemetry, TelemetryLayer, TelemetryService,
    database::Database,
    logs::LogFormat,
    opentelemetry::{
        Context, KeyValue, global,
        trace::{FutureExt, SpanContext, SpanKind, Status, TraceContextExt, Tracer},
    },
};
use tower_telemetry_browser::{HOSTILE, HOSTILE_ROUTE};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = Telemetry::builder()
        .with_service_name("shop")
        .with_variables(|name| name.ends_with("EXPORTER").then(|| "none".to_owned()))
        .with_log_lines(LogFormat::Json)
        .with_process_metrics()
        .with_runtime_metrics();
    let is_without = env::args().nth(1).is_some_and(|argument| argument == "without");
    let telemetry = if is_without { telemetry } else { telemetry.with_viewer() }.build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let shop = Shop {
        payments: format!("http://{address}/payments").into(),
        client: TelemetryLayer::client().layer(client),
        stock: Database::new("memory"),
    };
    let app = Router::new()
        .route("/users/{id}", get(user))
        .route("/orders", post(order))
        .route("/payments", post(payment))
        .route("/reports/{year}", get(report))
        .route("/fail", get(fail))
        .route(HOSTILE_ROUTE, get(hostile))
        .with_state(shop)
        .layer(TelemetryLayer::server())
        .route_service("/telemetry", telemetry.viewer());
    eprintln!("{address}");
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[derive(Clone)]
struct Shop {
    payments: Arc<str>,
    client: TelemetryService<Client<HttpConnector, Empty<Bytes>>>,
    stock: Database,
}

async fn user(Path(id): Path<u64>) -> String {
    format!("user {id}\n")
}

/// An order calls the payment service, which is this one, and reserves stock. Its span has a link to the order before
/// it. It fails in part if the query says so.
async fn order(State(shop): State<Shop>, uri: Uri) -> Result<(StatusCode, &'static str), Failure> {
    tracing::info!(items = 3, "cart received");
    let is_sold_out = uri.query() == Some("sold-out");
    in_span("place order", SpanKind::Internal, |context| async move {
        let span = context.span();
        span.set_attribute(KeyValue::new("shop.order.items", 3));
        if let Some(last) = replace_last_order(span.span_context().clone()) {
            span.add_link(last, vec![KeyValue::new("shop.relation", "previous order")]);
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
        let payment = Request::post(&*shop.payments).body(Empty::new())?;
        shop.client.oneshot(payment).await?.into_body().collect().await?;
        let reserve = shop.stock.operation("reserve").with_collection("stock");
        let stock = async {
            tokio::time::sleep(Duration::from_millis(7)).await;
            if is_sold_out { Err(io::Error::other("sold out")) } else { Ok(()) }
        };
        if let Err(error) = reserve.instrument(stock).await {
            tracing::warn!(sku = "A-17", %error, "item could not be reserved");
        }
        Ok((StatusCode::CREATED, "ordered\n"))
    })
    .await
}

async fn payment() -> &'static str {
    tokio::time::sleep(Duration::from_millis(12)).await;
    let invoice = vec![KeyValue::new("shop.payment.method", "invoice")];
    Context::current().span().add_event("paid", invoice);
    tracing::info!(amount = 4200, currency = "EUR", "card charged");
    "paid\n"
}

/// The time depends on the year, so that the histogram has more than one bucket.
async fn report(Path(year): Path<u64>) -> String {
    tokio::time::sleep(Duration::from_millis(year % 100)).await;
    format!("report of {year}\n")
}

async fn fail() -> (StatusCode, &'static str) {
    tracing::error!(cause = "as requested", "request failed");
    (StatusCode::INTERNAL_SERVER_ERROR, "failed\n")
}

/// Every text that the viewer shows is hostile here.
async fn hostile() -> &'static str {
    let hostile = in_span(HOSTILE, SpanKind::Consumer, |context| async move {
        let span = context.span();
        let pairs = || vec![KeyValue::new(HOSTILE, HOSTILE), KeyValue::new("__proto__", HOSTILE)];
        span.set_attributes(pairs());
        span.set_attribute(KeyValue::new("long", "long ".repeat(2000)));
        span.add_event(HOSTILE, pairs());
        span.add_link(span.span_context().clone(), pairs());
        span.set_status(Status::error(HOSTILE));
        tracing::error!(text = HOSTILE, "{HOSTILE}");
        tracing::info!("{}", "long ".repeat(2000));
    });
    hostile.await;
    "hostile\n"
}

/// Runs a future in a span of this name.
async fn in_span<F: Future>(
    name: &'static str,
    kind: SpanKind,
    run: impl FnOnce(Context) -> F,
) -> F::Output {
    let tracer = global::tracer("shop");
    let span = tracer.span_builder(name).with_kind(kind).start(&tracer);
    let context = Context::current_with_span(span);
    run(context.clone()).with_context(context).await
}

struct Failure;

impl<E: Error> From<E> for Failure {
    fn from(_: E) -> Self {
        Self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        StatusCode::BAD_GATEWAY.into_response()
    }
}

fn replace_last_order(order: SpanContext) -> Option<SpanContext> {
    LAST_ORDER.lock().expect("no holder panics").replace(order)
}

static LAST_ORDER: Mutex<Option<SpanContext>> = Mutex::new(None);
