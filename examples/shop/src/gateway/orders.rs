//! `POST /orders`: the supplier reserves the goods, and the backend books the order.

use std::error::Error;

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde::Deserialize;
use tonic::Code;
use tower_telemetry::{
    Labels,
    opentelemetry::{
        Context, KeyValue,
        context::FutureExt,
        global,
        metrics::Counter,
        trace::{self, TraceContextExt, Tracer},
    },
};

use super::{Backend, SupplierClient};
use crate::{inventory::PlaceOrderRequest, supplier::Reservation};

pub(super) fn routes(backend: Backend, supplier: SupplierClient) -> Router {
    let placed = global::meter("shop")
        .u64_counter("shop.orders")
        .with_description("Orders, by how they ended.")
        .with_unit("{order}")
        .build();
    Router::new().route("/orders", post(order)).with_state(Orders { backend, supplier, placed })
}

#[derive(Clone)]
struct Orders {
    backend: Backend,
    supplier: SupplierClient,
    placed: Counter<u64>,
}

#[derive(Deserialize)]
struct Order {
    product: i64,
    quantity: i64,
}

/// A business operation with a span and a counter of its own. The counter has the labels of the
/// request.
async fn order(State(mut orders): State<Orders>, Json(order): Json<Order>) -> (StatusCode, String) {
    let tracer = global::tracer("shop");
    let span = tracer.span_builder("place order").with_attributes([
        KeyValue::new("shop.product.id", order.product),
        KeyValue::new("shop.order.quantity", order.quantity),
    ]);
    let context = Context::current_with_span(span.start(&tracer));
    let outcome = orders.place(order).with_context(context.clone()).await;
    let (status, name) = outcome.describe();
    if status.is_server_error() {
        context.span().set_status(trace::Status::error(name));
    }
    let outcome = KeyValue::new("shop.order.outcome", name);
    orders.placed.add(1, &Labels::current_with([outcome]));
    (status, format!("{name}\n"))
}

impl Orders {
    async fn place(&mut self, Order { product, quantity }: Order) -> Outcome {
        let number = fastrand::i64(1..);
        let reserved = self.supplier.reserve(&Reservation { number, product, quantity }).await;
        if let Err(error) = reserved {
            tracing::warn!(error = &*error as &dyn Error, "the supplier failed");
            return Outcome::SupplierFailed;
        }
        let order = PlaceOrderRequest { reservation: number, product, quantity };
        match self.backend.place_order(order).await {
            Ok(_) => Outcome::Placed,
            Err(status) if status.code() == Code::FailedPrecondition => Outcome::OutOfStock,
            Err(status) => {
                tracing::warn!(error = status.message(), "the backend failed");
                Outcome::BackendFailed
            }
        }
    }
}

enum Outcome {
    Placed,
    OutOfStock,
    SupplierFailed,
    BackendFailed,
}

impl Outcome {
    /// Returns the answer to the customer, and `shop.order.outcome`.
    fn describe(self) -> (StatusCode, &'static str) {
        match self {
            Self::Placed => (StatusCode::CREATED, "placed"),
            Self::OutOfStock => (StatusCode::CONFLICT, "out_of_stock"),
            Self::SupplierFailed => (StatusCode::BAD_GATEWAY, "supplier_failed"),
            Self::BackendFailed => (StatusCode::BAD_GATEWAY, "backend_failed"),
        }
    }
}
