//! Instruments and series that fall together.

use opentelemetry::{InstrumentationScope, KeyValue, metrics::Meter, metrics::MeterProvider};
use tower_telemetry::pull::PullReader;

use crate::{Endpoint, OPEN_METRICS, TEXT, checker::check, strict_parser, warnings};

/// An instrument: type, name, unit.
type Instrument = (char, &'static str, &'static str);

fn make(meter: &Meter, (kind, name, unit): Instrument, value: u64) {
    match kind {
        'c' => meter.u64_counter(name).with_unit(unit).build().add(value, &[]),
        'u' => meter.i64_up_down_counter(name).with_unit(unit).build().add(value as i64, &[]),
        'g' => meter.u64_gauge(name).with_unit(unit).build().record(value, &[]),
        'h' => meter.u64_histogram(name).with_unit(unit).build().record(value, &[]),
        _ => unreachable!(),
    }
}

/// The first is exported, the second is not, and one warning names both.
#[test]
fn one_of_two_instruments() {
    let rows: &[(Instrument, Instrument)] = &[
        // The same name with the same type.
        (('c', "jobs.done", ""), ('c', "jobs_done", "")),
        (('c', "jobs", ""), ('c', "jobs.total", "")),
        (('g', "a.b", ""), ('g', "a-b", "")),
        (('g', "a", "s"), ('g', "a.seconds", "")),
        (('h', "a", "s"), ('h', "a_seconds", "s")),
        (('g', "a", "1"), ('g', "a.ratio", "")),
        (('u', "a.b", ""), ('g', "a_b", "")),
        (('g', "1", ""), ('g', "_1", "")),
        // The same name with two types.
        (('g', "a", ""), ('h', "a", "")),
        (('c', "a", ""), ('g', "a.total", "")),
        // The names that come with a type.
        (('h', "a", ""), ('g', "a.count", "")),
        (('h', "a", ""), ('u', "a.sum", "")),
        (('h', "a", ""), ('g', "a.bucket", "")),
        (('h', "a", ""), ('g', "a.created", "")),
        (('g', "a.count", ""), ('h', "a", "")),
        (('h', "a", ""), ('h', "a.count", "")),
    ];
    for (first, second) in rows {
        let endpoint = Endpoint::new();
        let scrape = || (endpoint.scrape(TEXT), endpoint.scrape(OPEN_METRICS));
        make(&endpoint.meter(), *first, 7);
        let alone = scrape();
        make(&endpoint.meter(), *second, 9);
        let mut both = Default::default();
        let told = warnings(|| {
            both = scrape();
            scrape();
        });
        assert_eq!(both, alone, "{first:?}, {second:?}");
        let [warning] = &told[..] else { panic!("one warning: {told:?}") };
        for name in [first.1, second.1] {
            assert!(warning.contains(&format!("{name:?}")), "{name}: {warning}");
        }
    }
}

/// The first of two scopes stays the first, whatever order the SDK has them in.
#[test]
fn the_first_scope_stays_the_first() {
    let endpoint = Endpoint::new();
    make(&endpoint.provider.meter("zebra"), ('c', "jobs.done", ""), 7);
    let alone = endpoint.scrape(TEXT);
    for scope in ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay"] {
        make(&endpoint.provider.meter(scope), ('c', "jobs_done", ""), 9);
        assert_eq!(endpoint.scrape(TEXT), alone);
    }
    assert!(alone.contains("jobs_done_total{otel_scope_name=\"zebra\"} 7\n"), "{alone}");
}

/// Both are exported, and nothing is warned of.
#[test]
fn no_conflict() {
    for (first, second) in [
        (('c', "a", ""), ('c', "b", "")),
        (('g', "a", "s"), ('g', "a", "ms")),
        // OpenMetrics calls both `a`, so the counter is of unknown type there.
        (('g', "a", ""), ('c', "a", "")),
        (('c', "a", ""), ('g', "a.created", "")),
        (('c', "a", "s"), ('h', "a", "s")),
        (('c', "a.b", ""), ('h', "a", "")),
    ] {
        let endpoint =
            Endpoint::with(PullReader::builder(), &[KeyValue::new("a", "b")], |provider| provider);
        make(&endpoint.meter(), first, 7);
        make(&endpoint.meter(), second, 9);
        let told = warnings(|| {
            let open_metrics = endpoint.scrape(OPEN_METRICS);
            strict_parser::accepts(&[&open_metrics]);
            for text in [endpoint.scrape(TEXT), open_metrics] {
                check(&text);
                for value in [7, 9] {
                    assert!(text.contains(&format!(" {value}")), "{first:?}, {second:?}: {text}");
                }
            }
        });
        assert_eq!(told, [""; 0], "{first:?}, {second:?}");
    }
}

