//! Global providers, installed after the first operations.

use opentelemetry::global;
use tower_telemetry::database::{Database, Outcome};

use crate::support::Telemetry;

#[test]
fn global_providers_are_used_once_they_are_installed() {
    let database = Database::new("postgresql").with_namespace("shop");
    let run = || database.operation("COMMIT").start().finish(Outcome::success());
    (0..1000).for_each(|_| run());
    // Every other test of this program brings providers of its own.
    let telemetry = Telemetry::new();
    global::set_tracer_provider(telemetry.tracers.clone());
    // After so many operations without a tracer it is looked up now and then.
    let first = (0..64).find(|_| {
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
}
