//! Jaeger 2.

use serde_json::Value;

use crate::{
    Part, Span,
    ask::until,
    part::{built, file, ports},
    span::spans,
};

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

    /// Returns the spans of a trace, as soon as they are as wanted: waits for two minutes at most.
    pub async fn trace(&self, trace_id: &str, is_wanted: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let url = format!("{}/api/v3/traces/{trace_id}", self.url);
        self.until(&url, &[], is_wanted).await
    }

    /// Returns all spans of traces with a span of a service, as soon as they are as wanted.
    pub async fn search(&self, service: &str, is_wanted: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let url = format!("{}/api/v3/traces", self.url);
        let query = [
            ("query.service_name", service),
            ("query.start_time_min", "2020-01-01T00:00:00Z"),
            ("query.start_time_max", "2100-01-01T00:00:00Z"),
            ("query.num_traces", "99999"),
        ];
        self.until(&url, &query, is_wanted).await
    }

    async fn until(
        &self,
        url: &str,
        query: &[(&str, &str)],
        is_wanted: impl Fn(&[Span]) -> bool,
    ) -> Vec<Span> {
        let found = |document: Value| spans(&document["result"]);
        match until(url, query, |answer| is_wanted(&found(answer.json()))).await {
            Ok(answer) => found(answer.json()),
            Err(last) => {
                let spans = found(last.json());
                let (status, text) = (last.status, &last.text[..last.text.len().min(300)]);
                panic!("{url}: {status} {text}\n{} spans\n{}", spans.len(), self.part.log())
            }
        }
    }
}
