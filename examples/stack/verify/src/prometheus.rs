//! Prometheus.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    Alertmanager, Part,
    ask::{get, post, until},
    part::{built, file, new_folder, ports},
};

/// A Prometheus. Its configuration can change while it runs.
pub struct Prometheus {
    pub part: Part,
    /// The base of its URLs.
    pub url: String,
    config: PathBuf,
    base: String,
    jobs: String,
    rules: Vec<String>,
    alertmanager: Option<String>,
}

impl Prometheus {
    /// Starts Prometheus 3 with the stack's configuration, as a receiver of OTLP.
    pub fn start() -> Self {
        let base = fs::read_to_string(file("prometheus.yml")).expect("prometheus.yml");
        // The tests have jobs and rules of their own, and can't wait for five seconds.
        let base = without_sections(&base, &["scrape_config_files", "rule_files", "alerting"]);
        let base = with_value(&base, "scrape_interval", "1s");
        let base = with_value(&base, "evaluation_interval", "1s");
        Self::with(&built("prometheus"), &["--web.enable-otlp-receiver"], base)
    }

    /// Starts Debian's Prometheus 2.
    pub fn start_debian() -> Self {
        Self::with("/usr/bin/prometheus", &[], "global: { scrape_interval: 1s }\n".to_owned())
    }

    fn with(program: &str, arguments: &[&str], base: String) -> Self {
        let [port] = ports();
        let config = new_folder().join("prometheus.yml");
        fs::write(&config, &base).expect("a configuration of Prometheus");
        let config_argument = format!("--config.file={}", config.display());
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        let mut all = vec![
            &*config_argument,
            &*listen,
            "--storage.tsdb.path={folder}/data",
            "--enable-feature=exemplar-storage",
            "--web.enable-lifecycle",
        ];
        all.extend(arguments);
        Self {
            part: Part::start(program, &all, &[]),
            url: format!("http://127.0.0.1:{port}"),
            config,
            base,
            jobs: String::new(),
            rules: Vec::new(),
            alertmanager: None,
        }
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        let url = format!("{}/-/ready", self.url);
        if let Err(last) = until(&url, &[], |answer| answer.status == 200).await {
            panic!("Prometheus is not ready: {last:?}\n{}", self.part.log());
        }
    }

    /// Scrapes a target, `host:port`, from now on.
    pub async fn scrape(&mut self, job: &str, target: &str) {
        self.jobs.push_str(&format!(
            "  - {{ job_name: {job}, scrape_interval: 1s, static_configs: [{{ targets: ['{target}'] }}] }}\n"
        ));
        self.reload().await;
    }

    /// Evaluates the stack's rules each second, as `edit` returns them, and sends alerts to an Alertmanager.
    pub async fn evaluate(&mut self, alertmanager: &Alertmanager, edit: impl Fn(&str) -> String) {
        for entry in fs::read_dir(file("rules")).expect("the rules of the stack") {
            let path = entry.expect("a file of rules").path();
            if path.extension().is_some_and(|extension| extension == "yml") {
                let rules = fs::read_to_string(&path).expect("a file of rules");
                let rules = with_value(&edit(&rules), "interval", "1s");
                let copy = self.config.with_file_name(path.file_name().expect("a file has a name"));
                fs::write(&copy, rules).expect("a copy of rules");
                self.rules.push(copy.display().to_string());
            }
        }
        self.alertmanager = Some(alertmanager.address.clone());
        self.reload().await;
    }

    async fn reload(&self) {
        let mut config = self.base.clone();
        if !self.jobs.is_empty() {
            config.push_str(&format!("scrape_configs:\n{}", self.jobs));
        }
        if !self.rules.is_empty() {
            config.push_str(&format!("rule_files: {:?}\n", self.rules));
        }
        if let Some(target) = &self.alertmanager {
            config.push_str(&format!(
                "alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['{target}'] }}] }}] }}\n"
            ));
        }
        fs::write(&self.config, &config).expect("a configuration of Prometheus");
        self.ready().await;
        let answer = post(&format!("{}/-/reload", self.url)).await;
        assert_eq!(answer.status, 200, "{}\n{config}\n{}", answer.text, self.part.log());
    }

    /// Asks its API until the data is as wanted, for two minutes at most.
    pub async fn until(
        &self,
        path: &str,
        query: &[(&str, &str)],
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let url = format!("{}/api/v1/{path}", self.url);
        let answer = until(&url, query, |answer| is_wanted(&answer.json()["data"])).await;
        match answer {
            Ok(answer) => answer.json()["data"].take(),
            Err(last) => panic!("{url} {query:?}: {}\n{}", last.text, self.part.log()),
        }
    }

    /// Asks until the value of a query with one series is as wanted, for two minutes at most. Returns the value.
    pub async fn value(&self, query: &str, is_wanted: impl Fn(f64) -> bool) -> f64 {
        let value = |data: &Value| number(&data["result"][0]["value"][1]);
        let query = [("query", query)];
        let data = self.until("query", &query, |data| value(data).is_some_and(&is_wanted)).await;
        value(&data).expect("a value that was wanted")
    }

    /// Asks once.
    pub async fn query(&self, query: &str) -> Value {
        get(&format!("{}/api/v1/query", self.url), &[("query", query)]).await.json()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.config.parent().unwrap_or(Path::new("")));
    }
}

/// Returns a number that Prometheus gives as text.
pub fn number(value: &Value) -> Option<f64> {
    match value.as_str()? {
        "+Inf" => Some(f64::INFINITY),
        text => text.parse().ok(),
    }
}

/// Returns a YAML document in which a key has another value, wherever it is.
pub fn with_value(yaml: &str, key: &str, value: &str) -> String {
    let line = |line: &str| match line.split_once(key) {
        Some((indent, rest)) if indent.trim().is_empty() && rest.starts_with(": ") => {
            format!("{indent}{key}: {value}\n")
        }
        _ => format!("{line}\n"),
    };
    yaml.lines().map(line).collect()
}

/// Returns a YAML document without some of its sections.
fn without_sections(yaml: &str, names: &[&str]) -> String {
    let mut is_left_out = false;
    let mut kept = String::new();
    for line in yaml.lines() {
        if line.starts_with(|first: char| first.is_ascii_alphabetic()) {
            is_left_out = names.iter().any(|name| line.split(':').next() == Some(name));
        }
        if !is_left_out {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}
