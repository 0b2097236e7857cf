//! Tail sampling keeps traces with an error, slow traces and a share of the rest, each of them whole, while
//! metrics count every request.

use std::collections::BTreeMap;

use tower_telemetry_stack::{Collector, Shop, Span, Stack, are_whole, roots};

/// The share of the other traces, in percent. The default of a tenth would vary too much for a test.
const SHARE: f64 = 30.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_and_slow_traces_are_kept_and_a_share_of_the_rest() {
    let stack = Stack::start();
    let configs = ["otelcol.yaml", "otelcol.tail-sampling.yaml"];
    let variables = [("DECISION_WAIT", "3s".to_owned()), ("SHARE_PERCENT", SHARE.to_string())];
    let collector = Collector::start(&stack, &configs, &variables).await;
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.http)];
    let shop = Shop::start("sampled", &endpoint).await;
    let mut sent = 0;
    for (scenario, requests) in [("normal", "600"), ("errors", "100"), ("slow", "60")] {
        let load = shop.load(&["--scenario", scenario, "--requests", requests, "--rate", "50"]);
        sent += load.end().await.total();
    }
    let gateway = "service_name=\"shop-gateway\",deployment_environment_name=\"sampled\"";
    let metric = "http_server_request_duration_seconds";
    let count = async |query: String| stack.prometheus.value(&query, |_| true).await as usize;
    stack
        .prometheus
        .value(&format!("sum({metric}_count{{{gateway}}})"), |sum| sum >= sent as f64)
        .await;
    let total = count(format!("sum({metric}_count{{{gateway}}})")).await;
    let fast = count(format!("sum({metric}_bucket{{{gateway},le=\"0.5\"}})")).await;
    let failed = count(format!("sum({metric}_count{{{gateway},error_type!=\"\"}})")).await;
    assert_eq!(total as u64, sent);
    assert!(failed >= 10 && total - fast >= 10, "{failed} failed and {} slow", total - fast);

    let spans = stack
        .jaeger
        .search("shop-gateway", |spans| {
            let roots: Vec<_> = roots(spans).collect();
            let is_slow = |root: &&&Span| root.seconds > 0.5;
            roots.iter().filter(is_slow).count() >= total - fast
                && roots.iter().filter(|root| root.is_error).count() >= failed
                && are_whole(spans)
        })
        .await;
    let kept = |is_kind: &dyn Fn(&Span) -> bool| roots(&spans).filter(|root| is_kind(root)).count();
    let kept_slow = kept(&|root| root.seconds > 0.5);
    let kept_failed = kept(&|root| root.is_error);
    assert_eq!((kept_slow, kept_failed), (total - fast, failed), "all slow and all failed");
    // An error that the caller of a span has handled keeps its trace, too.
    let mut errors = BTreeMap::<_, bool>::new();
    for span in &spans {
        *errors.entry(&span.trace_id).or_default() |= span.is_error;
    }
    let rest = kept(&|root| root.seconds <= 0.5 && !errors[&root.trace_id]);
    let kept_for_a_reason = roots(&spans).count() - rest;
    let all_of_the_rest = sent as usize - kept_for_a_reason;
    println!(
        "{sent} requests counted; kept {kept_failed} of {failed} failed, {kept_slow} of {} slow, \
         {rest} of {all_of_the_rest} others",
        total - fast
    );
    // Trace ids are random, so the share varies: by 2 % in two of three runs.
    let share = 100.0 * rest as f64 / all_of_the_rest as f64;
    assert!((share - SHARE).abs() < 10.0, "{share} % of the others were kept");
    shop.terminate().await;
}