/// A program that makes faulty instruments without end is told so a limited number of times.
#[test]
fn warnings_are_limited() {
    let endpoint = Endpoint::new();
    for i in 0..1100 {
        make(&endpoint.meter(), ('g', format!("a.{i}").leak(), ""), 1);
        make(&endpoint.meter(), ('g', format!("a_{i}").leak(), ""), 1);
    }
    let told = warnings(|| {
        assert_eq!(check(&endpoint.scrape(TEXT)), 1100);
    });
    assert_eq!(told.len(), 1000);
}

#[test]
fn a_counter_beside_a_gauge_of_its_name() {
    let endpoint = Endpoint::new();
    make(&endpoint.meter(), ('g', "jobs", ""), 7);
    make(&endpoint.meter(), ('c', "jobs", "s"), 8);
    make(&endpoint.meter(), ('c', "jobs", ""), 9);
    assert_eq!(
        endpoint.scrape(OPEN_METRICS),
        "# TYPE jobs gauge\njobs 7.0\n\
         # TYPE jobs_seconds counter\n# UNIT jobs_seconds seconds\njobs_seconds_total 8.0\n\
         # TYPE jobs_total unknown\njobs_total 9.0\n# EOF\n"
    );
}

/// `target_info` belongs to the resource.
#[test]
fn names_of_the_resource() {
    let resource = [KeyValue::new("service.name", "shop")];
    for (instrument, is_exported) in [
        (('g', "target.info", ""), false),
        (('g', "target", ""), true),
        (('c', "target", ""), true),
        (('h', "target", ""), true),
    ] {
        let endpoint = Endpoint::with(PullReader::builder(), &resource, |provider| provider);
        make(&endpoint.meter(), instrument, 7);
        let told = warnings(|| {
            let open_metrics = endpoint.scrape(OPEN_METRICS);
            check(&open_metrics);
            strict_parser::accepts(&[&open_metrics]);
            assert!(open_metrics.contains("target_info{service_name=\"shop\"} 1.0\n"));
            assert_eq!(open_metrics.contains(" 7.0\n"), is_exported, "{open_metrics}");
            check(&endpoint.scrape(TEXT));
        });
        assert_eq!(told.is_empty(), is_exported, "{told:?}");
        assert!(is_exported || told[0].contains("the resource"), "{told:?}");
    }
}

/// Instruments of one name in two scopes are one metric, whose first description counts.
#[test]
fn one_name_in_two_scopes() {
    let endpoint = Endpoint::new();
    for (scope, version, description) in
        [("b", "1", "B."), ("a", "2", "A2."), ("a", "1", "A1."), ("c", "1", "A1.")]
    {
        let scope = InstrumentationScope::builder(scope).with_version(version).build();
        let meter = endpoint.provider.meter_with_scope(scope);
        meter.u64_counter("jobs").with_description(description).build().add(1, &[]);
    }
    let mut text = String::new();
    let told = warnings(|| {
        text = endpoint.scrape(TEXT);
        endpoint.scrape(OPEN_METRICS);
    });
    assert_eq!(
        text,
        "# TYPE jobs_total counter\n# HELP jobs_total A1.\n\
         jobs_total{otel_scope_name=\"a\",otel_scope_version=\"1\"} 1\n\
         jobs_total{otel_scope_name=\"a\",otel_scope_version=\"2\"} 1\n\
         jobs_total{otel_scope_name=\"b\",otel_scope_version=\"1\"} 1\n\
         jobs_total{otel_scope_name=\"c\",otel_scope_version=\"1\"} 1\n"
    );
    let [warning] = &told[..] else { panic!("one warning: {told:?}") };
    assert!(warning.contains("jobs_total has two descriptions"), "{warning}");
}

/// The first of two series with the same labels is exported, and a warning names the metric.
#[test]
fn one_of_two_series() {
    let long = "a;b";
    for (first, second) in [
        (vec![KeyValue::new("a", 1)], vec![KeyValue::new("a", "1")]),
        (vec![KeyValue::new("a", "")], vec![]),
        (
            vec![KeyValue::new("a_b", long)],
            vec![KeyValue::new("a-b", "a"), KeyValue::new("a.b", "b")],
        ),
        (vec![KeyValue::new("le", "1")], vec![KeyValue::new("exported.le", "1")]),
    ] {
        for scopes in [["", ""], ["a", "b"]] {
            let reader = PullReader::builder().without_scope_labels();
            let endpoint = Endpoint::with(reader, &[], |provider| provider);
            endpoint.provider.meter(scopes[0]).u64_gauge("jobs").build().record(7, &first);
            endpoint.provider.meter(scopes[1]).u64_gauge("jobs").build().record(7, &second);
            let told = warnings(|| {
                let text = endpoint.scrape(TEXT);
                check(&text);
                assert_eq!(text.lines().filter(|line| line.ends_with(" 7")).count(), 1, "{text}");
                endpoint.scrape(OPEN_METRICS);
            });
            let [warning] = &told[..] else { panic!("one warning: {told:?}") };
            assert!(warning.contains("jobs has two series"), "{warning}");
        }
    }
}
