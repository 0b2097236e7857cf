//! Every query of every dashboard and rule returns data after a load with all scenarios, and none fails.

use std::{collections::BTreeSet, fs, time::Duration};

use serde_json::Value;
use tower_telemetry_stack::{Alertmanager, Shop, Stack, file, until_true};

/// Queries that return nothing in a run of a minute, and why. Part of a query is enough to name it.
const EMPTY: [(&str, &str); 0] = [];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_returns_data() {
    let mut stack = Stack::start();
    let collector = stack.collector().await;
    let config = fs::read_to_string(file("alertmanager.yml")).expect("alertmanager.yml");
    let alertmanager = Alertmanager::start(&config);
    let own = stack.prometheus.url.trim_start_matches("http://").to_owned();
    stack.prometheus.scrape("prometheus", &own).await;
    stack.prometheus.scrape("alertmanager", &alertmanager.address).await;
    stack.prometheus.evaluate(&file("rules/*.yml"), Some(&alertmanager.address)).await;
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.http)];
    let shop = Shop::start("queries", &endpoint).await;
    let load = shop.load(&["--scenario", "all", "--seconds", "8", "--rate", "30"]);
    println!("{:?}", load.end().await);

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
    found.await;
    check_rules(&stack).await;
    println!("{all} queries, {missing:#?}");
    shop.terminate().await;
    assert!(missing.is_empty(), "no data: {missing:#?}\n{}", alertmanager.log());
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
    let is_empty = answer["data"]["result"].as_array().is_none_or(Vec::is_empty);
    !is_empty || EMPTY.iter().any(|(part, _)| query.contains(part))
}

/// Checks that no rule fails, and that each recording rule has recorded.
async fn check_rules(stack: &Stack) {
    let data = stack.prometheus.until("rules", &[], |data| data["groups"].is_array()).await;
    let mut count = 0;
    let mut empty = Vec::new();
    for group in data["groups"].as_array().into_iter().flatten() {
        for rule in group["rules"].as_array().into_iter().flatten() {
            assert_eq!(rule["health"], "ok", "{rule}");
            count += 1;
            let name = rule["name"].as_str().unwrap_or_default();
            if rule["type"] == "recording" && !returns_data(stack, "prometheus", name).await {
                empty.push(name.to_owned());
            }
        }
    }
    println!("{count} rules, {empty:#?}");
}
