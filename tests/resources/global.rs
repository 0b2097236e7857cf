//! The global provider, installed after the first calls.

use std::{convert::Infallible, future::ready};

use futures_util::FutureExt;
use opentelemetry::global;
use tower::{Layer, ServiceExt, service_fn};
use tower_telemetry::resources::{self, PoolState, SaturationLayer, observe_pool};

use crate::support::Metrics;

#[test]
fn the_global_provider_is_used_once_it_is_installed() {
    let service = service_fn(|n: u32| ready(Ok::<_, Infallible>(n)));
    let service = SaturationLayer::new("s").layer(service);
    let call = || service.clone().oneshot(1).now_or_never().unwrap().unwrap();
    call();
    // Every other test of this program brings a provider of its own.
    let metrics = Metrics::new();
    global::set_meter_provider(metrics.provider.clone());
    call();
    observe_pool(&*global::meter_provider(), "orders", || PoolState::new(1, 2));
    resources::process(&*global::meter_provider());
    let values = metrics.values();
    assert_eq!(values["tower.service.wait.duration{tower.service.name=s}"], 1.0);
    let count = |name: &str| values.keys().filter(|line| line.starts_with(name)).count();
    assert_eq!(count("db.client.connection."), 2);
    assert!(count("process.") >= 6, "{values:?}");
}
