//! Exemplars as OpenMetrics writes them.

use axum::Router;
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::{
    metrics::{Instrument, Stream},
    trace::Sampler,
};
use tower_telemetry::Convention;

use crate::{
    strict_parser,
    support::{OPEN_METRICS, Rig, get_path, router, scrape, send},
};

/// Drops all attributes of durations, and sends a request with these labels of its own.
fn answer(labels: &[(&'static str, &str)]) -> (Rig, Router, String) {
    let rig = Rig::with(Sampler::AlwaysOn, |provider| {
        provider.with_view(|instrument: &Instrument| {
            let is_duration = instrument.name() == "http.server.request.duration";
            let keys = [Key::new("kept")];
            let stream = is_duration.then(|| Stream::builder().with_allowed_attribute_keys(keys));
            stream?.build().ok()
        })
    });
    let labels: Vec<_> =
        labels.iter().map(|(key, value)| KeyValue::new(*key, (*value).to_owned())).collect();
    let convention = Convention::server().with_request_labels(move |_| labels.clone());
    let fixed = [
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "network.protocol.version",
        "status_class",
        "url.scheme",
    ];
    let router = router().layer(rig.layer(convention).without_attributes(fixed));
    send(&router, get_path("/a"));
    let answer = scrape(&rig.endpoint, OPEN_METRICS);
    (rig, router, answer)
}

/// The labels of the only exemplar, without its ids and numbers.
fn filtered(answer: &str) -> &str {
    let (_, exemplar) = answer.split_once(" # {").expect("an exemplar");
    let (labels, _) = exemplar.split_once("} ").unwrap();
    // `trace_id="…",span_id="…"` has 63 characters and two quotes each.
    labels[8 + 3 + 32 + 1 + 7 + 3 + 16..].trim_start_matches(',')
}

#[test]
fn dropped_attributes_are_shown_as_far_as_they_fit() {
    // 128 characters, less 63 of the ids.
    let (fits, too_long) = ("x".repeat(64), "x".repeat(65));
    let wide = "\u{e9}".repeat(64);
    let rows: Vec<(Vec<(&'static str, &str)>, String)> = vec![
        (vec![], String::new()),
        (vec![("a.b", "1")], "a_b=\"1\"".into()),
        (vec![("a", "quote \" slash \\ line \n")], "a=\"quote \\\" slash \\\\ line \\n\"".into()),
        (vec![("a", &fits)], format!("a=\"{fits}\"")),
        // Characters count, not bytes.
        (vec![("a", &wide)], format!("a=\"{wide}\"")),
        (vec![("a", &too_long)], String::new()),
        (vec![("a", &too_long), ("b", "2")], "b=\"2\"".into()),
        (vec![("a", "")], String::new()),
        (vec![("trace_id", "x"), ("span.id", "y"), ("1st", "z")], "key_1st=\"z\"".into()),
        (vec![("a.b", "1"), ("a_b", "2")], "a_b=\"1\"".into()),
        (vec![("le", "1")], "exported_le=\"1\"".into()),
    ];
    let mut answers = Vec::new();
    for (labels, expected) in rows {
        let (.., answer) = answer(&labels);
        assert_eq!(filtered(&answer), expected, "{labels:?}");
        // The parser of prometheus_client 0.26 refuses quotes there. Prometheus itself does not: see
        // `stored`.
        if !labels.iter().any(|(_, value)| value.contains('"')) {
            answers.push(answer);
        }
    }
    let answers: Vec<_> = answers.iter().map(String::as_str).collect();
    strict_parser::accepts(&answers);
}

#[test]
fn an_exemplar_has_the_time_of_its_end() {
    let seconds = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_secs_f64()
    };
    let before = seconds();
    let (rig, _router, _) = answer(&[("kept", "x")]);
    let shown = rig.shown();
    // The endpoint writes milliseconds.
    assert!(before - 0.001 <= shown[0].time && shown[0].time <= seconds(), "{shown:?}");
    assert_eq!(shown[0].series["kept"], "x");
    // A scrape does not take it away.
    assert_eq!(rig.shown(), shown);
    assert_eq!(rig.shown(), shown);
}
