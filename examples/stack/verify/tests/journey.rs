//! The walk from a metric to a trace to its log lines, for every request of a fixed load: by OTLP over gRPC and
//! HTTP, and by pull.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tower_telemetry_stack::{Collector, Jaeger, Prometheus, Sent, Shop, Span, Stack, number};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_lead_to_traces_and_traces_to_lines() {
    let mut stack = Stack::start();
    let collector = stack.collector().await;
    let Collector { grpc, http, .. } = &collector;
    let (protocol, endpoint) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_ENDPOINT");
    for (environment, variables) in [
        ("by-grpc", vec![(protocol, "grpc"), (endpoint, &**grpc)]),
        ("by-http", vec![(protocol, "http/protobuf"), (endpoint, http)]),
        ("by-pull", vec![(endpoint, http), ("OTEL_METRICS_EXPORTER", "prometheus")]),
    ] {
        let shop = Shop::start(environment, &variables).await;
        if environment == "by-pull" {
            for (job, target) in ["gateway", "backend", "supplier"].iter().zip(&shop.metrics) {
                stack.prometheus.scrape(job, target).await;
            }
        }
        let sent = shop.load(&["--requests", "300", "--rate", "100"]).end().await;
        check_counts(&stack.prometheus, environment, &sent).await;
        let traces = check_traces(&stack.jaeger, environment, &sent).await;
        let exemplars = check_exemplars(&stack, environment, &traces).await;
        let lines = check_lines(&stack, environment, &traces).await;
        let spans: usize = traces.values().map(Vec::len).sum();
        println!(
            "{environment}: {} requests, {} traces with {spans} spans, {exemplars} exemplars, {lines} lines",
            sent.total(),
            traces.len()
        );
        shop.terminate().await;
    }
}

/// The spans of each trace.
type Traces = BTreeMap<String, Vec<Span>>;

/// Checks that Prometheus has counted what was sent, by method, route and status.
async fn check_counts(prometheus: &Prometheus, environment: &str, sent: &Sent) {
    let query = format!(
        "sum by (http_request_method, http_route, http_response_status_code) \
         (http_server_request_duration_seconds_count{{service_name=\"shop-gateway\", \
         deployment_environment_name=\"{environment}\"}})"
    );
    let counted = |data: &Value| -> BTreeMap<_, _> {
        let series = data["result"].as_array().into_iter().flatten();
        let labels = ["http_request_method", "http_route", "http_response_status_code"];
        let count = |series: &Value| {
            let [method, route, status] =
                labels.map(|label| series["metric"][label].as_str().unwrap_or("").to_owned());
            ((method, route, status), number(&series["value"][1]).unwrap_or_default() as u64)
        };
        series.map(count).collect()
    };
    let is_all = |data: &Value| counted(data).values().sum::<u64>() >= sent.total();
    let data = prometheus.until("query", &[("query", &query)], is_all).await;
    assert_eq!(counted(&data), sent.by, "{environment}");
}

/// Checks that each request has a trace, and that its spans have the right parents. Returns the traces.
async fn check_traces(jaeger: &Jaeger, environment: &str, sent: &Sent) -> Traces {
    let traces = |spans: &[Span]| {
        let mut traces = Traces::new();
        for span in spans {
            if span.resource["deployment.environment.name"] == environment {
                traces.entry(span.trace_id.clone()).or_default().push(span.clone());
            }
        }
        traces
    };
    let is_all = |spans: &[Span]| {
        let traces = traces(spans);
        traces.len() as u64 == sent.total() && traces.values().all(|trace| shape(trace).is_some())
    };
    let traces = traces(&jaeger.search("shop-gateway", is_all).await);

    let mut answers = BTreeMap::<_, u64>::new();
    let mut found = BTreeSet::new();
    for trace in traces.values() {
        let root = trace.iter().find(|span| span.parent_id.is_empty()).expect("a shape has a root");
        let [method, route, status] =
            ["http.request.method", "http.route", "http.response.status_code"]
                .map(|key| root.attribute(key).to_owned());
        *answers.entry((method, route, status)).or_default() += 1;
        found.extend(shape(trace));
    }
    assert_eq!(answers, sent.by, "{environment}");
    for expected in ["product from the cache", "product", "report", "order"] {
        assert!(found.contains(expected), "no trace of a {expected}");
    }
    traces
}

/// The shapes of traces: a line per span, indented below its parent. Siblings are sorted.
const SHAPES: [(&str, &str); 5] = [
    (
        "product from the cache",
        "
gateway SERVER GET /products/{id}",
    ),
    (
        "product",
        "
gateway SERVER GET /products/{id}
  gateway CLIENT shop.Inventory/GetProduct
    backend SERVER shop.Inventory/GetProduct
      backend CLIENT SELECT products",
    ),
    (
        "report",
        "
gateway SERVER GET /reports/{day}",
    ),
    (
        "order",
        "
gateway SERVER POST /orders
  gateway INTERNAL place order
    gateway CLIENT shop.Inventory/PlaceOrder
      backend SERVER shop.Inventory/PlaceOrder
        backend CLIENT BEGIN :memory:
        backend CLIENT COMMIT :memory:
        backend CLIENT INSERT orders
        backend CLIENT UPDATE products
    gateway INTERNAL POST /reservations
      gateway CLIENT POST /reservations
        supplier SERVER POST /reservations",
    ),
    (
        "order out of stock",
        "
gateway SERVER POST /orders
  gateway INTERNAL place order
    gateway CLIENT shop.Inventory/PlaceOrder
      backend SERVER shop.Inventory/PlaceOrder
        backend CLIENT BEGIN :memory:
        backend CLIENT ROLLBACK :memory:
        backend CLIENT UPDATE products
    gateway INTERNAL POST /reservations
      gateway CLIENT POST /reservations
        supplier SERVER POST /reservations",
    ),
];

