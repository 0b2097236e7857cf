//! Each fault shows itself where an operator looks, and is gone afterwards.

use crate::{
    processes::{Answers, Shop},
    receiver::{Receiver, attribute},
    scrape::Metrics,
    traces::Traces,
};

/// The measurements of gateway, backend and supplier, and the answers of the customers.
struct Seen {
    gateway: Metrics,
    supplier: Metrics,
    answers: Answers,
}

impl Seen {
    fn outcomes(&self, outcome: &str) -> u64 {
        self.gateway.sum("shop_orders_total", &[("shop_order_outcome", outcome)]) as u64
    }

    fn attempts(&self, error: &str) -> u64 {
        let labels = [("error_type", error)];
        self.gateway.sum("http_client_request_duration_seconds_count", &labels) as u64
    }
}

/// Runs a scenario against a new shop, and then normal customers. Returns what the scenario has
/// caused, and the shop's receiver.
fn run(scenario: &str, arguments: &[&str]) -> (Seen, Receiver) {
    let receiver = Receiver::start();
    let mut shop = Shop::start(&receiver, None);
    let answers = Answers::of(shop.load(&[&["--scenario", scenario], arguments].concat()));
    let [gateway, _, supplier] = shop.metrics();
    let later = Answers::of(shop.load(&["--requests", "40", "--rate", "100"]));
    let failed = ["500", "502", "503", "none"].map(|status| later.count(&[status]));
    assert_eq!(failed, [0; 4], "{scenario}: the fault is reset");
    shop.stop();
    (Seen { gateway, supplier, answers }, receiver)
}

#[test]
fn slow_calls_succeed_later() {
    let (seen, _) = run("slow", &["--requests", "60", "--rate", "60"]);
    assert_eq!(seen.answers.count(&["502"]) + seen.answers.count(&["none"]), 0);
    let duration = "http_server_request_duration_seconds";
    let orders = [("http_route", "/orders")];
    let [sum, count] =
        ["sum", "count"].map(|of| seen.gateway.sum(&format!("{duration}_{of}"), &orders));
    assert!(count > 0.0 && sum >= 1.6 * count, "supplier and backend: {sum} s for {count}");
    let below = [("http_route", "/orders"), ("le", "1")];
    assert_eq!(seen.gateway.sum(&format!("{duration}_bucket"), &below), 0.0);
}

#[test]
fn errors_are_retried() {
    let (seen, receiver) = run("errors", &["--requests", "200", "--rate", "100"]);
    let failed = seen.answers.count(&["/orders", "502"]);
    assert!(failed > 0 && seen.answers.count(&["/orders", "201"]) > 0);
    assert_eq!(seen.outcomes("supplier_failed") + seen.outcomes("backend_failed"), failed);
    let refused = [("http_response_status_code", "503")];
    let refused = seen.supplier.sum("http_server_request_duration_seconds_count", &refused) as u64;
    assert!(refused > 0);
    assert_eq!(seen.attempts("503"), refused);
    let received = receiver.received();
    let attempts = Traces::of(&received).spans("shop-gateway", "Client");
    let has_resends = |attributes| attribute(attributes, "http.request.resend_count").is_some();
    let again = attempts.iter().filter(|span| has_resends(&span.attributes)).count() as u64;
    // Each refused attempt but the last of an order is followed by another one.
    assert_eq!(again, refused - seen.outcomes("supplier_failed"));
}

#[test]
fn a_saturated_pool_turns_reports_away() {
    let (seen, _) = run("saturated", &["--requests", "700", "--rate", "75"]);
    let rejected = seen.answers.count(&["/reports/{day}", "503"]);
    assert!(rejected > 0);
    let pool = [("tower_service_name", "reports")];
    assert_eq!(seen.gateway.sum("tower_service_rejected_total", &pool) as u64, rejected);
    let waits = seen.gateway.sum("tower_service_wait_duration_seconds_count", &pool) as u64;
    assert_eq!(waits, seen.answers.count(&["/reports/{day}"]));
    assert_eq!(seen.gateway.sum("tower_service_waiting", &pool), 0.0);
}

#[test]
fn a_dead_supplier_fails_orders_only() {
    let (seen, _) = run("dead", &["--requests", "100", "--rate", "100"]);
    let orders = seen.answers.count(&["/orders"]);
    assert!(orders > 0);
    assert_eq!(seen.answers.count(&["502"]), orders);
    assert_eq!(seen.answers.count(&["none"]), 0);
    assert_eq!(seen.outcomes("supplier_failed"), orders);
    let errors = seen.gateway.by("http_client_request_duration_seconds_count", &["error_type"]);
    assert_eq!(errors.values().sum::<u64>(), 3 * orders, "three attempts each: {errors:?}");
    assert!(!errors.contains_key("-"), "{errors:?}");
}
