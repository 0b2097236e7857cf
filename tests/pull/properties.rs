//! For any names, units, labels and values the answer is well-formed.

use std::cell::RefCell;

use opentelemetry::{Array, InstrumentationScope, KeyValue, Value, metrics::MeterProvider};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use tower_telemetry::pull::PullReader;

use crate::{Endpoint, OPEN_METRICS, TEXT, checker::check, debian::promtool_on, strict_parser};

#[derive(Debug, Clone)]
struct Recorded {
    kind: u8,
    scope: String,
    name: String,
    unit: String,
    description: String,
    attributes: Vec<KeyValue>,
    values: Vec<f64>,
}

/// Text of all kinds, often made of the few pieces that tend to fall together.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "_",
        ".",
        "-",
        ":",
        "1",
        "total",
        "_total",
        "info",
        "target",
        "seconds",
        "count",
        "sum",
        "bucket",
        "created",
        "le",
        "quantile",
        "otel_scope_name",
        "__name__",
        "{x}",
        "/",
        "s",
        "\"",
        "\\",
        "\n",
        "\u{e9}",
        "#",
        " ",
        "\r",
        "\u{0}",
    ]);
    prop_oneof![vec(piece, 0..4).prop_map(|pieces| pieces.concat()), any::<String>()]
}

fn attribute() -> impl Strategy<Value = KeyValue> {
    let value = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        vec(text(), 0..3).prop_map(|texts| Value::Array(Array::String(
            texts.into_iter().map(Into::into).collect()
        ))),
    ];
    (text(), value).prop_map(|(key, value)| KeyValue::new(key, value))
}

fn recorded() -> impl Strategy<Value = Recorded> {
    let unit = prop_oneof![
        prop::sample::select(vec!["", "s", "By", "1", "{x}", "m/s", "%"]).prop_map(str::to_owned),
        "[ -~]{0,20}",
    ];
    let value = prop_oneof![any::<f64>(), (-5..50).prop_map(f64::from)];
    (0..8_u8, text(), text(), unit, text(), vec(attribute(), 0..4), vec(value, 1..5)).prop_map(
        |(kind, scope, name, unit, description, attributes, values)| Recorded {
            kind,
            scope,
            name,
            unit,
            description,
            attributes,
            values,
        },
    )
}

fn record(endpoint: &Endpoint, recorded: Recorded) {
    let Recorded { kind, scope, name, unit, description, attributes, values } = recorded;
    let scope = InstrumentationScope::builder(scope).with_attributes(attributes.clone()).build();
    let meter = endpoint.provider.meter_with_scope(scope);
    for value in values {
        let (name, unit, text) = (name.clone(), unit.clone(), description.clone());
        match kind {
            0 => {
                let counter = meter.f64_counter(name).with_unit(unit).with_description(text);
                counter.build().add(value, &attributes);
            }
            1 => {
                let counter = meter.u64_counter(name).with_unit(unit).with_description(text);
                counter.build().add(value.to_bits(), &attributes);
            }
            2 => {
                let gauge = meter.f64_gauge(name).with_unit(unit).with_description(text);
                gauge.build().record(value, &attributes);
            }
            3 => {
                let counter = meter.i64_up_down_counter(name).with_unit(unit);
                counter.with_description(text).build().add(value as i64, &attributes);
            }
            4 => {
                let histogram = meter.u64_histogram(name).with_unit(unit).with_description(text);
                histogram.build().record(value as u32 as u64, &attributes);
            }
            5 => {
                let histogram = meter.f64_histogram(name).with_unit(unit);
                let histogram = histogram.with_boundaries(vec![-1e9, -1.0, 0.0, 1e-7, 1e6]);
                histogram.build().record(value, &attributes);
            }
            // The view makes exponential histograms of these.
            _ => {
                let histogram = meter.f64_histogram(format!("exponential{name}")).with_unit(unit);
                histogram.build().record(value, &attributes);
            }
        }
    }
}

fn endpoint(options: u8, resource: &[KeyValue]) -> Endpoint {
    let mut reader = PullReader::builder();
    if options & 1 != 0 {
        reader = reader.without_scope_labels();
    }
    if options & 2 != 0 {
        reader = reader.with_created_series();
    }
    if options & 4 != 0 {
        let keys = resource.iter().map(|attribute| attribute.key.clone());
        reader = reader.with_resource_labels(keys);
    }
    Endpoint::with(reader, resource, |provider| {
        provider.with_view(|instrument: &Instrument| {
            let aggregation = Aggregation::Base2ExponentialHistogram {
                max_size: 20,
                max_scale: 20,
                record_min_max: true,
            };
            let is_exponential = instrument.name().starts_with("exponential");
            let stream = is_exponential.then(|| Stream::builder().with_aggregation(aggregation));
            stream?.build().ok()
        })
    })
}

#[test]
fn answers_are_well_formed() {
    let answers = RefCell::new((Vec::new(), Vec::new()));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) };
    let input = (0..8_u8, vec(attribute(), 0..4), vec(recorded(), 1..8));
    // Conflicts are expected, and their warnings of no interest here.
    let _quiet = tracing::subscriber::set_default(Silent);
    TestRunner::new(config)
        .run(&input, |(options, resource, all)| {
            let endpoint = endpoint(options, &resource);
            all.into_iter().for_each(|recorded| record(&endpoint, recorded));
            let (text, open_metrics) = (endpoint.scrape(TEXT), endpoint.scrape(OPEN_METRICS));
            check(&text);
            check(&open_metrics);
            prop_assert_eq!(&endpoint.scrape(TEXT), &text, "scrapes agree");
            answers.borrow_mut().0.push(text);
            answers.borrow_mut().1.push(open_metrics);
            Ok(())
        })
        .unwrap();
    let (texts, open_metrics) = answers.into_inner();
    strict_parser::accepts(&open_metrics.iter().map(String::as_str).collect::<Vec<_>>());
    for text in texts.iter().take(40) {
        let Some(faults) = promtool_on(text) else { return };
        assert!(!faults.contains("error while"), "{faults}\n{text}");
    }
}

/// A subscriber that takes the warnings, and drops them.
struct Silent;

impl tracing::Subscriber for Silent {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
