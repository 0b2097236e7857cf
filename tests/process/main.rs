//! A process that is told to stop while requests are in progress, with a receiver that works, is
//! down, restarts, or hangs: every span, measurement and log line is accounted for.
//!
//! The process is the example `graceful`.

#[path = "../receiver/mod.rs"]
mod receiver;
mod signals;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use receiver::{Mood, Received, Receiver, nowhere};
use serde_json::Value;

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];
const RUNTIMES: [&str; 2] = ["multi-thread", "current-thread"];

/// The program `graceful`, which the tests build.
fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    assert!(path.exists(), "{} is not built", path.display());
    path
}

/// A process, and all lines that it printed.
struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    printed: Vec<String>,
    url: String,
    signal: &'static str,
}

impl Process {
    fn start(endpoint: &str, protocol: &str, runtime: &str) -> Self {
        Self::start_with(endpoint, protocol, runtime, Path::new(""))
    }

    /// Starts it with a file of certificates to trust.
    fn start_with(endpoint: &str, protocol: &str, runtime: &str, certificates: &Path) -> Self {
        let mut command = Command::new(example("graceful"));
        command
            .env("RUNTIME", runtime)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", "2000")
            .env("SSL_CERT_FILE", certificates)
            // Notices are printed unless a level is set for them.
            .env("RUST_LOG", if runtime == "current-thread" { "graceful=info" } else { "info" })
            .env("OTEL_BSP_SCHEDULE_DELAY", "500");
        let mut process = Self::spawn(command);
        // An orchestrator sends SIGTERM, and Ctrl-C is SIGINT.
        process.signal = if runtime == "current-thread" { "-INT" } else { "-TERM" };
        process.wait_until_it_serves();
        process
    }

