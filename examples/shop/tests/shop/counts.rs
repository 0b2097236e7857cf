//! The requests that were sent are those that `/metrics` counts, that are logged and that are exported.

use std::{collections::BTreeSet, thread};

use crate::{
    postgres::PostgresServer,
    processes::{Answers, Process, Shop},
    receiver::Receiver,
    scrape::Metrics,
    traces::{Traces, hex},
};

const BY_ROUTE: [&str; 3] = ["http_request_method", "http_route", "http_response_status_code"];

/// Sends requests to a shop with this database, and compares everything.
fn every_request_is_counted(database: Option<String>) {
    let (system, namespace) = match &database {
        None => ("sqlite", ":memory:".to_owned()),
        Some(url) => ("postgresql", url.rsplit('/').next().unwrap().to_owned()),
    };
    let receiver = Receiver::start();
    let mut shop = Shop::start(&receiver, database);
    let answers = Answers::of(shop.load(&["--requests", "600", "--rate", "200"]));
    assert_eq!(answers.count(&[]), 600);
    assert_eq!(answers.count(&["502"]) + answers.count(&["none"]), 0);

    let [gateway, backend, supplier] = shop.metrics();
    let sent: Vec<_> = answers.iter().map(|(words, count)| (words.to_owned(), count)).collect();
    let counted = gateway.by("http_server_request_duration_seconds_count", &BY_ROUTE);
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), sent);

    let orders = answers.count(&["/orders"]);
    let [placed, sold_out] = ["201", "409"].map(|status| answers.count(&["/orders", status]));
    assert!(placed > 0 && placed + sold_out == orders);
    let outcomes = ["http_request_method", "http_route", "shop_order_outcome"];
    let expected = [("POST /orders out_of_stock", sold_out), ("POST /orders placed", placed)];
    let expected = expected.into_iter().filter(|(_, count)| *count > 0);
    let expected = expected.map(|(words, count)| (words.to_owned(), count)).collect();
    assert_eq!(gateway.by("shop_orders_total", &outcomes), expected);
    let reserved = supplier.by("http_server_request_duration_seconds_count", &BY_ROUTE);
    assert_eq!(reserved, [("POST /reservations 201".to_owned(), orders)].into());
    let asked = gateway.by("http_client_request_duration_seconds_count", &["url_template"]);
    assert_eq!(asked, [("/reservations".to_owned(), orders)].into());

    let lookups =
        |result| gateway.sum("shop_cache_lookups_total", &[("shop_cache_result", result)]) as u64;
    assert_eq!(lookups("hit") + lookups("miss"), answers.count(&["/products/{id}"]));
    let mut calls = vec![
        ("shop.Inventory/GetProduct NOT_FOUND".to_owned(), answers.count(&["404"])),
        ("shop.Inventory/GetProduct OK".to_owned(), lookups("miss") - answers.count(&["404"])),
        ("shop.Inventory/PlaceOrder FAILED_PRECONDITION".to_owned(), sold_out),
        ("shop.Inventory/PlaceOrder OK".to_owned(), placed),
    ];
    calls.retain(|(_, count)| *count > 0);
    let calls = calls.into_iter().collect();
    let by_call = ["rpc_method", "rpc_status_code"];
    assert_eq!(backend.by("rpc_server_call_duration_seconds_count", &by_call), calls);
    assert_eq!(gateway.by("rpc_client_call_duration_seconds_count", &by_call), calls);
    let inserted = [("db_query_summary", "INSERT orders"), ("db_system_name", system)];
    let operations = "db_client_operation_duration_seconds_count";
    assert_eq!(backend.sum(operations, &inserted) as u64, placed);
    assert!(backend.sum("shop_job_duration_seconds_count", &[("shop_job_name", "restock")]) > 0.0);

    let common =
        ["process_cpu_time_seconds_total", "tokio_runtime_workers", "http_server_open_connections"];
    let pushed =
        ["otel_sdk_exporter_span_exported_total", "otel_sdk_processor_span_processed_total"];
    for (metrics, service) in
        [(&gateway, "shop-gateway"), (&backend, "shop-backend"), (&supplier, "shop-supplier")]
    {
        metrics.assert_resource(service);
        metrics.assert_has(&common);
        metrics.assert_has(&pushed);
    }
    gateway
        .assert_has(&["tower_service_wait_duration_seconds_count", "http_client_open_connections"]);
    backend.assert_has(&[
        "db_client_connection_count",
        "db_client_connection_wait_time_seconds_count",
    ]);

    shop.stop();
    let received = receiver.received();
    let traces = Traces::of(&received);
    let served = traces.spans("shop-gateway", "Server").len();
    assert_eq!(served, 600, "each request has a span, and the last ones are delivered");
    assert_order_and_product(&traces, &namespace);

    let is_answer = |line: &&serde_json::Value| line["fields"]["message"] == "answered";
    assert_eq!(shop.gateway.lines.iter().filter(is_answer).count(), 600);
    let ids: BTreeSet<_> = received.spans().iter().map(|span| hex(&span.span_id)).collect();
    for process in [&shop.gateway, &shop.backend, &shop.supplier] {
        for line in &process.lines {
            if let Some(id) = line["span_id"].as_str() {
                assert!(ids.contains(id), "a line leads to its span: {line}");
            }
        }
    }
    let records = received.log_records();
    let logged: usize = [&shop.gateway, &shop.backend, &shop.supplier]
        .map(|process| process.lines.len())
        .iter()
        .sum();
    assert_eq!(records.len(), logged, "each line is exported");
}

