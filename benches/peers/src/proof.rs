//! Checks the telemetry of each row before it is measured.

use opentelemetry::trace::TraceContextExt;
use peers::{Row, Sdk, Workload, exchange, rows};

/// Runs each row, and panics if its telemetry is not the expected one.
pub(crate) fn prove(workload: Workload, sdk: &Sdk) {
    // Each row has an SDK of its own, because the telemetry of some crates can't be told apart.
    let names: Vec<_> = rows(workload, sdk).iter().map(|row| row.name).collect();
    for (i, name) in names.into_iter().enumerate() {
        let sdk = Sdk::recording();
        if workload != Workload::W4 {
            sdk.install();
        }
        let mut row = rows(workload, &sdk).swap_remove(i);
        tracing::dispatcher::with_default(&sdk.subscriber, || {
            for _ in 0..EXCHANGES {
                exchange(&mut row.service, workload.request());
            }
        });
        assert!(
            !opentelemetry::Context::current().has_active_span(),
            "{workload:?}, {name}: the context is still current"
        );
        check(workload, &row, &sdk);
    }
}

fn check(workload: Workload, row: &Row, sdk: &Sdk) {
    let Row { name, expected, .. } = row;
    let spans = sdk.spans();
    let count = if expected.has_span { EXCHANGES } else { 0 };
    assert_eq!(spans.len(), count, "{workload:?}, {name}: spans");
    for (trace, parent, span) in spans {
        if workload != Workload::Client {
            // The span belongs to the caller's trace and is named by its route.
            assert_eq!((trace, parent), peers::CALLER, "{workload:?}, {name}: the parent");
            assert!(span.contains("/users/{id}"), "{workload:?}, {name}: {span}");
        }
    }
    let instruments = sdk.instruments();
    assert_eq!(
        instruments.len(),
        expected.instruments,
        "{workload:?}, {name}: instruments: {instruments:?}"
    );
    let has_duration = instruments.iter().any(|name| name.ends_with(".request.duration"));
    assert_eq!(has_duration, expected.instruments > 0, "{workload:?}, {name}: the duration");
}

const EXCHANGES: usize = 3;
