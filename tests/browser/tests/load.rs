//! Memory and cost under load, with the page open.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tower_telemetry_browser::{Browser, Shop, load};

const SHOP: &str = env!("CARGO_BIN_EXE_shop");
const RATE: u32 = 10_000;

/// The stores are full by then: 2000 traces and 5000 lines are a second of this load.
const WARM_UP: Duration = Duration::from_secs(5);
const TIME: Duration = Duration::from_secs(10);

/// Allocators keep some memory of their own.
const MOST_GROWTH: u64 = 16 << 20;

/// The traces, lines and pinned traces may take 48 MiB, by the limits that the viewer states.
const MOST_MEMORY: u64 = 128 << 20;

/// CPU time of a request with the viewer, for each second of it without. Measured: 1.7 to 1.8.
const MOST_COST: f64 = 2.5;

/// Answers a second with the page, for each without. Other programs may slow one of the two.
const LEAST_RATE: f64 = 0.8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_flat_and_the_cost_is_small() {
    let without = measure("without the viewer", &["without"], false).await;
    let closed = measure("with the viewer, no page", &[], false).await;
    let open = measure("with the viewer and its page", &[], true).await;
    for (name, cost) in [("no page", closed), ("page", open)] {
        println!(
            "cost of the viewer, {name}: {:.2} of the CPU time without",
            cost.cpu / without.cpu
        );
    }
    assert!(open.cpu / without.cpu < MOST_COST, "a request costs too much with the page");
    assert!(open.rate > without.rate * LEAST_RATE, "{:.0}/s with the page", open.rate);
}

/// CPU time of a request in seconds, and answers a second.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    rate: f64,
}

async fn measure(name: &str, arguments: &[&str], is_open: bool) -> Cost {
    let shop = Shop::start(SHOP, arguments).await;
    let browser = if is_open { Some(Browser::start().await) } else { None };
    let mut page = match &browser {
        Some(browser) => Some(browser.open(&shop.viewer(), "light").await),
        None => None,
    };
    load(shop.address(), RATE, WARM_UP).await;
    let before = shop.usage();
    let started = Instant::now();
    let running = tokio::spawn({
        let address = shop.address().to_owned();
        async move { load(&address, RATE, TIME).await }
    });
    let mut largest = before.memory;
    while !running.is_finished() {
        largest = largest.max(shop.usage().memory);
        sleep(Duration::from_millis(100)).await;
    }
    let took = started.elapsed();
    let answers = running.await.expect("the load does not panic");
    let after = shop.usage();
    let cpu = (after.cpu - before.cpu).as_secs_f64() / answers as f64;
    let rate = answers as f64 / took.as_secs_f64();
    println!(
        "{name}: {answers} requests in {:.1} s, {:.0}/s; CPU {:.1} µs for each; memory {:.1} MiB, at most {:.1} MiB",
        took.as_secs_f64(),
        rate,
        cpu * 1e6,
        mebibytes(before.memory),
        mebibytes(largest),
    );
    if let Some(page) = &mut page {
        // The page has followed: it shows the rate and the bounds.
        page.wait("document.querySelector('.operations tbody td.number').textContent !== '–'")
            .await;
        println!("{}", page.text("document.querySelector('#footer').textContent").await);
        page.assert_unharmed().await;
    }
    let growth = largest.saturating_sub(before.memory);
    assert!(growth < MOST_GROWTH, "{name}: memory grew by {:.1} MiB", mebibytes(growth));
    assert!(largest < MOST_MEMORY, "{name}: memory is {:.1} MiB", mebibytes(largest));
    drop(page);
    if let Some(browser) = browser {
        browser.close().await;
    }
    Cost { cpu, rate }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
