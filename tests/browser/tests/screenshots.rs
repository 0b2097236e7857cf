//! Draws each page, light and dark, into the folder that `SCREENSHOTS` names.

use std::time::Duration;

use tokio::time::{interval, sleep};
use tower_telemetry_browser::{Browser, Shop};

const SHOP: &str = env!("CARGO_BIN_EXE_shop");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_page_is_drawn() {
    let shop = Shop::start(SHOP, &[]).await;
    let browser = Browser::start().await;
    for scheme in ["light", "dark"] {
        let page = browser.open(&shop.viewer(), scheme).await;
        traffic(&shop, Duration::from_secs(12)).await;
        for (name, view, drawn) in VIEWS {
            page.evaluate(&format!("location.hash = {view}")).await;
            page.wait(drawn).await;
            traffic(&shop, Duration::from_millis(2500)).await;
            page.screenshot(&format!("{name}-{scheme}")).await;
        }
    }
    browser.close().await;
}

/// Name, expression for the address, condition.
const VIEWS: [(&str, &str, &str); 6] = [
    ("overview", "'#/'", "document.querySelector('.operations tbody tr:nth-child(3)')"),
    (
        "operation",
        "'#/route/server%20GET%20%2Freports%2F%7Byear%7D'",
        "document.querySelector('.traces tbody tr')",
    ),
    ("traces", "'#/traces'", "document.querySelector('.traces tbody tr:nth-child(9)')"),
    (
        "trace",
        "[...document.querySelectorAll('.traces tbody tr')].find((row) => row.textContent.includes('POST /orders') && row.querySelector('.error')).querySelector('a').getAttribute('href')",
        "document.querySelectorAll('.waterfall tbody tr').length === 5",
    ),
    ("logs", "'#/logs'", "document.querySelector('tr.line:nth-child(9)')"),
    ("resources", "'#/resources'", "document.querySelector('.resources tbody tr')"),
];

/// Some of every request, at a rate that changes.
async fn traffic(shop: &Shop, time: Duration) {
    let end = tokio::time::Instant::now() + time;
    let mut ticks = interval(Duration::from_millis(40));
    let mut number: u64 = 0;
    while tokio::time::Instant::now() < end {
        ticks.tick().await;
        number += 1;
        shop.request("GET", &format!("/users/{number}"), "").await;
        match number % 8 {
            3 if number.is_multiple_of(3) => _ = shop.request("POST", "/orders?sold-out", "").await,
            0 | 3 => _ = shop.request("POST", "/orders", "").await,
            1 | 4 | 6 => {
                _ = shop.request("GET", &format!("/reports/{}", number * number % 89), "").await
            }
            7 if number % 32 == 31 => _ = shop.request("GET", "/fail", "").await,
            _ => sleep(Duration::from_millis(number % 30)).await,
        }
    }
}
