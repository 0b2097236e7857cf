//! Requests that `load` does not send, and which of them are observed.

use crate::{processes::Shop, receiver::Receiver, scrape::request};

const LABELS: [&str; 3] = ["http_request_method", "http_route", "http_response_status_code"];

#[test]
fn probes_are_not_observed_and_unknown_paths_are() {
    let receiver = Receiver::start();
    let mut shop = Shop::start(&receiver, None);
    let [gateway, supplier] = [&shop.gateway, &shop.supplier].map(|process| process.url("address"));
    let ops = shop.backend.url("ops_address");
    for (url, method, path, body, status) in [
        (&gateway, "GET", "/healthz", "", 200),
        (&gateway, "GET", "/readyz", "", 200),
        (&gateway, "GET", "/metrics", "", 200),
        (&gateway, "GET", "/nothing", "", 404),
        (&gateway, "DELETE", "/orders", "", 405),
        (&gateway, "POST", "/orders", "nonsense", 415),
        (&gateway, "GET", "/products/x", "", 400),
        (&ops, "GET", "/healthz", "", 200),
        (&ops, "GET", "/readyz", "", 200),
        (&ops, "PUT", "/fault", "dead", 400),
        (&ops, "PUT", "/fault", "none\n", 200),
        (&supplier, "GET", "/healthz", "", 200),
        (&supplier, "PUT", "/fault", "hot", 400),
        (&supplier, "PUT", "/fault", "dead", 200),
        (&supplier, "GET", "/nothing", "", 404),
    ] {
        assert_eq!(request(url, method, path, body).0, status, "{method} {path}");
    }
    let [gateway, backend, supplier] = shop.metrics();
    let observed = [&gateway, &backend, &supplier].map(|metrics| {
        let counts = metrics.by("http_server_request_duration_seconds_count", &LABELS);
        counts.into_keys().collect::<Vec<_>>()
    });
    let of_gateway = ["DELETE - 405", "GET - 404", "GET /products/{id} 400", "POST /orders 415"];
    assert_eq!(observed, [of_gateway.to_vec(), vec![], vec!["GET - 404"]]);
    shop.stop();
}
