//! VictoriaLogs.

use serde_json::Value;

use crate::{
    Answer, Part,
    ask::until,
    part::{built, ports},
};

/// A VictoriaLogs.
pub struct VictoriaLogs {
    part: Part,
    /// The base of its URLs.
    pub url: String,
}

impl VictoriaLogs {
    pub fn start() -> Self {
        let [port] = ports();
        let listen = format!("-httpListenAddr=127.0.0.1:{port}");
        let arguments = [&*listen, "-storageDataPath={folder}/logs"];
        let part = Part::start(&built("victoria-logs"), &arguments, &[]);
        Self { part, url: format!("http://127.0.0.1:{port}") }
    }

    /// Returns the log lines of a query, as soon as they are as wanted: waits for two minutes at most.
    pub async fn lines(&self, query: &str, is_wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let url = format!("{}/select/logsql/query", self.url);
        // An answer has a JSON document per line.
        let lines = |text: &str| -> Vec<Value> {
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
        };
        let is_wanted = |answer: &Answer| answer.status == 200 && is_wanted(&lines(&answer.text));
        match until(&url, &[("query", query)], is_wanted).await {
            Ok(answer) => lines(&answer.text),
            Err(last) => {
                let (status, count) = (last.status, lines(&last.text).len());
                panic!("{query}: {status}, {count} lines\n{}", self.part.log())
            }
        }
    }
}