/// An order and a product that was not in the cache, from the customer to the database.
fn assert_order_and_product(traces: &Traces, namespace: &str) {
    let order = format!(
        "\
shop-gateway Server POST /orders
  shop-gateway Internal place order
    shop-gateway Internal POST /reservations
      shop-gateway Client POST /reservations
        shop-supplier Server POST /reservations
    shop-gateway Client shop.Inventory/PlaceOrder
      shop-backend Server shop.Inventory/PlaceOrder
        shop-backend Client BEGIN {namespace}
        shop-backend Client UPDATE products
        shop-backend Client INSERT orders
        shop-backend Client COMMIT {namespace}
"
    );
    let product = "\
shop-gateway Server GET /products/{id}
  shop-gateway Client shop.Inventory/GetProduct
    shop-backend Server shop.Inventory/GetProduct
      shop-backend Client SELECT products
";
    let job = "shop-backend Internal restock\n  shop-backend Client UPDATE products\n";
    let trees = traces.trees();
    for expected in [&order, product, job] {
        let seen = || trees.keys().cloned().collect::<Vec<_>>().join("\n");
        assert!(trees.contains_key(expected), "{expected}\namong\n{}", seen());
    }
}

#[test]
fn with_sqlite() {
    every_request_is_counted(None);
}

#[test]
fn with_postgresql() {
    let server = PostgresServer::shared();
    every_request_is_counted(Some(new_database(&server)));
}

/// Instances that start at once create the tables once, and both serve.
#[test]
fn two_backends_share_a_database() {
    let (server, receiver) = (PostgresServer::shared(), Receiver::start());
    let variables = [("DATABASE_URL", new_database(&server))];
    let start = || Process::start("backend", &receiver, &variables);
    let backends = thread::scope(|scope| {
        let both = [scope.spawn(start), scope.spawn(start)];
        both.map(|started| started.join().unwrap())
    });
    let mut instances = BTreeSet::new();
    for mut backend in backends {
        let metrics = Metrics::of(&backend.url("ops_address"));
        instances.extend(metrics.by("tokio_runtime_workers", &["service_instance_id"]).into_keys());
        backend.terminate();
        backend.wait();
    }
    assert_eq!(instances.len(), 2);
}

/// Returns the URL of a new database.
fn new_database(server: &PostgresServer) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = runtime.block_on(server.new_database());
    let (host, port) = (options.get_host(), options.get_port());
    format!("postgres://tester@{host}:{port}/{}", options.get_database().unwrap())
}
