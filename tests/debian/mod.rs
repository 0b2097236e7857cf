//! Programs of Debian's package `prometheus`, if it is installed.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Returns the program. Prints a warning and returns `None` if it is not installed.
pub(crate) fn installed(program: &str) -> Option<Command> {
    match Command::new(program).arg("--version").output() {
        Ok(output) if output.status.success() => Some(Command::new(program)),
        _ => {
            eprintln!(
                "\n==== NOT TESTED: {program} is not installed (Debian: apt install prometheus) ====\n"
            );
            None
        }
    }
}

/// Returns the complaints of `promtool check metrics`. The text is empty if the metrics are valid.
/// Returns `None` if `promtool` is not installed.
#[allow(dead_code, reason = "not every test that includes this file needs promtool")]
pub(crate) fn promtool_on(metrics: &str) -> Option<String> {
    let mut check = installed("promtool")?
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || !text.is_empty(), "promtool failed without a message");
    Some(text)
}
