//! Global providers, installed after the first operations, and replaced.

use opentelemetry::global;
use tower_telemetry::database::{Database, Outcome};

use crate::support::Telemetry;

/// So many operations may pass before a provider is found that replaces another one.
const MAX_LOST: usize = 256 + 128;

#[test]
fn global_providers_are_used_once_they_are_installed() {
    let database = Database::new("postgresql").with_namespace("shop");
    let run = || database.operation("COMMIT").start().finish(Outcome::success());
    (0..1000).for_each(|_| run());
    // Every other test of this program brings providers of its own.
    let telemetry = Telemetry::new();
    global::set_tracer_provider(telemetry.tracers.clone());
    // After so many operations without a tracer it is looked up for one of 128.
    let first = (0..128).find(|_| {
        run();
        !telemetry.span_lines().is_empty()
    });
    assert!(first.is_some());
    run();
    global::set_meter_provider(telemetry.meters.clone());
    run();
    let attributes = "db.namespace=shop, db.operation.name=COMMIT, db.system.name=postgresql";
    let line = format!("COMMIT shop | unset | {attributes}");
    assert_eq!(telemetry.span_lines(), [line.clone(), line]);
    assert_eq!(telemetry.durations(), [(attributes.to_owned(), 1)]);

    // The tracer provider is shut down, and another one takes its place.
    telemetry.tracers.shutdown().unwrap();
    let replacement = Telemetry::new();
    global::set_tracer_provider(replacement.tracers.clone());
    let lost = (0..).take_while(|_| {
        run();
        replacement.span_lines().is_empty()
    });
    assert!(lost.take(MAX_LOST + 1).count() <= MAX_LOST);
    run();
    assert_eq!(replacement.span_lines().len(), 1);
}
