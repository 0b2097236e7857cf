//! Instructions, counted by valgrind.

use std::process::Command;

/// Counts the instructions of `exchange_all` in this program when it runs with these arguments, or
/// returns `None` without valgrind.
pub fn instructions(arguments: &[&str]) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*exchange_all*")
        .arg(program)
        .args(arguments)
        .output()
        .ok()?;
    let output = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = output.lines().find_map(|line| line.split_once("Collected :"));
    let Some((_, count)) = line else {
        panic!("valgrind printed no count for {arguments:?}: {output}");
    };
    Some(count.trim().parse().expect("the count is a number"))
}
