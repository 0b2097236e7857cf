//! Counts the allocations of each row. It is a separate program, because counting slows down the
//! rows.

use peers::{Sdk, Workload, exchange, rows};

fn main() {
    let sdk = Sdk::silent();
    for workload in Workload::ALL {
        if workload == Workload::W1 {
            sdk.install();
            tracing::dispatcher::set_global_default(sdk.subscriber.clone())
                .expect("no other subscriber is installed");
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
