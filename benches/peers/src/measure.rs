//! Time, allocations and instructions.

use std::{process::Command, time::Instant};

use peers::{Row, Sdk, Workload, exchange_all, rows};

/// Nanoseconds per request, for each row and round.
pub(crate) struct Times(Vec<Vec<f64>>);

impl Times {
    /// Returns the time that a row adds to the first row: the median of the differences in each
    /// round.
    pub(crate) fn added(&self, row: usize) -> f64 {
        median(self.differences(row))
    }

    /// Returns the added time of a row divided by that of another row. The ratio is taken in each
    /// round, because a disturbance usually affects all rows of a round.
    pub(crate) fn ratio(&self, row: usize, reference: usize) -> f64 {
        let ratios = self.differences(row).zip(self.differences(reference));
        median(ratios.map(|(row, reference)| row / reference))
    }

    fn differences(&self, row: usize) -> impl Iterator<Item = f64> {
        self.0[row].iter().zip(&self.0[0]).map(|(row, bare)| row - bare)
    }
}

/// Times the rows in rounds. The order changes in each round.
pub(crate) fn times(workload: Workload, rows: &mut [Row]) -> Times {
    let mut times = vec![Vec::new(); rows.len()];
    for round in 0..WARM_UP + ROUNDS {
        for i in 0..rows.len() {
            let i = (i + round) % rows.len();
            let mut nanoseconds = 0;
            for _ in 0..BATCHES {
                let requests = (0..BATCH).map(|_| workload.request()).collect();
                let started = Instant::now();
                exchange_all(&mut rows[i].service, requests);
                nanoseconds += started.elapsed().as_nanos();
            }
            if round >= WARM_UP {
                times[i].push(nanoseconds as f64 / (BATCHES * BATCH) as f64);
            }
        }
    }
    Times(times)
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs the program that counts allocations, and returns those of all rows in order.
pub(crate) fn allocations() -> Vec<u64> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let counted = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--bin", "allocations", "--manifest-path", manifest])
        .output()
        .expect("cargo runs");
    let counted = String::from_utf8(counted.stdout).expect("the output is UTF-8");
    counted.lines().map(|line| line.parse().expect("each line is a number")).collect()
}

/// Counts instructions per request with valgrind, if it is installed.
pub(crate) struct Instructions {
    has_valgrind: bool,
}

impl Instructions {
    pub(crate) fn new() -> Self {
        let has_valgrind = Command::new("valgrind").arg("--version").output().is_ok();
        if !has_valgrind {
            eprintln!("!!! valgrind is not installed: no instructions are counted");
        }
        Self { has_valgrind }
    }

    pub(crate) fn of(&mut self, workload: Workload, row: &str) -> Option<u64> {
        let count = self
            .has_valgrind
            .then(|| peers::instructions(&[COUNT, &format!("{workload:?}"), row]))??;
        Some(count / (BATCH as u64))
    }
}

/// Runs the requests of one row, for valgrind to count.
pub(crate) fn run_for_valgrind(workload: &str, row: &str) {
    let named = |known: &&Workload| format!("{known:?}") == workload;
    let workload = *Workload::ALL.iter().find(named).expect("the workload exists");
    let sdk = Sdk::silent();
    if workload != Workload::W4 {
        sdk.install();
        tracing::dispatcher::set_global_default(sdk.subscriber.clone())
            .expect("no other subscriber is installed");
    }
    let mut rows = rows(workload, &sdk).into_iter();
    let mut row = rows.find(|known| known.name == row).expect("the row exists");
    for _ in 0..peers::WARM_UP {
        peers::exchange(&mut row.service, workload.request());
    }
    exchange_all(&mut row.service, (0..BATCH).map(|_| workload.request()).collect());
}

pub(crate) const COUNT: &str = "--count";

const BATCH: usize = 200;
const BATCHES: usize = 5;
const ROUNDS: usize = 201;
const WARM_UP: usize = 5;
