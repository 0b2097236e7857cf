//! Every query of every dashboard and rule returns data after a load with all scenarios, and none fails.

use std::{collections::BTreeSet, fs, time::Duration};

use serde_json::Value;
use tower_telemetry_stack::{Alertmanager, Shop, Stack, file, until_true};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_returns_data() {
    let mut stack = Stack::start();
    let collector = stack.collector().await;
    let config = fs::read_to_string(file("alertmanager.yml")).expect("alertmanager.yml");
    let alertmanager = Alertmanager::start(&config);
    let own = stack.prometheus.url.trim_start_matches("http://").to_owned();
    stack.prometheus.scrape("prometheus", &own).await;
    stack.prometheus.scrape("alertmanager", &alertmanager.address).await;
    stack.prometheus.evaluate(&alertmanager, str::to_owned).await;
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.http)];
    let shop = Shop::start("queries", &endpoint).await;
    shop.load(&["--scenario", "all", "--seconds", "6", "--rate", "30"]).end().await;

    let mut missing = queries();
    let all = missing.len();
    let found = until_true(Duration::from_secs(60), async || {
        let mut still = BTreeSet::new();
        for (source, query) in missing.iter() {
            if !returns_data(&stack, source, query).await {
                still.insert((source.clone(), query.clone()));
            }
        }
        missing = still;
        missing.is_empty()
    });
    assert!(found.await, "no data: {missing:#?}\n{}", alertmanager.log());
    println!("{all} queries of dashboards, {} rules", check_rules(&stack).await);
    shop.terminate().await;
}

/// The type of a data source, and a query.
type Query = (String, String);

/// Returns the queries of all dashboards.
fn queries() -> BTreeSet<Query> {
    let mut queries = BTreeSet::new();
    for entry in fs::read_dir(file("grafana/dashboards")).expect("the dashboards") {
        let path = entry.expect("a file").path();
        let text = fs::read_to_string(path).expect("a dashboard");
        let dashboard: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
        let variables = dashboard["templating"]["list"].as_array().into_iter().flatten();
        let variables: Vec<_> = variables.filter_map(|one| one["name"].as_str()).collect();
        let mut found = Vec::new();
        collect(&dashboard, "", &mut found);
        queries.extend(
            found.iter().map(|(source, query)| (source.clone(), filled(query, &variables))),
        );
    }
    queries
}

/// Collects the queries of panels and annotations, each with the type of its data source.
fn collect(value: &Value, source: &str, queries: &mut Vec<Query>) {
    let source = value["datasource"]["type"].as_str().unwrap_or(source);
    match value {
        Value::Array(all) => all.iter().for_each(|one| collect(one, source, queries)),
        Value::Object(all) => {
            let query = all.get("expr").and_then(Value::as_str);
            queries.extend(query.map(|query| (source.to_owned(), query.to_owned())));
            all.values().for_each(|one| collect(one, source, queries));
        }
        _ => {}
    }
}

/// Returns a query with its variables filled in, as Grafana does it with "All".
fn filled(query: &str, variables: &[&str]) -> String {
    let mut query = query.replace("$__rate_interval", "1m");
    for variable in variables {
        query = query.replace(&format!("${variable}"), ".*");
    }
    assert!(!query.contains('$'), "a variable is unknown: {query}");
    query
}

/// Asks a query, which must not fail.
async fn returns_data(stack: &Stack, source: &str, query: &str) -> bool {
    if source == "victoriametrics-logs-datasource" {
        return !stack.logs.lines(query, |_| true).await.is_empty();
    }
    assert_eq!(source, "prometheus", "{query}");
    let answer = stack.prometheus.query(query).await;
    assert_eq!(answer["status"], "success", "{query}: {answer}");
    answer["data"]["result"].as_array().is_some_and(|series| !series.is_empty())
}

/// Checks that no rule fails, and that each recording rule has recorded. Returns the number of rules.
async fn check_rules(stack: &Stack) -> usize {
    let data = stack.prometheus.until("rules", &[], |data| data["groups"].is_array()).await;
    let groups = data["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let mut count = 0;
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        let name = rule["name"].as_str().unwrap_or_default();
        let is_alert = rule["type"] == "alerting";
        assert!(is_alert || returns_data(stack, "prometheus", name).await, "no data: {rule}");
        count += 1;
    }
    count
}
