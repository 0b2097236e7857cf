//! Values, types and metadata, row by row.

use opentelemetry::{KeyValue, metrics::Meter};

use crate::{Endpoint, OPEN_METRICS, TEXT, checker::check, strict_parser, warnings};

/// Records something; the lines in both formats; the number of warnings.
type Row<'a> = (fn(&Meter), &'a str, &'a str, usize);

/// Records something; the metadata in both formats.
type Metadata<'a> = (fn(&Meter), &'a str, &'a str);

#[test]
fn values() {
    let rows: &[Row<'_>] = &[
        (
            |m| m.u64_counter("a").build().add(u64::MAX, &[]),
            "a_total 18446744073709551615\n",
            "a_total 18446744073709551615.0\n",
            0,
        ),
        (
            |m| m.u64_counter("a").build().add((1 << 53) + 1, &[]),
            "a_total 9007199254740993\n",
            "a_total 9007199254740993.0\n",
            0,
        ),
        (
            |m| m.i64_gauge("a").build().record(i64::MIN, &[]),
            "a -9223372036854775808\n",
            "a -9223372036854775808.0\n",
            0,
        ),
        (|m| m.f64_gauge("a").build().record(-0.0, &[]), "a -0\n", "a -0.0\n", 0),
        (|m| m.f64_gauge("a").build().record(1e300, &[]), "a 1e300\n", "a 1e+300\n", 0),
        (|m| m.i64_up_down_counter("a").build().add(-3, &[]), "a -3\n", "a -3.0\n", 0),
        (|m| m.f64_up_down_counter("a").build().add(-0.5, &[]), "a -0.5\n", "a -0.5\n", 0),
        // Counters only grow.
        (|m| m.f64_counter("a").build().add(-1.0, &[]), "", "", 1),
        // The SDK drops measurements that are not finite. Their sum need not be finite.
        (|m| m.f64_gauge("a").build().record(f64::NAN, &[]), "", "", 0),
        (|m| m.f64_counter("a").build().add(f64::INFINITY, &[]), "", "", 0),
        (
            |m| (0..2).for_each(|_| m.f64_counter("a").build().add(f64::MAX, &[])),
            "a_total +Inf\n",
            "a_total +Inf\n",
            0,
        ),
        (
            |m| (0..2).for_each(|_| m.f64_up_down_counter("a").build().add(f64::MIN, &[])),
            "a -Inf\n",
            "a -Inf\n",
            0,
        ),
        (
            |m| {
                let observe = |o: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
                    o.observe(-1.0, &[KeyValue::new("bad", 1)]);
                    o.observe(2.0, &[]);
                };
                m.f64_observable_counter("a").with_callback(observe).build();
            },
            "a_total 2\n",
            "a_total 2.0\n",
            1,
        ),
        // Histograms of one bucket; of negative values, whose sum may decrease.
        (
            |m| m.u64_histogram("a").with_boundaries(vec![]).build().record(7, &[]),
            "a_bucket{le=\"+Inf\"} 1\na_sum 7\na_count 1\n",
            "a_bucket{le=\"+Inf\"} 1.0\na_sum 7.0\na_count 1.0\n",
            0,
        ),
        (
            |m| m.f64_histogram("a").with_boundaries(vec![0.0]).build().record(-7.0, &[]),
            "a_bucket{le=\"0\"} 1\na_bucket{le=\"+Inf\"} 1\na_count 1\n",
            "a_bucket{le=\"0.0\"} 1.0\na_bucket{le=\"+Inf\"} 1.0\n",
            0,
        ),
        (
            |m| {
                let histogram = m.f64_histogram("a").with_boundaries(vec![0.0]).build();
                histogram.record(-7.0, &[]);
                histogram.record(8.0, &[]);
            },
            "a_bucket{le=\"0\"} 1\na_bucket{le=\"+Inf\"} 2\na_count 2\n",
            "a_bucket{le=\"0.0\"} 1.0\na_bucket{le=\"+Inf\"} 2.0\n",
            0,
        ),
        (
            |m| m.u64_histogram("a").with_boundaries(vec![-1.5, 1e6]).build().record(7, &[]),
            "a_bucket{le=\"-1.5\"} 0\na_bucket{le=\"1000000\"} 1\na_bucket{le=\"+Inf\"} 1\n\
             a_count 1\n",
            "a_bucket{le=\"-1.5\"} 0.0\na_bucket{le=\"1e+06\"} 1.0\na_bucket{le=\"+Inf\"} 1.0\n",
            0,
        ),
        (
            |m| {
                let histogram = m.f64_histogram("a").with_boundaries(vec![1.0]).build();
                let attributes = [KeyValue::new("x", "y")];
                (0..2).for_each(|_| histogram.record(f64::MAX, &attributes));
            },
            "a_bucket{x=\"y\",le=\"1\"} 0\na_bucket{x=\"y\",le=\"+Inf\"} 2\na_sum{x=\"y\"} +Inf\n\
             a_count{x=\"y\"} 2\n",
            "a_bucket{x=\"y\",le=\"1.0\"} 0.0\na_bucket{x=\"y\",le=\"+Inf\"} 2.0\n\
             a_sum{x=\"y\"} +Inf\na_count{x=\"y\"} 2.0\n",
            0,
        ),
    ];
    let mut answers = Vec::new();
    for (i, (record, text, open_metrics, warned)) in rows.iter().enumerate() {
        let endpoint = Endpoint::new();
        record(&endpoint.meter());
        let told = warnings(|| {
            for (accept, expected) in [(TEXT, *text), (OPEN_METRICS, open_metrics)] {
                let body = endpoint.scrape(accept);
                check(&body);
                let samples = body.split_inclusive('\n').filter(|line| !line.starts_with('#'));
                assert_eq!(samples.collect::<String>(), expected, "row {i}");
                answers.extend((accept == OPEN_METRICS).then_some(body));
            }
            endpoint.scrape(TEXT);
        });
        assert_eq!(told.len(), *warned, "row {i}: {told:?}");
        assert!(told.iter().all(|told| told.contains("a_total is negative or not a number")));
    }
    strict_parser::accepts(&answers.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The type, the unit and the description of each kind of instrument.
#[test]
fn metadata() {
    let rows: &[Metadata<'_>] = &[
        (
            |m| m.u64_counter("a.time").with_unit("s").build().add(1, &[]),
            "# TYPE a_time_seconds_total counter\n",
            "# TYPE a_time_seconds counter\n# UNIT a_time_seconds seconds\n",
        ),
        (
            |m| m.u64_counter("hits").with_unit("1").build().add(1, &[]),
            "# TYPE hits_total counter\n",
            "# TYPE hits counter\n",
        ),
        (
            |m| m.f64_gauge("hits").with_unit("1").build().record(0.5, &[]),
            "# TYPE hits_ratio gauge\n",
            "# TYPE hits_ratio gauge\n# UNIT hits_ratio ratio\n",
        ),
        (
            |m| m.i64_up_down_counter("hits").with_unit("1").build().add(1, &[]),
            "# TYPE hits gauge\n",
            "# TYPE hits gauge\n",
        ),
        (
            |m| m.u64_gauge("speed").with_unit("m/s").with_description("S.").build().record(1, &[]),
            "# TYPE speed_meters_per_second gauge\n# HELP speed_meters_per_second S.\n",
            "# TYPE speed_meters_per_second gauge\n\
             # UNIT speed_meters_per_second meters_per_second\n# HELP speed_meters_per_second S.\n",
        ),
        (
            |m| m.u64_histogram("job_duration_seconds").with_unit("s").build().record(1, &[]),
            "# TYPE job_duration_seconds histogram\n",
            "# TYPE job_duration_seconds histogram\n# UNIT job_duration_seconds seconds\n",
        ),
        (
            |m| m.u64_counter("seconds").with_unit("s").build().add(1, &[]),
            "# TYPE seconds_total counter\n",
            "# TYPE seconds counter\n",
        ),
        (
            |m| m.u64_gauge("a").with_description("a \"b\"\n\\").build().record(1, &[]),
            "# TYPE a gauge\n# HELP a a \"b\"\\n\\\\\n",
            "# TYPE a gauge\n# HELP a a \\\"b\\\"\\n\\\\\n",
        ),
    ];
    for (record, text, open_metrics) in rows {
        let endpoint = Endpoint::new();
        record(&endpoint.meter());
        let open_metrics = format!("{open_metrics}# EOF\n");
        for (accept, expected) in [(TEXT, *text), (OPEN_METRICS, &open_metrics)] {
            let body = endpoint.scrape(accept);
            check(&body);
            let metadata = body.split_inclusive('\n').filter(|line| line.starts_with('#'));
            assert_eq!(metadata.collect::<String>(), expected);
        }
    }
}
