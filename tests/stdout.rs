//! Streams that nobody reads, or that are closed: they block neither requests nor the shutdown.
//!
//! The process is the example `graceful`.

use std::{
    io::{BufRead, BufReader, PipeReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// A stalled process must fail a test, not hang it.
const LIMIT: Duration = Duration::from_secs(30);

struct Process {
    child: Child,
    stdout: Option<BufReader<PipeReader>>,
    address: String,
}

impl Process {
    /// Starts the example and reads its first line.
    fn start(variables: &[(&str, &str)], stderr: Stdio) -> Self {
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        path.push("examples/graceful");
        let (stdout, writer) = std::io::pipe().unwrap();
        let none = ["TRACES", "METRICS", "LOGS"].map(|signal| format!("OTEL_{signal}_EXPORTER"));
        let child = Command::new(path)
            .env("PORT", "0")
            .env_remove("RUST_LOG")
            .envs(none.iter().map(|name| (name.as_str(), "none")))
            .envs(variables.iter().copied())
            .stdout(writer)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let (sender, started) = mpsc::channel();
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            while !line.starts_with("Listening on ") {
                line.clear();
                if stdout.read_line(&mut line).unwrap() == 0 {
                    return;
                }
            }
            let _ = sender.send((stdout, line));
        });
        let mut process = Self { child, stdout: None, address: String::new() };
        let (stdout, line) = started.recv_timeout(LIMIT).expect("the process listens");
        process.stdout = Some(stdout);
        process.address = line.trim().trim_start_matches("Listening on http://").to_owned();
        process
    }

    /// Sends so many requests over four connections. Each must be answered.
    fn request(&self, count: usize) {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(&self.address).unwrap();
                    stream.set_read_timeout(Some(LIMIT)).unwrap();
                    let mut answers = BufReader::new(stream.try_clone().unwrap());
                    for n in 0..count / 4 {
                        stream.write_all(b"GET /fast HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
                        let mut line = String::new();
                        while line != "fast\n" {
                            line.clear();
                            let read = answers.read_line(&mut line);
                            assert!(read.is_ok_and(|read| read > 0), "request {n} is not answered");
                        }
                    }
                });
            }
        });
    }

    /// Sends SIGTERM and waits for the end.
    fn end(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the process does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Reads a stream that has been piped, to its end.
    fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CONSOLE: &[(&str, &str)] = &[("OTEL_TRACES_EXPORTER", "console")];

#[test]
fn an_unread_stdout_blocks_neither_requests_nor_the_shutdown() {
    // The console prints some traces a second, which fit into the queue.
    for (what, variables, is_lost) in [
        ("log lines", &[][..], true),
        ("log lines on one thread", &[("RUNTIME", "current-thread")], true),
        ("spans", &[("OTEL_TRACES_EXPORTER", "console"), ("RUST_LOG", "off")], false),
        ("log records", &[("OTEL_LOGS_EXPORTER", "console"), ("RUST_LOG", "info")], true),
    ] {
        let mut process = Process::start(variables, Stdio::piped());
        process.request(3000);
        let began = Instant::now();
        assert!(process.end().success(), "{what}");
        assert!(began.elapsed() < Duration::from_secs(5), "{what}: {:?}", began.elapsed());
        let stderr = process.stderr();
        let is_told = stderr.contains("tower_telemetry: standard output is not read: ");
        assert_eq!(is_told, is_lost, "{what}: {stderr}");
    }
}

#[test]
fn an_unread_stderr_blocks_neither_the_start_nor_the_shutdown() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // This thread fills the pipe, and ends with the reader.
    let stderr = writer.try_clone().unwrap();
    thread::spawn(move || while writer.write_all(&[b'\n'; 4096]).is_ok() {});
    // A warning at the start, and no subscriber that takes it.
    let variables = [("OTEL_CONFIG_FILE", "/otel.yaml"), ("RUST_LOG", "off")];
    let mut process = Process::start(&variables, stderr.into());
    process.request(100);
    assert!(process.end().success());
    drop(reader);
}

#[test]
fn a_closed_stdout_loses_lines_without_harm() {
    for variables in [&[][..], CONSOLE] {
        let mut process = Process::start(variables, Stdio::piped());
        process.stdout = None;
        process.request(500);
        assert!(process.end().success());
        assert_eq!(process.stderr(), "");
    }
}

#[test]
fn a_stdout_that_is_read_late_has_all_lines_or_reports_how_many_were_dropped() {
    for (requests, variables, is_dropped) in
        [(2000, &[][..], false), (2000, CONSOLE, false), (30_000, &[], true)]
    {
        let mut process = Process::start(variables, Stdio::piped());
        process.request(requests);
        let stdout = process.stdout.take().unwrap();
        let lines =
            thread::spawn(move || -> Vec<String> { stdout.lines().map(Result::unwrap).collect() });
        assert!(process.end().success());
        let lines = lines.join().unwrap();
        let records = lines.iter().filter(|line| line.contains(r#""message":"fast""#)).count();
        let mut spans = lines.iter().filter(|line| line.starts_with("GET ")).count();
        for line in lines.iter().filter(|line| line.contains(" traces more, ")) {
            spans += line.split(' ').nth(1).unwrap().parse::<usize>().unwrap();
        }
        let expected = if variables == CONSOLE { 2 * requests } else { requests };
        let mut dropped = 0;
        for line in lines.iter().filter(|line| line.contains("was not read in time")) {
            let text = line.split("in time: ").nth(1).unwrap();
            dropped += text.split(' ').next().unwrap().parse::<usize>().unwrap();
        }
        assert_eq!(dropped > 0, is_dropped, "{dropped} dropped");
        assert_eq!(records + spans + dropped, expected);
        assert_eq!(process.stderr(), "");
    }
}
