//! Alerts fire under their faults and resolve after them, from the service to the receiver of a notification.
//!
//! The rules and the configuration of Alertmanager are the stack's own, except for their times: windows of five
//! minutes are ten seconds, and every `for`, `group_wait` and `group_interval` is a second or two. `rules/tests`
//! has the true times.

use std::fs;

use tower_telemetry_stack::{Alertmanager, Notifications, Shop, Stack, file, with_value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_fire_under_their_faults_and_resolve_after_them() {
    let mut stack = Stack::start();
    let collector = stack.collector().await;
    let notifications = Notifications::start().await;
    let config = fs::read_to_string(file("alertmanager.yml")).expect("alertmanager.yml");
    let config = with_value(&config, "group_wait", "1s");
    let config = with_value(&config, "group_interval", "1s");
    let config = config.replace("http://127.0.0.1:9099/", &notifications.url);
    let alertmanager = Alertmanager::start(&config);
    let edit = |rules: &str| with_value(rules, "for", "2s").replace("[5m]", "[10s]");
    stack.prometheus.evaluate(&alertmanager, edit).await;
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.http)];
    let shop = Shop::start("alerts", &endpoint).await;

    shop.load(&["--seconds", "5", "--rate", "20"]).end().await;
    notifications.until("Watchdog", "firing").await;
    for (alert, scenario, receiver) in [
        ("LatencyP95High", "slow", "pages"),
        ("ErrorBudgetBurnsFast", "errors", "pages"),
        ("RequestsTurnedAway", "saturated", "tickets"),
    ] {
        assert!(!notifications.names().contains(alert), "{alert} fires without a fault");
        let load = shop.load(&["--scenario", scenario, "--seconds", "15", "--rate", "40"]);
        let fired = notifications.until(alert, "firing").await;
        assert!(!load.has_ended(), "{alert} came after the fault");
        assert_eq!(fired["receiver"], receiver, "{fired}");
        for annotation in ["summary", "description", "runbook", "runbook_url"] {
            let text = fired["annotations"][annotation].as_str().unwrap_or_default();
            assert!(!text.is_empty() && !text.contains("<no value>"), "{annotation}: {fired}");
        }
        load.end().await;
        let resolved = notifications.until(alert, "resolved").await;
        println!("{alert}: {} to {}", resolved["startsAt"], resolved["endsAt"]);
    }
    shop.terminate().await;
}
