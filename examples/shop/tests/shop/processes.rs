//! The processes of the shop, each on a free port.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{receiver::Receiver, scrape::Metrics};

/// A process, with the JSON lines that it has printed.
pub(crate) struct Process {
    child: Child,
    output: mpsc::Receiver<String>,
    pub(crate) lines: Vec<Value>,
    addresses: Value,
}

impl Process {
    pub(crate) fn start(role: &str, receiver: &Receiver, variables: &[(&str, String)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_shop"))
            .arg(role)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url())
            .env("OTEL_BSP_SCHEDULE_DELAY", "200")
            .env("LISTEN", "127.0.0.1:0")
            .env("OPS_LISTEN", "127.0.0.1:0")
            .env_remove("DATABASE_URL")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, output) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
        });
        let mut process = Self { child, output, lines: Vec::new(), addresses: Value::Null };
        process.wait_for_lines("listening", 1);
        process.addresses = process.lines.last().unwrap()["fields"].clone();
        process
    }

    /// Waits until this many lines have the message.
    pub(crate) fn wait_for_lines(&mut self, message: &str, count: usize) {
        let is_it = |line: &Value| line["fields"]["message"] == message;
        let mut seen = self.lines.iter().filter(|line| is_it(line)).count();
        while seen < count {
            let line = self.output.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|error| {
                panic!("{message:?} {count} times, not {seen}: {error}: {:#?}", self.lines)
            });
            let line = parse(&line);
            seen += usize::from(is_it(&line));
            self.lines.push(line);
        }
    }

    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for the end of a process that was told to stop. It has succeeded, and has lost no telemetry.
    pub(crate) fn wait(&mut self) {
        let status = self.child.wait().unwrap();
        self.lines.extend(self.output.iter().map(|line| parse(&line)));
        assert!(status.success(), "{status}: {:#?}", self.lines.last());
        let notices: Vec<_> =
            self.lines.iter().filter(|line| line["target"] == "tower_telemetry").collect();
        assert!(notices.is_empty(), "{notices:#?}");
    }

    /// Returns the URL that the field of the line `listening` has.
    pub(crate) fn url(&self, field: &str) -> String {
        format!("http://{}", self.addresses[field].as_str().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The three processes.
pub(crate) struct Shop {
    pub(crate) gateway: Process,
    pub(crate) backend: Process,
    pub(crate) supplier: Process,
}

impl Shop {
    /// Starts the shop with this database, or with the default one.
    pub(crate) fn start(receiver: &Receiver, database: Option<String>) -> Self {
        let supplier = Process::start("supplier", receiver, &[]);
        let database: Vec<_> = database.into_iter().map(|url| ("DATABASE_URL", url)).collect();
        let backend = Process::start("backend", receiver, &database);
        let urls =
            [("BACKEND_URL", backend.url("address")), ("SUPPLIER_URL", supplier.url("address"))];
        Self { gateway: Process::start("gateway", receiver, &urls), backend, supplier }
    }

    /// Returns a command that sends requests to the shop.
    pub(crate) fn load(&self, arguments: &[&str]) -> Command {
        let mut load = Command::new(env!("CARGO_BIN_EXE_load"));
        load.args(["--url", &self.gateway.url("address")])
            .args(["--supplier", &self.supplier.url("address")])
            .args(["--backend-ops", &self.backend.url("ops_address")])
            .args(arguments)
            .stdout(Stdio::piped());
        load
    }

    /// Returns the metrics of gateway, backend and supplier when no call is recorded any more: a server
    /// records a call when its caller has the answer already.
    pub(crate) fn metrics(&self) -> [Metrics; 3] {
        let scrape = || {
            let urls = [
                self.gateway.url("address"),
                self.backend.url("ops_address"),
                self.supplier.url("address"),
            ];
            urls.map(|url| Metrics::of(&url))
        };
        let calls = |all: &[Metrics; 3]| all.each_ref().map(Metrics::calls);
        let mut before = scrape();
        loop {
            thread::sleep(Duration::from_millis(50));
            let now = scrape();
            if calls(&before) == calls(&now) {
                return now;
            }
            before = now;
        }
    }

    /// Tells all processes to stop, and waits until they have ended well.
    pub(crate) fn stop(&mut self) {
        for process in [&mut self.gateway, &mut self.backend, &mut self.supplier] {
            process.terminate();
            process.wait();
        }
    }
}

/// The answers by method, route and status, as `load` prints them.
pub(crate) struct Answers(BTreeMap<String, u64>);

impl Answers {
    /// Reads the output of `load`. Its total is the sum of its lines.
    pub(crate) fn parse(output: &[u8]) -> Self {
        let output = String::from_utf8_lossy(output);
        let lines = output.lines().map(|line| line.rsplit_once(' ').expect("words and a number"));
        let mut answers: BTreeMap<String, u64> =
            lines.map(|(words, count)| (words.to_owned(), count.parse().unwrap())).collect();
        let total = answers.remove("total").unwrap_or_else(|| panic!("no total: {output}"));
        assert_eq!(answers.values().sum::<u64>(), total, "{output}");
        Self(answers)
    }

    /// Runs `load` to its end.
    pub(crate) fn of(mut load: Command) -> Self {
        let output = load.output().unwrap();
        assert!(output.status.success(), "{}: {:?}", output.status, load);
        Self::parse(&output.stdout)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(words, count)| (words.as_str(), *count))
    }

    /// Returns the number of answers whose words contain all of these.
    pub(crate) fn count(&self, words: &[&str]) -> u64 {
        let contains = |line: &str| words.iter().all(|word| line.split(' ').any(|w| w == *word));
        self.iter().filter(|(line, _)| contains(line)).map(|(_, count)| count).sum()
    }
}
