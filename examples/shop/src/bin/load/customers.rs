//! The customers: which requests they send.

use axum::{
    body::Bytes,
    http::{Request, Uri, header::CONTENT_TYPE},
};
use fastrand::Rng;
use http_body_util::Full;

/// A request, with its method and route as telemetry knows them.
pub(crate) struct Visit {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) request: Request<Full<Bytes>>,
}

/// The same sequence of requests in each run.
pub(crate) struct Customers {
    random: Rng,
}

impl Customers {
    pub(crate) fn new() -> Self {
        Self { random: Rng::with_seed(7) }
    }

    /// Returns the next request. Nearly all customers want reports if `reports_most` is true.
    pub(crate) fn next(&mut self, url: &Uri, reports_most: bool) -> Visit {
        let random = &mut self.random;
        let choice = random.u32(0..100) / if reports_most { 10 } else { 1 };
        match choice {
            0..10 => get(url, "/reports/{day}", format!("/reports/{}", random.u32(1..=31))),
            10..35 => order(url, random.i64(1..=20), random.i64(1..=3)),
            // No such product.
            35..40 => get(url, PRODUCT, format!("/products/{}", random.u32(1000..1020))),
            _ => get(url, PRODUCT, format!("/products/{}", random.u32(1..=20))),
        }
    }
}

fn get(url: &Uri, route: &'static str, path: String) -> Visit {
    let request = Request::get(at(url, &path)).body(Full::default());
    Visit { method: "GET", route, request: request.expect("a method and a URI are a request") }
}

fn order(url: &Uri, product: i64, quantity: i64) -> Visit {
    let route = "/orders";
    let order = serde_json::json!({ "product": product, "quantity": quantity }).to_string();
    let request = Request::post(at(url, route)).header(CONTENT_TYPE, "application/json");
    let request = request.body(Full::from(order));
    Visit { method: "POST", route, request: request.expect("these parts are a request") }
}

/// Returns the URL of a path.
pub(crate) fn at(url: &Uri, path: &str) -> String {
    format!("{}{path}", url.to_string().trim_end_matches('/'))
}

const PRODUCT: &str = "/products/{id}";
