//! Runs the real parts of the stack on loopback, each until it is dropped.
//!
//! `../parts.sh` builds the parts. A part that is missing fails the test that needs it.

use std::{
    env, fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;

/// A running part of the stack.
pub struct Part {
    process: Child,
    log: PathBuf,
    /// The folder of its data, which is removed with it.
    folder: PathBuf,
}

impl Part {
    /// Starts a program in a folder of its own. `arguments` may name the folder as `{folder}`.
    pub fn start(program: &str, arguments: &[&str], variables: &[(&str, String)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-telemetry-stack-{}-{number}", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder for the data of a part");
        let log = folder.join("log");
        let path = folder.display().to_string();
        let output = fs::File::create(&log).expect("a file for the log of a part");
        let process = Command::new(program)
            .args(arguments.iter().map(|argument| argument.replace("{folder}", &path)))
            .envs(variables.iter().map(|(name, value)| (name, value.replace("{folder}", &path))))
            .current_dir(&folder)
            .stdout(output.try_clone().expect("a second handle of the log"))
            .stderr(output)
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        Self { process, log, folder }
    }

    /// Returns what the part has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _: io::Result<_> = self.process.kill().and_then(|()| self.process.wait());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Returns the path of a program that `parts.sh` has built.
pub fn built(program: &str) -> String {
    let cache = || env::var("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var("HOME").map(|home| Path::new(&home).join(".cache"));
    let parts = env::var("PARTS_DIR")
        .map(PathBuf::from)
        .or_else(|_| cache().or_else(|_| home()).map(|cache| cache.join("tower-telemetry/parts")));
    let path = parts.expect("PARTS_DIR or HOME is set").join("bin").join(program);
    assert!(path.exists(), "{} is missing: run examples/stack/parts.sh", path.display());
    path.display().to_string()
}

/// Returns the path of a file of the stack.
pub fn file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).display().to_string()
}

/// Returns ports that are free.
pub fn ports<const N: usize>() -> [u16; N] {
    // All are bound before one is released, so they differ.
    let listeners: [_; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port on loopback"));
    listeners.map(|listener| listener.local_addr().expect("the address of a listener").port())
}

/// A Prometheus.
pub struct Prometheus {
    part: Part,
    /// The base of its URLs.
    pub url: String,
}

impl Prometheus {
    /// Starts Prometheus 3, which receives OTLP, too.
    pub fn start(scrape_configs: &str) -> Self {
        Self::with(&built("prometheus"), &["--web.enable-otlp-receiver"], scrape_configs)
    }

    /// Starts Debian's Prometheus 2.
    pub fn start_debian(scrape_configs: &str) -> Self {
        Self::with("/usr/bin/prometheus", &[], scrape_configs)
    }

    fn with(program: &str, arguments: &[&str], scrape_configs: &str) -> Self {
        let [port] = ports();
        let base = match arguments {
            [] => "global: { scrape_interval: 1s }\n".to_owned(),
            _ => fs::read_to_string(file("prometheus.yml")).expect("prometheus.yml"),
        };
        let config = env::temp_dir().join(format!("tower-telemetry-{port}-prometheus.yml"));
        fs::write(&config, format!("{base}scrape_configs:\n{scrape_configs}"))
            .expect("a configuration of Prometheus");
        let config_argument = format!("--config.file={}", config.display());
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        let mut all = vec![
            &*config_argument,
            &*listen,
            "--storage.tsdb.path={folder}/data",
            "--enable-feature=exemplar-storage",
        ];
        all.extend(arguments);
        Self { part: Part::start(program, &all, &[]), url: format!("http://127.0.0.1:{port}") }
    }

    /// Asks its API until the data is as wanted, for a minute at most.
    pub async fn until(
        &self,
        path: &str,
        query: &[(&str, &str)],
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let url = format!("{}/api/v1/{path}", self.url);
        let answer = until(&url, query, |answer| is_wanted(&answer["data"])).await;
        match answer {
            Ok(mut answer) => answer["data"].take(),
            Err(last) => panic!("{url} {query:?}: {last}\n{}", self.part.log()),
        }
    }
}

/// A Jaeger with its traces in memory.
pub struct Jaeger {
    part: Part,
    /// The address for OTLP by gRPC.
    pub otlp: String,
    url: String,
}

impl Jaeger {
    pub fn start() -> Self {
        let [otlp, query, grpc, health] = ports();
        let config = format!("--config={}", file("jaeger.yaml"));
        let variables = [
            ("JAEGER_OTLP_PORT", otlp.to_string()),
            ("JAEGER_QUERY_PORT", query.to_string()),
            ("JAEGER_GRPC_PORT", grpc.to_string()),
            ("JAEGER_HEALTH_PORT", health.to_string()),
        ];
        let part = Part::start(&built("jaeger"), &[&config], &variables);
        Self { part, otlp: format!("127.0.0.1:{otlp}"), url: format!("http://127.0.0.1:{query}") }
    }

    /// Returns the spans of a trace, as soon as there are `count`: waits for a minute at most.
    pub async fn spans(&self, trace_id: &str, count: usize) -> Vec<Value> {
        let url = format!("{}/api/v3/traces/{trace_id}", self.url);
        let spans = |answer: &Value| {
            let resources = answer["result"]["resourceSpans"].as_array().cloned();
            let scopes = resources.unwrap_or_default().into_iter();
            let scopes =
                scopes.flat_map(|r| r["scopeSpans"].as_array().cloned().unwrap_or_default());
            scopes.flat_map(|s| s["spans"].as_array().cloned().unwrap_or_default()).collect()
        };
        let is_wanted = |answer: &Value| {
            let spans: Vec<Value> = spans(answer);
            spans.len() >= count
        };
        match until(&url, &[], is_wanted).await {
            Ok(answer) => spans(&answer),
            Err(last) => panic!("{url}: {last}\n{}", self.part.log()),
        }
    }
}

/// A Collector that passes traces on to Jaeger and metrics to Prometheus.
pub struct Collector {
    /// Stops with it.
    pub part: Part,
    /// The base of OTLP by gRPC.
    pub grpc: String,
    /// The base of OTLP by HTTP.
    pub http: String,
}

impl Collector {
    /// Starts it, and waits until it is ready.
    pub async fn start(jaeger: &Jaeger, prometheus: &Prometheus) -> Self {
        let [grpc, http, pull, own, health] = ports();
        let config = format!("--config={}", file("otelcol.yaml"));
        let variables = [
            ("OTLP_GRPC_PORT", grpc.to_string()),
            ("OTLP_HTTP_PORT", http.to_string()),
            ("PULL_PORT", pull.to_string()),
            ("SELF_PORT", own.to_string()),
            ("HEALTH_PORT", health.to_string()),
            ("QUEUE_DIR", "{folder}/queue".to_owned()),
            ("SPANS_FILE", "{folder}/spans.json".to_owned()),
            ("TRACES_ENDPOINT", jaeger.otlp.clone()),
            ("METRICS_ENDPOINT", format!("{}/api/v1/otlp", prometheus.url)),
        ];
        let part = Part::start(&built("otelcol"), &[&config], &variables);
        let url = format!("http://127.0.0.1:{health}");
        if let Err(last) = until(&url, &[], |answer| !answer.is_null()).await {
            panic!("the Collector is not ready: {last}\n{}", part.log());
        }
        Self {
            part,
            grpc: format!("http://127.0.0.1:{grpc}"),
            http: format!("http://127.0.0.1:{http}"),
        }
    }
}

/// Asks for a JSON document until it is as wanted, for a minute at most. Returns the last answer.
async fn until(
    url: &str,
    query: &[(&str, &str)],
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<Value, Value> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build();
    let client = client.expect("a client without TLS");
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = match client.get(url).query(query).send().await {
            Ok(answer) => answer.json::<Value>().await.unwrap_or_default(),
            Err(_) => Value::Null,
        };
        if is_wanted(&answer) {
            return Ok(answer);
        }
        if Instant::now() > end {
            return Err(answer);
        }
        tokio::time::sleep(Duration::from_millis(100)).await; // between two questions
    }
}
