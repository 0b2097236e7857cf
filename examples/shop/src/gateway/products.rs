//! `GET /products/{id}`, from a cache or from the backend.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use moka::future::Cache;
use serde::Serialize;
use tonic::Code;
use tower_telemetry::opentelemetry::{KeyValue, global, metrics::Counter};

use super::Backend;
use crate::inventory::{self, GetProductRequest};

pub(super) fn routes(backend: Backend) -> Router {
    let lookups = global::meter("shop")
        .u64_counter("shop.cache.lookups")
        .with_description("Look-ups in caches.")
        .with_unit("{lookup}")
        .build();
    let products = Products {
        backend,
        // Customers see a stock that is up to two seconds old.
        cache: Cache::builder().max_capacity(1000).time_to_live(Duration::from_secs(2)).build(),
        lookups,
    };
    Router::new().route("/products/{id}", get(product)).with_state(products)
}

#[derive(Clone)]
struct Products {
    backend: Backend,
    cache: Cache<i64, Arc<Product>>,
    lookups: Counter<u64>,
}

#[derive(Serialize)]
struct Product {
    id: i64,
    name: String,
    cents: i64,
    stock: i64,
}

async fn product(
    State(mut products): State<Products>,
    Path(id): Path<i64>,
) -> Result<Json<Arc<Product>>, StatusCode> {
    let cached = products.cache.get(&id).await;
    let result = if cached.is_some() { "hit" } else { "miss" };
    let name = KeyValue::new("shop.cache.name", "products");
    products.lookups.add(1, &[name, KeyValue::new("shop.cache.result", result)]);
    if let Some(product) = cached {
        return Ok(Json(product));
    }
    let answer = products.backend.get_product(GetProductRequest { id }).await;
    let inventory::Product { id, name, cents, stock } = answer
        .map_err(|status| match status.code() {
            Code::NotFound => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_GATEWAY,
        })?
        .into_inner();
    let product = Arc::new(Product { id, name, cents, stock });
    products.cache.insert(id, Arc::clone(&product)).await;
    Ok(Json(product))
}