/// Returns the name of a trace's shape, or none if spans are missing or have wrong parents.
fn shape(trace: &[Span]) -> Option<&'static str> {
    let mut text = String::new();
    let written = write_children(trace, "", "\n", &mut text);
    let waits = trace.iter().filter(|span| span.name == WAIT).count();
    let (name, _) = SHAPES.iter().find(|(_, shape)| *shape == text)?;
    // A span whose parent is missing would not have been written.
    (written + waits == trace.len()).then_some(name)
}

/// Writes the spans below a parent, and returns their number.
fn write_children(trace: &[Span], parent: &str, indent: &str, text: &mut String) -> usize {
    let kinds = ["", "INTERNAL", "SERVER", "CLIENT"];
    let line = |span: &Span| {
        let service = span.service().trim_start_matches("shop-");
        format!("{service} {} {}", kinds.get(span.kind as usize).unwrap_or(&""), span.name)
    };
    let children = trace.iter().filter(|span| span.parent_id == parent && span.name != WAIT);
    let mut children: Vec<_> = children.map(|span| (line(span), span)).collect();
    children.sort_by(|a, b| a.0.cmp(&b.0));
    let mut written = children.len();
    for (line, span) in children {
        text.push_str(indent);
        text.push_str(&line);
        written += write_children(trace, &span.span_id, &format!("{indent}  "), text);
    }
    written
}

/// A span that exists only if a query had to wait, which the load does not determine.
const WAIT: &str = "wait for connection";

/// Checks that each exemplar leads to its span. Returns the number of exemplars.
async fn check_exemplars(stack: &Stack, environment: &str, traces: &Traces) -> usize {
    let query =
        format!("{{__name__=~\".+_bucket\", deployment_environment_name=\"{environment}\"}}");
    let range = [("query", &*query), ("start", "0"), ("end", "9999999999")];
    let is_some = |data: &Value| data.as_array().is_some_and(|series| series.len() >= 5);
    let data = stack.prometheus.until("query_exemplars", &range, is_some).await;
    let mut count = 0;
    for series in data.as_array().into_iter().flatten() {
        for exemplar in series["exemplars"].as_array().into_iter().flatten() {
            let id = |key: &str| exemplar["labels"][key].as_str().unwrap_or_default();
            check_span(stack, traces, id("trace_id"), id("span_id")).await;
            count += 1;
        }
    }
    count
}

/// Checks that each request has log lines, that its trace id finds them, and that each line leads to its span.
/// Returns the number of lines.
async fn check_lines(stack: &Stack, environment: &str, traces: &Traces) -> usize {
    let query = format!("deployment.environment.name:=\"{environment}\" trace_id:*");
    let by_trace = |lines: &[Value]| {
        let mut by_trace = BTreeMap::<_, BTreeSet<_>>::new();
        for line in lines {
            let id = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            by_trace.entry(id("trace_id")).or_default().insert(id("span_id"));
        }
        by_trace
    };
    // The gateway and the backend write a line for each request that they have answered.
    let is_all = |lines: &[Value]| {
        let lines = by_trace(lines);
        traces.values().flatten().all(|span| {
            let is_logged = span.kind == SERVER;
            !is_logged || lines.get(&span.trace_id).is_some_and(|ids| ids.contains(&span.span_id))
        })
    };
    let lines = stack.logs.lines(&query, is_all).await;
    for (trace_id, span_ids) in &by_trace(&lines) {
        for span_id in span_ids {
            check_span(stack, traces, trace_id, span_id).await;
        }
    }
    for trace_id in traces.keys() {
        let of_trace = |line: &&Value| line["trace_id"] == trace_id.as_str();
        let count = lines.iter().filter(of_trace).count();
        let query = format!("trace_id:{trace_id}");
        assert_eq!(stack.logs.lines(&query, |lines| lines.len() >= count).await.len(), count);
    }
    lines.len()
}

/// The kind of a server's span in OTLP.
const SERVER: u64 = 2;

/// Checks that a span can be found by its ids.
async fn check_span(stack: &Stack, traces: &Traces, trace_id: &str, span_id: &str) {
    let has_it = |trace: &[Span]| trace.iter().any(|span| span.span_id == span_id);
    // The traces are those of requests. The backend's job has traces, too.
    if !traces.get(trace_id).is_some_and(|trace| has_it(trace)) {
        stack.jaeger.trace(trace_id, has_it).await;
    }
}
