//! Requests to a process, and the answer of `/metrics`.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
};

/// Sends a request, and returns status and body.
pub(crate) fn request(url: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    // HTTP/1.0: the body ends with the connection.
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// The series of a process.
pub(crate) struct Metrics {
    series: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Metrics {
    pub(crate) fn of(url: &str) -> Self {
        let (status, body) = request(url, "GET", "/metrics", "");
        assert_eq!(status, 200, "{body}");
        let lines = body.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        Self { series: lines.map(series).collect() }
    }

    /// Returns the sum of the series of a name that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |of: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| of.get(*name).is_some_and(|v| v == value))
        };
        let series = self.series.iter().filter(|(of, labels, _)| of == name && has(labels));
        series.map(|(_, _, value)| value).sum()
    }

    /// Returns the numbers of calls that have ended and that have not.
    pub(crate) fn calls(&self) -> [f64; 3] {
        let names = [
            "http_server_request_duration_seconds_count",
            "rpc_server_call_duration_seconds_count",
            "http_server_active_requests",
        ];
        names.map(|name| self.sum(name, &[]))
    }

    /// Returns the sums of a counter by the values of these labels, joined by spaces. Series without
    /// measurements are omitted.
    pub(crate) fn by(&self, name: &str, labels: &[&str]) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for (_, of, value) in self.series.iter().filter(|(of, _, value)| of == name && *value > 0.0)
        {
            let values = labels.iter().map(|label| of.get(*label).map_or("-", String::as_str));
            *sums.entry(values.collect::<Vec<_>>().join(" ")).or_default() += *value as u64;
        }
        sums
    }

    /// Panics unless every series has these labels of the resource.
    pub(crate) fn assert_resource(&self, service: &str) {
        for (name, labels, _) in &self.series {
            assert_eq!(labels.get("service_name").map(String::as_str), Some(service), "{name}");
            for label in ["service_version", "service_instance_id", "deployment_environment_name"] {
                assert!(labels.contains_key(label), "{name} without {label}");
            }
        }
    }

    /// Panics unless there is a series of each of these names.
    pub(crate) fn assert_has(&self, names: &[&str]) {
        for name in names {
            assert!(self.series.iter().any(|(of, _, _)| of == name), "{name} is missing");
        }
    }
}

/// Parses a line. No value of the shop has a comma or a quotation mark.
fn series(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.trim_end_matches('}').split("\",").filter_map(|l| l.split_once("=\""));
    let labels =
        labels.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()));
    (name.to_owned(), labels.collect(), value.parse().unwrap())
}
