//! The strict parser of OpenMetrics in Python's `prometheus_client`.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Panics with the first of these answers that the parser refuses. Says loudly if it is missing.
pub(crate) fn accepts(answers: &[&str]) {
    let has_parser = Command::new("python3").args(["-c", "import prometheus_client"]).output();
    if !has_parser.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "\n==== NOT TESTED: prometheus_client is not installed \
             (python3 -m pip install prometheus_client) ====\n"
        );
        return;
    }
    let mut python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    let documents: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let json = serde_json::to_vec(&documents).unwrap();
    let writer = std::thread::spawn(move || input.write_all(&json));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let fault = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{fault}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fault.trim(), format!("{} accepted", answers.len()));
}

const SCRIPT: &str = r#"
import io, json, sys
from prometheus_client.openmetrics.parser import text_fd_to_metric_families

documents = json.loads(sys.stdin.buffer.read())
for document in documents:
    try:
        # Lines end with \n alone.
        list(text_fd_to_metric_families(io.StringIO(document, newline="\n")))
    except Exception as error:
        print(repr(error), "in", document)
        sys.exit(1)
print(len(documents), "accepted")
"#;