    /// Starts a command in a process group of its own.
    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let errors = sender.clone();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
        });
        thread::spawn(move || {
            let lines = BufReader::new(stderr).lines().map_while(Result::ok);
            lines.map(|line| format!("stderr: {line}")).try_for_each(|line| errors.send(line))
        });
        Self { child, lines, printed: Vec::new(), url: String::new(), signal: "-TERM" }
    }

    /// Waits until it serves. Before, a signal ends the process.
    fn wait_until_it_serves(&mut self) {
        assert!(self.serves(), "{:#?}", self.printed);
    }

    /// Waits until it serves, or returns false if it ends.
    fn serves(&mut self) -> bool {
        let begins = |line: &String| line.starts_with("Listening on ");
        while !self.printed.last().is_some_and(begins) {
            let Ok(line) = self.lines.recv_timeout(Duration::from_secs(60)) else { return false };
            self.printed.push(line);
        }
        let address = self.printed.last().unwrap().split("http://").nth(1).unwrap();
        let address = address.split(['/', ' ']).next().unwrap().trim_end_matches('.');
        self.url = format!("http://{address}");
        let url = format!("{}/readyz", self.url);
        block_on(async { client().get(&url).send().await.is_ok() })
    }

    /// Waits until `count` lines contain the text, and returns the last of them.
    fn wait_for(&mut self, text: &str, count: usize) -> String {
        let mut seen = self.printed.iter().filter(|line| line.contains(text)).count();
        while seen < count {
            let line = self.lines.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| {
                panic!("{text:?} is printed {count} times, not {seen}: {:#?}", self.printed)
            });
            seen += usize::from(line.contains(text));
            self.printed.push(line);
        }
        self.printed.iter().rfind(|line| line.contains(text)).unwrap().clone()
    }

    /// Sends `count` requests, four at a time. Each is answered.
    fn fast(&self, count: usize) {
        let url = format!("{}/fast", self.url);
        block_on(async {
            let client = client();
            let ask = async |count: usize| {
                for _ in 0..count {
                    let answer = client.get(&url).send().await.unwrap();
                    assert_eq!(answer.text().await.unwrap(), "fast\n");
                }
            };
            let quarter = count / 4;
            tokio::join!(ask(quarter), ask(quarter), ask(quarter), ask(count - 3 * quarter));
        });
    }

    /// Tells it to stop while five slow requests are in progress, all of which are answered.
    /// Returns whether it succeeded, and after how long.
    fn end_within_slow(&mut self) -> (bool, Duration) {
        let url = format!("{}/slow", self.url);
        let slow = thread::spawn(move || {
            block_on(async {
                let client = client();
                let ask = async || client.get(&url).send().await.unwrap().text().await.unwrap();
                let (a, b, c, d, e) = tokio::join!(ask(), ask(), ask(), ask(), ask());
                assert!([a, b, c, d, e].iter().all(|answer| answer == "slow\n"));
            });
        });
        self.wait_for("slow begins", 5);
        let began = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([self.signal, &pid]).status().unwrap().success());
        slow.join().unwrap();
        let status = self.child.wait().unwrap();
        let took = began.elapsed();
        self.printed.extend(self.lines.iter());
        (status.success(), took)
    }

    /// Checks the log lines of requests, each of them JSON, and returns the ids of trace and span.
    fn log_lines(&self) -> Vec<(String, String)> {
        let lines = self.printed.iter().filter(|line| line.starts_with('{'));
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let own = lines.filter(|line| line["target"] != "tower_telemetry");
        own.map(|line| {
            assert_eq!(line["trace_flags"], "01", "{line}");
            assert_eq!(line["level"], "INFO", "{line}");
            let message = line["fields"]["message"].as_str().unwrap();
            assert!(["fast", "slow begins", "slow ends"].contains(&message), "{line}");
            assert_eq!(line["target"], "graceful", "of the crate that logs, not of a bridge");
            let time = line["timestamp"].as_str().unwrap();
            assert!(time.len() == 27 && time.ends_with('Z') && time.contains('T'), "{line}");
            let id = |name: &str| line[name].as_str().unwrap().to_owned();
            (id("trace_id"), id("span_id"))
        })
        .collect()
    }

    /// Returns the messages for the operator.
    fn notices(&self) -> Vec<String> {
        let lines = self.printed.iter().filter(|line| line.contains("\"tower_telemetry\""));
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["fields"]["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Nothing else is printed.
    fn assert_only_own_lines(&self) {
        for line in &self.printed {
            let is_known = line.contains("\"target\":\"graceful\"")
                || line.contains("\"target\":\"tower_telemetry\"")
                || line.starts_with("Listening");
            assert!(is_known, "{line}");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // The whole group, because `timeout` leaves its child behind when it is killed.
            let group = format!("-{}", self.child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
            let _ = self.child.wait();
        }
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Runs all combinations at once, because they mostly wait.
fn each_way(test: impl Fn(&str, &str) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for protocol in PROTOCOLS {
            for runtime in RUNTIMES {
                scope.spawn(move || test(protocol, runtime));
            }
        }
    });
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 1005 requests make 1005 spans, each exported once, 1010 log records, each exported and printed
/// with the ids of its span, and 1005 measurements.
fn assert_all(received: &Received, process: &Process, way: &str) {
    let spans = received.spans();
    assert_eq!(spans.len(), 1005, "{way}");
    let ids: BTreeSet<_> =
        spans.iter().map(|span| (hex(&span.trace_id), hex(&span.span_id))).collect();
    assert_eq!(ids.len(), 1005, "{way}");
    let slow = spans.iter().filter(|span| span.name == "GET /slow");
    assert_eq!(slow.count(), 5, "{way}");

    let scopes = received.logs.iter().flat_map(|resource| &resource.scope_logs);
    let scopes: BTreeSet<_> = scopes.map(|scope| &*scope.scope.as_ref().unwrap().name).collect();
    assert!(scopes.is_subset(&["graceful", "tower_telemetry"].into()), "{way}: {scopes:?}");
    let records = received.log_records();
    let own = records.iter().filter(|record| !record.trace_id.is_empty());
    let mut exported: Vec<_> =
        own.map(|record| (hex(&record.trace_id), hex(&record.span_id))).collect();
    let mut printed = process.log_lines();
    exported.sort();
    printed.sort();
    assert_eq!(printed.len(), 1010, "{way}");
    assert_eq!(exported, printed, "{way}");
    assert_eq!(printed.into_iter().collect::<BTreeSet<_>>(), ids, "{way}");

    let durations = received.metrics("http.server.request.duration");
    let Some(Data::Histogram(histogram)) = &durations.last().unwrap().data else { panic!() };
    let count: u64 = histogram.data_points.iter().map(|point| point.count).sum();
    assert_eq!(count, 1005, "{way}");
}

#[test]
fn a_receiver_that_works() {
    each_way(|protocol, runtime| {
        let receiver = Receiver::start();
        let mut process = Process::start(&receiver.url(), protocol, runtime);
        process.fast(1000);
        let (ended_well, took) = process.end_within_slow();
        let way = format!("{protocol}, {runtime}");
        assert!(ended_well, "{way}: {:#?}", process.printed.last());
        assert!(took < Duration::from_secs(5), "no stall, {way}: {took:?}");
        assert_all(&receiver.received(), &process, &way);
        assert_eq!(process.notices(), [""; 0], "{way}");
        process.assert_only_own_lines();
    });
}

/// TLS to a receiver whose certificate is trusted, and none to one whose certificate is not.
#[cfg(feature = "setup-tls")]
#[test]
fn a_receiver_behind_tls() {
    each_way(|protocol, runtime| {
        let way = format!("{protocol}, {runtime}");
        let (receiver, certificate) = Receiver::start_with_tls();
        let (_, other) = Receiver::start_with_tls();
        let name = format!("tower-telemetry-{}-{}", std::process::id(), receiver.address.port());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, certificate).unwrap();
        let mut process = Process::start_with(&receiver.url(), protocol, runtime, &file);
        process.fast(1000);
        let (ended_well, _) = process.end_within_slow();
        assert!(ended_well, "{way}: {:#?}", process.printed.last());
        assert_all(&receiver.received(), &process, &way);

        std::fs::write(&file, other).unwrap();
        let mut process = Process::start_with(&receiver.url(), protocol, runtime, &file);
        nothing_arrives(&mut process, &way);
        std::fs::remove_file(&file).unwrap();
    });
}

/// Nothing arrives, no request waits for it, and the loss is reported. It does not fail the
/// process.
fn nothing_arrives(process: &mut Process, way: &str) {
    let began = Instant::now();
    process.fast(1000);
    let per_request = began.elapsed() / 1000;
    assert!(per_request < Duration::from_millis(20), "no latency in requests: {per_request:?}");
    let (ended_well, took) = process.end_within_slow();
    assert!(ended_well, "{way}: {:#?}", process.printed.last());
    // Two seconds of requests, and five to deliver.
    assert!(took < Duration::from_secs(10), "{way}: {took:?}");
    assert_eq!(process.log_lines().len(), 1010, "{way}");
    let notices = process.notices();
    let report = notices.iter().find(|notice| notice.starts_with("not delivered: "));
    let report = report.unwrap_or_else(|| panic!("{way}: {:#?}", process.printed));
    assert!(report.contains("1005 spans, 0 spans that had not ended"), "{way}: {report}");
    assert!(report.contains("the last metrics"), "{way}: {report}");
    // One notice for each signal at most, however many batches and attempts there were.
    for signal in ["traces", "logs", "metrics"] {
        let of_signal = notices.iter().filter(|notice| notice.starts_with(signal)).count();
        let expected = if signal == "metrics" { 0..=1 } else { 1..=1 };
        assert!(expected.contains(&of_signal), "{way}, {signal}: {notices:#?}");
    }
    process.assert_only_own_lines();
}

#[test]
fn a_receiver_that_is_down() {
    each_way(|protocol, runtime| {
        let mut process = Process::start(&format!("http://{}", nowhere()), protocol, runtime);
        nothing_arrives(&mut process, &format!("{protocol}, {runtime}"));
    });
}

fn a_receiver_in(mood: Mood) {
    each_way(move |protocol, runtime| {
        let receiver = Receiver::start();
        receiver.set(mood);
        let mut process = Process::start(&receiver.url(), protocol, runtime);
        nothing_arrives(&mut process, &format!("{protocol}, {runtime}"));
    });
}

#[test]
fn a_receiver_that_hangs() {
    a_receiver_in(Mood::Hangs);
}

#[test]
fn a_receiver_that_refuses() {
    a_receiver_in(Mood::REFUSES);
}

/// Stopped for thirty seconds and started again: nothing is lost, and there are two notices for
/// each signal. (The test has to last thirty seconds, because this time is documented.)
#[test]
fn a_receiver_that_restarts() {
    each_way(|protocol, runtime| {
        let mut receiver = Receiver::start();
        let way = format!("{protocol}, {runtime}");
        let mut process = Process::start(&receiver.url(), protocol, runtime);
        process.fast(500);
        receiver.wait_for("the first half", |received| received.spans().len() == 500);
        receiver.stop();
        let stopped = Instant::now();
        process.fast(500);
        thread::sleep(Duration::from_secs(30).saturating_sub(stopped.elapsed()));
        receiver.resume();
        process.wait_for("arrive at", 2);
        let (ended_well, _) = process.end_within_slow();
        assert!(ended_well, "{way}: {:#?}", process.printed.last());
        assert_all(&receiver.received(), &process, &way);
        let mut notices = process.notices();
        notices.sort();
        let [logs_again, logs, traces_again, traces] = &notices[..] else {
            panic!("{way}: {notices:#?}")
        };
        for (signal, away, again) in [("logs", logs, logs_again), ("traces", traces, traces_again)]
        {
            assert!(away.starts_with(&format!("{signal} don't arrive at ")), "{way}: {away}");
            assert!(again.starts_with(&format!("{signal} arrive at ")), "{way}: {again}");
            assert!(again.ends_with("again, none was lost"), "{way}: {again}");
        }
        process.assert_only_own_lines();
    });
}
