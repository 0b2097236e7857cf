//! A row is measured only where its telemetry is what it should be.

use opentelemetry::trace::TraceContextExt;
use peers::{Row, Sdk, Workload, exchange, rows};

/// Lets each row emit, and panics where it emits something else than is expected of it.
pub(crate) fn prove(workload: Workload, sdk: &Sdk) {
    // A keeping SDK for each row, for some neighbours can't be told apart otherwise.
    let names: Vec<_> = rows(workload, sdk).iter().map(|row| row.name).collect();
    for (i, name) in names.into_iter().enumerate() {
        let sdk = Sdk::keeping();
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
            "{workload:?}, {name}: it left its context behind"
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
            // Of the caller's trace, and by its route.
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
