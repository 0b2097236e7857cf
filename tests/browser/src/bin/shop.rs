//! A service with the viewer at `/telemetry`, unless its argument is `without`. Its address is the first line of
//! standard error.

use std::{env, error::Error, net::SocketAddr, sync::Mutex, time::Duration};

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    routing::{get, post},
};
use tokio::net::TcpListener;
use tower_telemetry::{
    Telemetry, TelemetryLayer,
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
    let app = Router::new()
        .route("/users/{id}", get(user))
        .route("/orders", post(order))
        .route("/reports/{year}", get(report))
        .route("/fail", get(fail))
        .route(HOSTILE_ROUTE, get(hostile))
        .layer(TelemetryLayer::server())
        .route_service("/telemetry", telemetry.viewer());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("{}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

async fn user(Path(id): Path<u64>) -> String {
    format!("user {id}\n")
}

/// An order has spans of three kinds, an event, a link to the order before it, and lines in two spans.
async fn order() -> (StatusCode, &'static str) {
    tracing::info!(items = 3, "cart received");
    let paid = in_span("charge card", SpanKind::Client, |context| async move {
        tokio::time::sleep(Duration::from_millis(12)).await;
        let invoice = vec![KeyValue::new("shop.payment.method", "invoice")];
        context.span().add_event("paid", invoice);
        tracing::info!(amount = 4200, currency = "EUR", "card charged");
    });
    let placed = in_span("place order", SpanKind::Internal, |context| async move {
        let span = context.span();
        span.set_attribute(KeyValue::new("shop.order.items", 3));
        if let Some(last) = replace_last_order(span.span_context().clone()) {
            span.add_link(last, vec![KeyValue::new("shop.relation", "previous order")]);
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
        paid.await;
        let shipped = in_span("reserve stock", SpanKind::Producer, |context| async move {
            tokio::time::sleep(Duration::from_millis(7)).await;
            context.span().set_status(Status::error("one item is not in stock"));
            tracing::warn!(sku = "A-17", "item is out of stock");
        });
        shipped.await;
    });
    placed.await;
    (StatusCode::CREATED, "ordered\n")
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
async fn in_span<F: Future<Output = ()>>(
    name: &'static str,
    kind: SpanKind,
    run: impl FnOnce(Context) -> F,
) {
    let tracer = global::tracer("shop");
    let span = tracer.span_builder(name).with_kind(kind).start(&tracer);
    let context = Context::current_with_span(span);
    run(context.clone()).with_context(context).await;
}

fn replace_last_order(order: SpanContext) -> Option<SpanContext> {
    LAST_ORDER.lock().expect("no holder panics").replace(order)
}

static LAST_ORDER: Mutex<Option<SpanContext>> = Mutex::new(None);
