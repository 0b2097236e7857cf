//! Counts the allocations of each request. They must not exceed the figures in
//! `tests/allocations.txt`.
//!
//! `UPDATE_ALLOCATIONS=1 cargo test --all-features --test allocations` updates the figures.

#[path = "../benches/workload/mod.rs"]
mod workload;

use std::fmt::Write;

use workload::{Boxed, Caller, Sdk, client_rows, exchange, outbound, request};

const FIGURES: &str = "tests/allocations.txt";

#[test]
fn allocations_do_not_increase() {
    let sdk = Sdk::new();
    let mut text = String::new();
    for caller in Caller::ALL {
        measure(&mut text, &format!("{caller:?}"), sdk.rows(), || request(caller));
    }
    measure(&mut text, "Outbound", client_rows(&sdk), outbound);
    if std::env::var_os("UPDATE_ALLOCATIONS").is_some() {
        std::fs::write(FIGURES, &text).unwrap();
    }
    let figures = std::fs::read_to_string(FIGURES).unwrap();
    assert_eq!(figures.lines().count(), text.lines().count());
    for (allowed, now) in figures.lines().zip(text.lines()) {
        let ((row, allowed), (now_row, now)) =
            (allowed.rsplit_once(' ').unwrap(), now.rsplit_once(' ').unwrap());
        assert_eq!(row, now_row);
        let (allowed, now): (u64, u64) = (allowed.parse().unwrap(), now.parse().unwrap());
        assert!(now <= allowed, "{row}: {now} allocations, but only {allowed} are allowed");
    }
}

/// Writes the allocations that each row adds to the first row.
fn measure(
    text: &mut String,
    name: &str,
    rows: Vec<(&'static str, Boxed)>,
    request: impl Fn() -> http::Request<axum::body::Body>,
) {
    let mut bare = None;
    for (row, mut service) in rows {
        // Fills the caches, and lets a layer without a provider stop looking for one.
        for _ in 0..300 {
            exchange(&mut service, request());
        }
        let request = request();
        let total = allocation_counter::measure(|| exchange(&mut service, request)).count_total;
        let added = total - *bare.get_or_insert(total);
        writeln!(text, "{name}, {row}: {added}").unwrap();
    }
}
