//! One row: an operation that is run often, and what it costs.

use std::{
    env,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

/// The operation of a row.
pub(crate) const SQL: &str = "SELECT id, title FROM songs WHERE id = $1";

/// Fills the database.
pub(crate) const SCHEMA: &str = "CREATE TABLE songs (id BIGINT PRIMARY KEY, title TEXT); INSERT INTO songs VALUES (1, 'Heroes')";

/// Measures an operation in the way that the second argument names, and prints the number for one
/// run of it. Returns how often it ran.
pub(crate) async fn measure(mut operation: impl AsyncFnMut()) -> u64 {
    let mut runs = 0;
    let mut run = async |times: u64| {
        for _ in 0..times {
            operation().await;
        }
        runs += times;
    };
    run(200).await;
    match env::args().nth(2).expect("the way to measure").as_str() {
        "allocations" => {
            // Those of the caller's thread. SQLite's own has the same in all rows.
            let mut runs = pin!(run(BATCH));
            let mut allocations = 0;
            poll_fn(|cx| {
                let mut polled = Poll::Pending;
                let poll = || polled = runs.as_mut().poll(cx);
                allocations += allocation_counter::measure(poll).count_total;
                polled
            })
            .await;
            println!("{}", allocations / BATCH);
        }
        // Nothing but the runs, for valgrind to count.
        times => run(times.parse().expect("a number of runs")).await,
    }
    runs
}

const BATCH: u64 = 200;
