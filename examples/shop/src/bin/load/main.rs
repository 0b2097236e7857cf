//! Sends requests to the shop, with faults on demand, and prints how they were answered:
//!
//! ```text
//! GET /products/{id} 200 123
//! POST /orders 201 40
//! total 163
//! ```
//!
//! It has no telemetry of its own: it stands for the customers.

mod customers;
mod faults;

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{body::Bytes, http::Uri};
use clap::{Parser, ValueEnum};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    sync::Semaphore,
    time::{self, MissedTickBehavior},
};

use self::customers::{Customers, Visit};

type HttpClient = Client<HttpConnector, Full<Bytes>>;
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Sends requests to the shop, and prints how they were answered.
#[derive(Parser)]
struct Settings {
    #[arg(long, default_value = "normal")]
    scenario: Scenario,
    /// The seconds of a scenario.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The requests in a second. `saturated` sends four times as many.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// The requests of a scenario, instead of its seconds.
    #[arg(long)]
    requests: Option<u64>,
    /// The gateway.
    #[arg(long, default_value = "http://127.0.0.1:8000")]
    url: Uri,
    /// The supplier, whose faults are set.
    #[arg(long, default_value = "http://127.0.0.1:8002")]
    supplier: Uri,
    /// The backend's port for operators, whose faults are set.
    #[arg(long, default_value = "http://127.0.0.1:8101")]
    backend_ops: Uri,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Everything works.
    Normal,
    /// Backend and supplier take 800 ms longer.
    Slow,
    /// Half of the calls to backend and supplier fail.
    Errors,
    /// There are more reports to write than the workers can write.
    Saturated,
    /// The supplier closes connections without an answer.
    Dead,
    /// All of these, one after the other.
    All,
}

/// The number of answers by method, route and status.
type Counts = Arc<Mutex<BTreeMap<(&'static str, &'static str, String), u64>>>;

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Settings::parse();
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let counts = Counts::default();
    let result = tokio::select! {
        result = run(&settings, &client, &counts) => result,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    // Also after Ctrl-C, so that no fault stays.
    let reset = faults::set(&settings, &client, Scenario::Normal).await;
    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    for ((method, route, status), count) in &*counts {
        println!("{method} {route} {status} {count}");
    }
    println!("total {}", counts.values().sum::<u64>());
    if let Err(error) = result.and(reset) {
        eprintln!("load: {error}");
        return ExitCode::FAILURE;
    }
    if counts.keys().all(|(_, _, status)| status == NO_ANSWER) {
        eprintln!("load: {} has not answered", settings.url);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn run(settings: &Settings, client: &HttpClient, counts: &Counts) -> Result<(), Error> {
    let all =
        [Scenario::Normal, Scenario::Slow, Scenario::Errors, Scenario::Saturated, Scenario::Dead];
    let scenarios = match settings.scenario {
        Scenario::All => &all[..],
        _ => std::slice::from_ref(&settings.scenario),
    };
    let mut customers = Customers::new();
    for scenario in scenarios {
        faults::set(settings, client, *scenario).await?;
        visit(settings, client, counts, *scenario, &mut customers).await;
    }
    Ok(())
}

/// Sends the requests of a scenario at its rate, whether or not the earlier ones were answered, and
/// waits for all answers.
async fn visit(
    settings: &Settings,
    client: &HttpClient,
    counts: &Counts,
    scenario: Scenario,
    customers: &mut Customers,
) {
    let rate = settings.rate.max(1) * if scenario == Scenario::Saturated { 4 } else { 1 };
    let requests = settings.requests.unwrap_or(settings.seconds * u64::from(rate));
    let places = Arc::new(Semaphore::new(MOST_AT_ONCE));
    let mut ticks = time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in 0..requests {
        ticks.tick().await;
        let visit = customers.next(&settings.url, scenario == Scenario::Saturated);
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (client, counts) = (client.clone(), Arc::clone(counts));
        tokio::spawn(async move {
            let Visit { method, route, request } = visit;
            let status = match time::timeout(PATIENCE, client.request(request)).await {
                Ok(Ok(answer)) => {
                    let status = answer.status().as_u16().to_string();
                    let _ = answer.into_body().collect().await;
                    status
                }
                Ok(Err(_)) | Err(_) => NO_ANSWER.to_owned(),
            };
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry((method, route, status)).or_default() += 1;
            drop(place);
        });
    }
    let _ = places.acquire_many(MOST_AT_ONCE as u32).await;
}

const MOST_AT_ONCE: usize = 512;
const PATIENCE: Duration = Duration::from_secs(20);
const NO_ANSWER: &str = "none";
