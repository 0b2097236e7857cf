//! Programs without what they need: a process without a Collector, and customers without a shop.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::{receiver::nowhere, scrape::request};

#[test]
fn a_process_without_a_collector_prints_its_telemetry() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_shop"))
        .args(["supplier", "--listen", "127.0.0.1:0"])
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let listening = lines.next().unwrap();
    let address = listening.rsplit_once(" address=").expect("the address comes last").1;
    let url = format!("http://{address}");
    assert_eq!(request(&url, "GET", "/nothing", "").0, 404);
    assert!(lines.any(|line| line.starts_with("GET 404 ")));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let is_row = |line: &str| line.split_whitespace().take(3).eq(["GET", "1", "0"]);
    assert!(lines.any(|line| is_row(&line)));
    // A process whose output nobody reads any more ends well, too.
    drop(lines);
    assert!(child.wait().unwrap().success());
}

#[test]
fn customers_without_a_shop_fail() {
    let url = format!("http://{}", nowhere());
    for (arguments, printed, told) in [
        (&["--requests", "3"][..], "total 3\n", "has not answered"),
        (&["--requests", "3", "--scenario", "dead"], "total 0\n", "/fault: "),
    ] {
        let mut load = Command::new(env!("CARGO_BIN_EXE_load"));
        load.args(["--url", &url, "--supplier", &url, "--backend-ops", &url]).args(arguments);
        let output = load.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(stdout.ends_with(printed), "{stdout}");
        assert!(stderr.starts_with("load: ") && stderr.contains(told), "{stderr}");
    }
}
