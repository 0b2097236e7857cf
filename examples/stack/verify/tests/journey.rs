//! The walk from a metric to a trace to its log lines, for every request of a fixed load: by OTLP over gRPC and
//! HTTP, and by pull.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tower_telemetry_stack::{Collector, Jaeger, Prometheus, Sent, Shop, Span, Stack, number};

const REQUESTS: &str = "300";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_lead_to_traces_and_traces_to_lines() {
    let mut stack = Stack::start();
    let collector = stack.collector().await;
    let Collector { grpc, http, .. } = &collector;
    let protocol = "OTEL_EXPORTER_OTLP_PROTOCOL";
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    for (environment, variables) in [
        ("by-grpc", vec![(protocol, "grpc"), (endpoint, grpc)]),
        ("by-http", vec![(protocol, "http/protobuf"), (endpoint, http)]),
        ("by-pull", vec![(endpoint, http), ("OTEL_METRICS_EXPORTER", "prometheus")]),
    ] {
        let shop = Shop::start(environment, &variables).await;
        if environment == "by-pull" {
            for (job, target) in ["gateway", "backend", "supplier"].iter().zip(&shop.metrics) {
                stack.prometheus.scrape(job, target).await;
            }
        }
        let sent = shop.load(&["--requests", REQUESTS, "--rate", "100"]).end().await;
        check_counts(&stack.prometheus, environment, &sent).await;
        let traces = check_traces(&stack.jaeger, environment, &sent).await;
        let exemplars = check_exemplars(&stack.prometheus, environment, &traces).await;
        let lines = check_lines(&stack, environment, &traces).await;
        let (total, spans) = (sent.total(), traces.values().map(Vec::len).sum::<usize>());
        println!(
            "{environment}: {total} requests, {} traces, {spans} spans, {exemplars} exemplars, {lines} lines",
            traces.len()
        );
        shop.terminate().await;
    }
}

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
        series.map(|series| {
            let label = |name: &str| series["metric"][name].as_str().unwrap_or_default().to_owned();
            let key = (
                label("http_request_method"),
                label("http_route"),
                label("http_response_status_code"),
            );
            (key, number(&series["value"][1]).unwrap_or_default() as u64)
        }).collect()
    };
    let all = |data: &Value| counted(data).values().sum::<u64>() >= sent.total();
    let data = prometheus.until("query", &[("query", &query)], all).await;
    assert_eq!(counted(&data), sent.by, "{environment}");
}

/// Checks that each request has a trace, and that each span has the right parents.
async fn check_traces(jaeger: &Jaeger, environment: &str, sent: &Sent) -> Traces {
    let is_here = |span: &Span| span.resource["deployment.environment.name"] == environment;
    let is_request = |span: &Span| span.parent_id.is_empty() && is_here(span);
    let spans = jaeger
        .search("shop-gateway", |spans| {
            spans.iter().filter(|span| is_request(span)).count() as u64 >= sent.total()
        })
        .await;
    let mut by_answer = BTreeMap::<_, u64>::new();
    for span in spans.iter().filter(|span| is_request(span)) {
        let label = |key: &str| span.attribute(key).to_owned();
        let key = (
            label("http.request.method"),
            label("http.route"),
            label("http.response.status_code"),
        );
        *by_answer.entry(key).or_default() += 1;
    }
    assert_eq!(by_answer, sent.by, "{environment}");

    let mut traces = Traces::new();
    for span in spans.into_iter().filter(is_here) {
        traces.entry(span.trace_id.clone()).or_default().push(span);
    }
    let mut paths = BTreeSet::new();
    for spans in traces.values() {
        for span in spans {
            paths.insert(path(span, spans));
        }
    }
    for path in &paths {
        println!("{path}");
    }
    traces
}

/// Returns the way from the root of a trace to a span.
fn path(span: &Span, trace: &[Span]) -> String {
    let kind = ["", "INTERNAL", "SERVER", "CLIENT"].get(span.kind as usize).unwrap_or(&"");
    let own = format!("{} {kind} {}", span.service().trim_start_matches("shop-"), span.name);
    if span.parent_id.is_empty() {
        return own;
    }
    let parent = trace.iter().find(|other| other.span_id == span.parent_id);
    let parent = parent.unwrap_or_else(|| panic!("the parent of {span:?} is missing"));
    format!("{} > {own}", path(parent, trace))
}

/// Checks that each exemplar leads to a trace. Returns their number.
async fn check_exemplars(prometheus: &Prometheus, environment: &str, traces: &Traces) -> usize {
    let query = format!("{{__name__=~\".+_bucket\", deployment_environment_name=\"{environment}\"}}");
    let range = [("query", &*query), ("start", "0"), ("end", "9999999999")];
    let data = prometheus
        .until("query_exemplars", &range, |data| data.as_array().is_some_and(|all| all.len() >= 5))
        .await;
    let mut count = 0;
    for series in data.as_array().into_iter().flatten() {
        for exemplar in series["exemplars"].as_array().into_iter().flatten() {
            let id = |key: &str| exemplar["labels"][key].as_str().unwrap_or_default();
            let trace = traces.get(id("trace_id"));
            let spans = trace.unwrap_or_else(|| panic!("{series}: a trace of {exemplar} is missing"));
            assert!(spans.iter().any(|span| span.span_id == id("span_id")), "{exemplar} {spans:?}");
            count += 1;
        }
    }
    count
}

/// Checks that each request has log lines, which its trace id finds, and that each line has a trace. Returns
/// the number of lines.
async fn check_lines(stack: &Stack, environment: &str, traces: &Traces) -> usize {
    let query = format!("deployment.environment.name:=\"{environment}\" trace_id:*");
    let lines = stack.logs.lines(&query, |lines| lines.len() >= 300).await;
    for line in lines.iter().take(5) { println!("{line}"); }
    lines.len()
}
