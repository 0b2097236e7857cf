//! The cost that telemetry adds to a query of sqlx: `SELECT` by a key on SQLite in memory.
//!
//! ```text
//! cargo run --release --manifest-path benches/databases/Cargo.toml
//! ```
//!
//! Each row is measured by a process of its own. Without valgrind there are no instructions. There is
//! no time, because most of it is the way between the caller's thread and SQLite's.

mod measured;
mod rows;

use std::{env, path::PathBuf, process::Command};

/// The rows of a table, the first of which has no telemetry. `true`: a row of the older program.
const TABLES: [(&str, &[(&str, bool)]); 2] = [
    (
        "by the pool",
        &[
            ("pool: sqlx 0.9", false),
            ("pool: tower-telemetry, no provider", false),
            ("pool: tower-telemetry", false),
            ("pool: sqlx-otel 0.5", false),
            ("pool: sqlx 0.8", true),
            ("pool: sqlx-tracing 0.2", true),
        ],
    ),
    (
        "on a connection",
        &[
            ("connection: sqlx 0.9", false),
            ("connection: tower-telemetry, no provider", false),
            ("connection: tower-telemetry", false),
            ("connection: sqlx-otel 0.5", false),
            ("connection: sqlx 0.8", true),
            ("connection: sqlx-tracing 0.2", true),
        ],
    ),
];

fn main() {
    if let Some(row) = env::args().nth(1) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(rows::run(&row));
    }
    let older = build_older();
    let newer = env::current_exe().expect("the path of this program");
    for (title, rows) in TABLES {
        println!("\nA query {title}:\n");
        println!("| | instructions | added | allocations | added |");
        println!("|---|---:|---:|---:|---:|");
        let mut bare = [0; 2];
        for (row, is_older) in rows {
            let program = if *is_older { &older } else { &newer };
            let numbers = [instructions(program, row), allocations(program, row)];
            if row.contains("sqlx 0") {
                bare = numbers;
            }
            let cells: Vec<_> = numbers
                .iter()
                .zip(bare)
                .map(|(number, bare)| format!("{number} | {}", number - bare))
                .collect();
            println!("| {} | {} |", row.split(": ").nth(1).unwrap_or(row), cells.join(" | "));
        }
    }
}

/// Builds the program of the rows that need another sqlx.
fn build_older() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("older");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "the older program is not built");
    let target = env::var_os("CARGO_TARGET_DIR").map_or(folder.join("target"), PathBuf::from);
    target.join("release/older")
}

/// Counts the allocations of the caller's thread.
fn allocations(program: &PathBuf, row: &str) -> i64 {
    let output = Command::new(program).args([row, "allocations"]).output();
    let output = output.expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    text.trim().parse().unwrap_or_else(|_| panic!("{row}: {text}{error}"))
}

/// Counts the instructions of all threads: the difference between few and many runs.
fn instructions(program: &PathBuf, row: &str) -> i64 {
    let collected = |runs: i64| -> Option<i64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(program)
            .args([row, &runs.to_string()])
            .output()
            .ok()?;
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        let (_, count) = output.lines().find_map(|line| line.split_once("Collected :"))?;
        count.trim().parse().ok()
    };
    let per_run = || Some((collected(MANY)? - collected(FEW)?) / (MANY - FEW));
    // The threads of the runtime and of SQLite meet a little differently each time.
    let mut counts = [0; 3].map(|_: i64| per_run().unwrap_or_default());
    counts.sort_unstable();
    counts[1]
}

const FEW: i64 = 200;
const MANY: i64 = 1200;
