//! Compares extraction and injection with the SDK's propagators, and counts allocations.
//!
//! `cargo bench --all-features --bench propagation`

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapCompositePropagator, TextMapPropagator},
};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use tower_telemetry::propagation::{HeaderExtractor, HeaderInjector, W3c};

const CASES: [(&str, &[(&str, &str)]); 3] = [
    ("traceparent", &[("traceparent", PARENT)]),
    (
        "with tracestate",
        &[("traceparent", PARENT), ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")],
    ),
    ("with baggage", &[("traceparent", PARENT), ("baggage", "userId=alice,serverNode=DF%2028")]),
];
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn propagation(criterion: &mut Criterion) {
    let sdk = TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]);
    let ours = W3c::new();
    for (case, lines) in CASES {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        let mut group = criterion.benchmark_group(format!("extract/{case}"));
        let sdk_extract = || {
            sdk.extract_with_context(
                &Context::new(),
                &opentelemetry_http::HeaderExtractor(&headers),
            )
        };
        let our_extract =
            || ours.extract_with_context(&Context::new(), &HeaderExtractor::new(&headers));
        println!(
            "extract/{case}: allocations: sdk {}, ours {}",
            allocations(sdk_extract),
            allocations(our_extract)
        );
        group.bench_function("sdk", |b| b.iter(|| black_box(sdk_extract())));
        group.bench_function("ours", |b| b.iter(|| black_box(our_extract())));
        group.finish();

        let context = our_extract();
        let mut group = criterion.benchmark_group(format!("inject/{case}"));
        let mut sent = HeaderMap::with_capacity(8);
        let mut sdk_inject =
            || sdk.inject_context(&context, &mut opentelemetry_http::HeaderInjector(&mut sent));
        println!("inject/{case}: allocations: sdk {}", allocations(&mut sdk_inject));
        group.bench_function("sdk", |b| b.iter(&mut sdk_inject));
        let mut sent = HeaderMap::with_capacity(8);
        let mut our_inject = || ours.inject_context(&context, &mut HeaderInjector::new(&mut sent));
        println!("inject/{case}: allocations: ours {}", allocations(&mut our_inject));
        group.bench_function("ours", |b| b.iter(&mut our_inject));
        group.finish();
        assert_eq!(HeaderExtractor::new(&sent).get("traceparent"), Some(PARENT));
    }
}

fn allocations<T>(mut f: impl FnMut() -> T) -> u64 {
    allocation_counter::measure(|| drop(black_box(f()))).count_total
}

criterion_group!(benches, propagation);
criterion_main!(benches);
