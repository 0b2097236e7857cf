//! Nothing is lost while a part of the stack is away, or the service is replaced.
//!
//! Each test sends a load at a steady rate, breaks a part in its midst, and compares what arrived with what was
//! sent: requests by Prometheus, traces by Jaeger, log lines by VictoriaLogs.

use std::time::Duration;

use serde_json::Value;
use tower_telemetry_stack::{
    Balancer, Load, Prometheus, Sent, Shop, Span, Stack, are_whole, roots, until_true,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_collector_is_killed_for_ten_seconds() {
    let mut stack = Stack::start();
    let mut collector = stack.collector().await;
    let shop = Shop::start("killed", &[(ENDPOINT, &collector.http)]).await;
    // 16 seconds.
    let load = shop.load(&["--requests", "800", "--rate", "50"]);
    received(&stack.prometheus, "killed", 100).await;
    collector.part.kill();
    lasts(Duration::from_secs(10), &load).await;
    collector.part.start_again();
    let sent = load.end().await;
    check(&stack, "killed", "the Collector was killed for 10 s", &sent).await;
    shop.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_prometheus_is_away_for_a_minute() {
    let mut stack = Stack::start();
    let collector = stack.collector().await;
    let shop = Shop::start("away", &[(ENDPOINT, &collector.http)]).await;
    // 70 seconds.
    let load = shop.load(&["--requests", "1400", "--rate", "20"]);
    received(&stack.prometheus, "away", 20).await;
    stack.prometheus.part.kill();
    lasts(Duration::from_secs(60), &load).await;
    stack.prometheus.part.start_again();
    let sent = load.end().await;
    check(&stack, "away", "Prometheus was away for 60 s", &sent).await;
    // The samples of the outage have arrived, too, with the times at which they were taken: the longest time
    // without one is a few seconds.
    let gap = "max(count_over_time(http_server_request_duration_seconds_count{\
        deployment_environment_name=\"away\",service_name=\"shop-gateway\",\
        http_route=\"/orders\",http_response_status_code=\"201\"}[70s]))";
    let samples = stack.prometheus.value(gap, |samples| samples >= 60.0).await;
    println!("  {samples} samples of a series in 70 s, one a second");
    shop.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_if_the_collector_starts_after_the_service() {
    let mut stack = Stack::start();
    // It takes its ports, and gives them free until it starts again.
    let mut collector = stack.collector().await;
    collector.part.kill();
    let shop = Shop::start("late", &[(ENDPOINT, &collector.http)]).await;
    // 84 seconds.
    let load = shop.load(&["--requests", "420", "--rate", "5"]);
    lasts(Duration::from_secs(80), &load).await;
    collector.part.start_again();
    let sent = load.end().await;
    check(&stack, "late", "the Collector started 80 s after the service", &sent).await;
    shop.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_service_is_replaced() {
    let mut stack = Stack::start();
    let collector = stack.collector().await;
    let variables = [(ENDPOINT, &*collector.http)];
    let mut shop = Shop::start("rolled", &variables).await;
    let (mut new, new_address) = shop.start_gateway("rolled", &variables).await;
    let targets = [shop.metrics[0].clone(), new_address];
    let balancer = Balancer::start(&targets, Some("/readyz")).await;
    let load = shop.load_at(&balancer.url(), &["--requests", "500", "--rate", "50"]);
    received(&stack.prometheus, "rolled", 100).await;
    let status = shop.gateway.terminate().await;
    assert!(status.success() && !load.has_ended(), "{status} {}", shop.gateway.log());
    let sent = load.end().await;
    check(&stack, "rolled", "the gateway was replaced", &sent).await;
    let status = new.terminate().await;
    assert!(status.success(), "{status} {}", new.log());
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Waits until Prometheus knows of a number of requests.
async fn received(prometheus: &Prometheus, environment: &str, count: u64) {
    prometheus.value(&requests(environment), |sum| sum >= count as f64).await;
}

fn requests(environment: &str) -> String {
    format!(
        "sum(http_server_request_duration_seconds_count{{service_name=\"shop-gateway\",\
         deployment_environment_name=\"{environment}\"}})"
    )
}

/// Waits for the length of an outage, within which the load must not end.
async fn lasts(outage: Duration, load: &Load) {
    let has_ended = until_true(outage, async || load.has_ended()).await;
    assert!(!has_ended, "the load ended within the outage");
}

/// Compares what has arrived with what was sent.
async fn check(stack: &Stack, environment: &str, what: &str, sent: &Sent) {
    let answered = sent.answered();
    let counted =
        stack.prometheus.value(&requests(environment), |sum| sum >= answered as f64).await;
    let count = |spans: &[Span]| {
        let is_here = |span: &&Span| span.resource["deployment.environment.name"] == environment;
        roots(spans).filter(is_here).count() as u64
    };
    let is_all = |spans: &[Span]| count(spans) >= answered && are_whole(spans);
    let traces = count(&stack.jaeger.search("shop-gateway", is_all).await);
    let query = format!(
        "deployment.environment.name:=\"{environment}\" service.name:=\"shop-gateway\" _msg:=answered"
    );
    let is_all = |lines: &[Value]| lines.len() as u64 >= answered;
    let lines = stack.logs.lines(&query, is_all).await.len() as u64;
    println!(
        "{what}: {} sent, {answered} answered; arrived: {counted} requests, {traces} traces, {lines} lines",
        sent.total(),
    );
    assert_eq!((counted as u64, traces, lines), (answered, answered, answered), "{what}");
}
