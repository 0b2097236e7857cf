//! The example runs as a stranger would run it.

use std::process::Command;

#[test]
fn prints_the_trace_with_its_queries_and_the_wait() {
    let output = Command::new(env!("CARGO_BIN_EXE_database")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    // Children are within the trees of their requests.
    let tree = |first: &str| -> Vec<&str> {
        let mut lines = text.lines().skip_while(|line| !line.starts_with(first));
        let first = lines.next().unwrap_or_else(|| panic!("prints no {first:?}: {text}"));
        let children = lines.take_while(|line| line.starts_with([' ', '└']));
        [first].into_iter().chain(children).collect()
    };
    for (request, children) in [
        ("GET /songs/since/{year} 200 ", &["wait for connection ", "SELECT songs "][..]),
        ("POST /songs 409 ", &["BEGIN :memory: ", "INSERT songs 1555 ", "ROLLBACK :memory: "]),
    ] {
        let tree = tree(request);
        for child in children {
            let child = format!("└ {child}");
            assert!(tree.iter().any(|line| line.starts_with(&child)), "{child}: {tree:#?}");
        }
    }
    assert!(text.contains("\n→ sqlite INSERT songs "), "{text}");
}
