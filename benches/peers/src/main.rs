//! Compares the cost per request of this crate and of similar crates.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`

mod measure;
mod proof;
mod scaling;

use peers::{Sdk, Workload, reference, rows};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [mode, workload, row] = &arguments[..]
        && mode == measure::COUNT
    {
        return measure::run_for_valgrind(workload, row);
    }
    let allocations = measure::allocations();
    let mut instructions = measure::Instructions::new();
    let sdk = Sdk::silent();
    println!("| workload | | instruments | added ns | ratio | allocations | instructions |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    let mut allocations = allocations.iter();
    for workload in Workload::ALL {
        // Providers are installed after the first workload. The allocations are counted in the same
        // order.
        if workload == Workload::W1 {
            let recording = Sdk::recording();
            recording.install();
            Workload::ALL[1..].iter().for_each(|workload| proof::prove(*workload, &recording));
            sdk.install();
            tracing::dispatcher::set_global_default(sdk.subscriber.clone())
                .expect("no other subscriber is installed");
        } else if workload == Workload::W4 {
            proof::prove(workload, &Sdk::recording());
        }
        let mut rows = rows(workload, &sdk);
        let counts: Vec<_> = allocations.by_ref().take(rows.len()).collect();
        let counted: Vec<_> = rows.iter().map(|row| instructions.of(workload, row.name)).collect();
        let times = measure::times(workload, &mut rows);
        let reference = rows.iter().position(|row| row.name == reference(workload));
        let reference = reference.expect("the reference is one of the rows");
        for (i, row) in rows.iter().enumerate().skip(1) {
            let ratio = times.ratio(i, reference);
            let instructions = match (counted[i], counted[0]) {
                (Some(row), Some(bare)) => (row - bare).to_string(),
                _ => String::from("–"),
            };
            println!(
                "| {} | {} | {} | {:.0} | {ratio:.2} | {} | {instructions} |",
                if i == 1 { workload.title() } else { "" },
                row.name,
                row.expected.instruments,
                times.added(i),
                counts[i] - counts[0],
            );
        }
    }
    scaling::print(&sdk);
}
