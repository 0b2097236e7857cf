//! Metrics of the process and of its runtime, as the builder asks for them.

use std::{collections::BTreeSet, time::Duration};

use tower_telemetry::setup::TelemetryBuilder;

use crate::{builder, receiver::Receiver};

type Change = fn(TelemetryBuilder) -> TelemetryBuilder;
type Row = (Change, &'static [(&'static str, &'static str)], &'static [&'static str]);

const LONG: Duration = Duration::from_secs(20);

const PROCESS: &str = "process.cpu.time";
const RUNTIME: &str = "tokio.runtime.workers";

/// Returns the names under `process.` and `tokio.` that a receiver got.
fn names(receiver: &Receiver) -> BTreeSet<String> {
    let received = receiver.received();
    let scopes = received.metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let names = scopes.flat_map(|scope| &scope.metrics).map(|metric| metric.name.clone());
    names.filter(|name| name.starts_with("process.") || name.starts_with("tokio.")).collect()
}

#[tokio::test]
async fn the_builder_reports_process_and_runtime() {
    let rows: [Row; 5] = [
        (|it| it, &[], &[]),
        (|it| it.with_process_metrics(), &[], &[PROCESS]),
        (|it| it.with_runtime_metrics(), &[], &[RUNTIME]),
        (
            |it| it.with_runtime_metrics().with_process_metrics().with_process_metrics(),
            &[],
            &[PROCESS, RUNTIME],
        ),
        (
            |it| it.with_runtime_metrics().with_process_metrics(),
            &[("OTEL_SDK_DISABLED", "true")],
            &[],
        ),
    ];
    for (change, more, expected) in rows {
        let receiver = Receiver::start();
        let url = receiver.url();
        let mut variables = more.to_vec();
        variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &url));
        let telemetry = change(builder(&variables)).build().unwrap();
        telemetry.shutdown(LONG).await.unwrap();
        let names = names(&receiver);
        let found: Vec<_> =
            [PROCESS, RUNTIME].into_iter().filter(|name| names.contains(*name)).collect();
        assert_eq!(found, expected, "{more:?} {names:?}");
        assert_eq!(names.is_empty(), expected.is_empty(), "{names:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_runtime_is_the_one_that_build_runs_in() {
    let telemetry = builder(&[
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ])
    .with_runtime_metrics()
    .build()
    .unwrap();
    let request = axum::http::Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(telemetry.prometheus(), request).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let line = text.lines().find(|line| line.starts_with("tokio_runtime_workers{")).unwrap();
    assert!(line.contains("tokio_runtime_name=\"main\"") && line.ends_with(" 3"), "{line}");
}

#[test]
fn outside_of_a_runtime_there_is_none_to_report() {
    let rows: [(Change, Option<&str>); 2] = [
        (|it| it.with_process_metrics(), None),
        (|it| it.with_runtime_metrics(), Some("with_runtime_metrics: `build` was called outside")),
    ];
    for (change, expected) in rows {
        let variables = ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"];
        let built = change(builder(&variables.map(|name| (name, "none")))).build();
        let error = built.err().map(|error| error.to_string());
        let is_expected = match (&error, expected) {
            (Some(error), Some(expected)) => error.starts_with(expected),
            (error, expected) => error.is_none() && expected.is_none(),
        };
        assert!(is_expected, "{error:?}");
    }
}
