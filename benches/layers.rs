//! Compares each layer, the nested layers and the combined layer with the bare service, and counts
//! allocations.
//!
//! `cargo bench --all-features --bench layers`

mod workload;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use workload::{Boxed, Caller, Sdk, client_rows, exchange, outbound, request};

fn layers(criterion: &mut Criterion) {
    let sdk = Sdk::new();
    for caller in Caller::ALL {
        group(criterion, &format!("{caller:?}"), sdk.rows(), || request(caller));
    }
    group(criterion, "Outbound", client_rows(&sdk), outbound);
}

fn group<F>(criterion: &mut Criterion, name: &str, rows: Vec<(&'static str, Boxed)>, request: F)
where
    F: Fn() -> http::Request<axum::body::Body>,
{
    let mut group = criterion.benchmark_group(name);
    let mut bare = None;
    for (row, mut service) in rows {
        exchange(&mut service, request()); // fills the caches
        let prepared = request();
        let allocations =
            allocation_counter::measure(|| exchange(&mut service, prepared)).count_total;
        let added = allocations - *bare.get_or_insert(allocations);
        println!("{name}/{row}: {added} allocations added");
        group.bench_function(row, |b| {
            b.iter_batched(
                &request,
                |request| exchange(&mut service, request),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, layers);
criterion_main!(benches);
