//! Baggage as attributes of spans, log records and log lines, and never of metrics.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    trace::{Tracer, TracerProvider},
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_telemetry::{
    BaggageKeys, Convention, TelemetryLayer,
    logs::{self, JsonFormat, LogFormat},
};
use tracing_subscriber::layer::SubscriberExt;

use crate::{
    builder,
    lines::nothing_exported,
    printed::{line_with, printed},
    receiver::{Receiver, attribute},
};

const LONG: Duration = Duration::from_secs(20);

/// Serves a request with this baggage, and returns what arrives.
async fn serve(convention: Convention<tower_telemetry::Server>, baggage: &str) -> Receiver {
    let receiver = Receiver::start();
    let telemetry = builder(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())])
        .with_baggage_attributes(["tenant", "channel", "missing", "tenant"])
        .build()
        .unwrap();
    let layer = TelemetryLayer::new(convention)
        .with_propagator(tower_telemetry::propagation::W3c::new())
        .with_tracer_provider(telemetry.tracer_provider())
        .with_meter_provider(telemetry.meter_provider());
    let tracer = telemetry.tracer_provider().tracer("shop");
    let subscriber = tracing_subscriber::registry().with(logs::bridge(telemetry.logger_provider()));
    let dispatch = tracing::Dispatch::new(subscriber);
    let service = layer.layer(tower::service_fn(move |_: Request<()>| {
        let (tracer, dispatch) = (tracer.clone(), dispatch.clone());
        async move {
            drop(tracer.start("inside"));
            tracing::dispatcher::with_default(&dispatch, || tracing::info!("paid"));
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    }));
    let request = Request::get("/").header("baggage", baggage).body(()).unwrap();
    drop(service.oneshot(request).await.unwrap());
    telemetry.shutdown(LONG).await.unwrap();
    receiver
}

#[tokio::test]
async fn listed_keys_become_attributes_of_spans_and_records() {
    let long = format!("tenant={}", "%C3%A4".repeat(200));
    let cut = "ä".repeat(128);
    // The header, and the values of the listed keys `tenant` and `channel`.
    let rows = [
        ("tenant=acme;meta=1,channel=web,secret=7", [Some("acme"), Some("web")]),
        ("channel=a%20b%0Ac", [None, Some("a b\nc")]),
        ("Tenant=acme,secret=7", [None, None]),
        (long.as_str(), [Some(cut.as_str()), None]),
    ];
    for (header, expected) in rows {
        for is_public in [false, true] {
            let convention = Convention::server();
            let (convention, expected) = match is_public {
                true => (convention.with_public_endpoint(), [None, None]),
                false => (convention, expected),
            };
            let received = serve(convention, header).await.received();
            let spans = received.spans();
            assert_eq!(spans.len(), 2);
            let records = received.log_records();
            assert_eq!(records.len(), 1);
            let spans = spans.iter().map(|span| &span.attributes);
            for attributes in spans.chain([&records[0].attributes]) {
                let found = ["tenant", "channel"].map(|key| attribute(attributes, key));
                assert_eq!(found.each_ref().map(Option::as_deref), expected, "{header}");
                for key in ["secret", "missing", "Tenant", "meta"] {
                    assert_eq!(attribute(attributes, key), None, "{header}");
                }
                let count = |key| attributes.iter().filter(|it| it.key == key).count();
                assert!(count("tenant") <= 1, "{header}");
            }
            let durations = received.metrics("http.server.request.duration");
            let Some(Data::Histogram(histogram)) = &durations[0].data else { panic!() };
            for point in &histogram.data_points {
                assert_eq!(attribute(&point.attributes, "tenant"), None);
                assert_eq!(attribute(&point.attributes, "channel"), None);
            }
        }
    }
}

fn with_baggage(f: impl FnOnce()) {
    let entries = [("tenant", "acme\n\"x\"\u{1b}[31m"), ("secret", "7")];
    let entries = entries.map(|(key, value)| KeyValue::new(key, value));
    let _attached = Context::new().with_baggage(entries).attach();
    f();
}

/// Each format is a child process, because `with_log_lines` installs a subscriber for the process.
fn lines(test: &str, format: LogFormat) -> Option<Vec<String>> {
    printed(&format!("baggage::{test}"), || {
        let telemetry = nothing_exported()
            .with_baggage_attributes(["tenant"])
            .with_log_lines(format)
            .build()
            .unwrap();
        with_baggage(|| tracing::info!(target: "shop", amount = 3, "with"));
        tracing::info!(target: "shop", "without");
        drop(telemetry);
    })
}

#[test]
fn json_lines_have_an_object() {
    let Some(lines) = lines("json_lines_have_an_object", LogFormat::Json) else { return };
    let with: Value = serde_json::from_str(line_with(&lines, "\"with\"")).unwrap();
    assert_eq!(with["baggage"], json!({ "tenant": "acme\n\"x\"\u{1b}[31m" }));
    let without: Value = serde_json::from_str(line_with(&lines, "\"without\"")).unwrap();
    assert_eq!(without.get("baggage"), None);
    assert!(lines.iter().all(|line| !line.contains(['\u{1b}', '\r'])));
}

#[test]
fn a_format_with_keys_of_its_own_keeps_them() {
    let keys = BaggageKeys::new(["secret"]);
    let format = LogFormat::CustomJson(JsonFormat::ecs().with_baggage(keys));
    let Some(lines) = lines("a_format_with_keys_of_its_own_keeps_them", format) else { return };
    let with: Value = serde_json::from_str(line_with(&lines, "\"with\"")).unwrap();
    assert_eq!(with["baggage"], json!({ "secret": "7" }));
}

#[test]
fn lines_for_a_terminal_have_fields() {
    let Some(lines) = lines("lines_for_a_terminal_have_fields", LogFormat::Pretty) else { return };
    let with = line_with(&lines, "shop: with");
    let end = r#"shop: with amount=3 tenant="acme\n\"x\"\u{1b}[31m""#;
    assert!(with.ends_with(end), "{with}");
    assert!(line_with(&lines, "shop: without").ends_with("shop: without"));
}
