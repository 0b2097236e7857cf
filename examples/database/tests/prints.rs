//! The example runs as a stranger would run it.

use std::process::Command;

#[test]
fn prints_the_trace_with_its_queries_and_the_wait() {
    let output = Command::new(env!("CARGO_BIN_EXE_database")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = |start: &str| {
        let line = text.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("prints no {start:?}: {text}"))
    };
    let id = |line: &str, key: &str| {
        let rest = line.split(&format!(" {key}=")).nth(1).unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let request = line("span   Server \"GET /songs/since/{year}\"");
    for of_request in ["Client \"SELECT songs\"", "Internal \"wait for connection\""] {
        let span = line(&format!("span   {of_request}"));
        assert_eq!(id(span, "trace"), id(request, "trace"), "{span}");
        assert_eq!(id(span, "parent"), id(request, "span"), "{span}");
    }
    for name in ["BEGIN :memory:", "INSERT songs", "ROLLBACK :memory:"] {
        line(&format!("span   Client \"{name}\""));
    }
    line("metric db.client.connection.limit 1 {connection}");
}
