//! Programs from Debian's package `prometheus`, where it is installed.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// The program of this name, or None, said loudly.
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

/// What `promtool check metrics` has to say of these, which is nothing if they are well.
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
    assert!(output.status.success() || !text.is_empty(), "it says what it finds");
    Some(text)
}
