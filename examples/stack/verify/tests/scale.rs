//! Beyond one machine: three instances of the gateway behind a balancer, an agent beside each, and two gateway
//! Collectors behind a balancer. Sums are right while an instance and a gateway Collector are killed.

use tower_telemetry_stack::{Balancer, Collector, Shop, Span, Stack, are_whole, roots};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_are_right_while_an_instance_and_a_gateway_are_killed() {
    let stack = Stack::start();
    let configs = ["otelcol.yaml", "otelcol.gateway.yaml"];
    let mut killed_collector = Collector::start(&stack, &configs, &[]).await;
    let other_collector = Collector::start(&stack, &configs, &[]).await;
    let address = |collector: &Collector| collector.grpc.trim_start_matches("http://").to_owned();
    let targets = [address(&killed_collector), address(&other_collector)];
    let collectors = Balancer::start(&targets, None).await;

    let mut agents = Vec::new();
    for _ in 0..3 {
        agents.push(Collector::start_agent(&collectors.address).await);
    }
    // Backend and supplier are beside the first instance.
    let to = |agent: &Collector| [("OTEL_EXPORTER_OTLP_ENDPOINT", agent.http.clone())];
    let first = to(&agents[0]);
    let shop =
        Shop::start("scale", &first.each_ref().map(|(name, url)| (*name, url.as_str()))).await;
    let mut instances = Vec::new();
    let mut addresses = vec![shop.metrics[0].clone()];
    for agent in &agents[1..] {
        let variables = to(agent);
        let variables = variables.each_ref().map(|(name, url)| (*name, url.as_str()));
        let (part, address) = shop.start_gateway("scale", &variables).await;
        instances.push(part);
        addresses.push(address);
    }
    let shops = Balancer::start(&addresses, Some("/readyz")).await;

    // A gateway Collector is killed under load.
    let load = shop.load_at(&shops.url(), &["--requests", "600", "--rate", "50"]);
    stack.prometheus.value(REQUESTS, |sum| sum >= 200.0).await;
    killed_collector.part.kill();
    let mut answered = load.end().await.answered();
    let counted = stack.prometheus.value(REQUESTS, |sum| sum >= answered as f64).await as u64;
    // Its last spans are in its queue on disk until it is back. Agents have sent all others to the other one.
    let seen = stack.jaeger.search("shop-gateway", |spans| roots(spans).count() >= 300).await;
    println!("  {} traces while it is away", roots(&seen).count());
    killed_collector.part.start_again();
    let is_all = |spans: &[Span]| roots(spans).count() as u64 >= answered && are_whole(spans);
    let traces = stack.jaeger.search("shop-gateway", is_all).await;
    let traces = roots(&traces).count() as u64;
    println!("a gateway Collector killed: {answered} answered; {counted} counted, {traces} traces");
    assert_eq!((counted, traces), (answered, answered));

    // Each instance has series of its own, because none was reset by another. An instance that got no connection of the
    // load has no requests, but each has a time since its start.
    let instances_seen = "count(count by (service_instance_id) (\
        process_uptime_seconds{service_name=\"shop-gateway\"}))";
    assert_eq!(stack.prometheus.value(instances_seen, |count| count >= 3.0).await, 3.0);
    let resets = "sum(resets(http_server_request_duration_seconds_count[10m]))";
    assert_eq!(stack.prometheus.value(resets, |_| true).await, 0.0);

    // An instance is killed under load. It takes along the requests of its last export interval, a second, and
    // those that it had not answered.
    let load = shop.load_at(&shops.url(), &["--requests", "600", "--rate", "50"]);
    stack.prometheus.value(REQUESTS, |sum| sum >= (answered + 200) as f64).await;
    instances[0].kill();
    let sent = load.end().await;
    answered += sent.answered();
    // It answered about 17 requests a second. The rest is for a busy machine.
    let least = answered - 50;
    // The others export the rest before they end.
    for mut instance in instances.drain(1..) {
        assert!(instance.terminate().await.success(), "{}", instance.log());
    }
    shop.terminate().await;
    let counted = stack.prometheus.value(REQUESTS, |sum| sum >= least as f64).await as u64;
    println!(
        "an instance killed: {answered} answered, {} not; {counted} counted",
        sent.total() - sent.answered()
    );
    assert!(counted <= answered, "{counted} of {answered}");
    assert_eq!(stack.prometheus.value(resets, |_| true).await, 0.0);
}

/// The sum over all instances, those that have ended included.
const REQUESTS: &str = "sum(max_over_time(\
    http_server_request_duration_seconds_count{service_name=\"shop-gateway\"}[10m]))";
