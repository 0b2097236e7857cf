//! Counts the allocations of each row. A program of its own, for the counting costs time.

use peers::{Sdk, Workload, exchange, rows};

fn main() {
    let sdk = Sdk::silent();
    for workload in Workload::ALL {
        if workload == Workload::W1 {
            sdk.install();
            tracing::dispatcher::set_global_default(sdk.subscriber.clone())
                .expect("there is no other");
        }
        for mut row in rows(workload, &sdk) {
            for _ in 0..peers::WARM_UP {
                exchange(&mut row.service, workload.request());
            }
            let request = workload.request();
            let counted = allocation_counter::measure(|| exchange(&mut row.service, request));
            println!("{}", counted.count_total);
        }
    }
}
