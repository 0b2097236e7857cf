//! Providers in memory, and the exemplars of the pull endpoint.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Once};

use axum::{
    Router,
    body::Body,
    routing::{any, get},
};
use futures_util::FutureExt;
use http::Request;
use http_body_util::BodyExt;
use opentelemetry_sdk::{
    metrics::{MeterProviderBuilder, SdkMeterProvider},
    trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData},
};
use tower::{Service, ServiceExt};
use tower_telemetry::{
    Convention, Exemplars, Server, TelemetryLayer,
    propagation::W3c,
    pull::{MetricsService, PullReader},
};

/// Providers of one's own, with a handle for exemplars.
pub(crate) struct Rig {
    pub(crate) tracers: SdkTracerProvider,
    pub(crate) meters: SdkMeterProvider,
    pub(crate) exemplars: Exemplars,
    pub(crate) endpoint: MetricsService,
    spans: InMemorySpanExporter,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)), |provider| provider)
    }

    pub(crate) fn with(
        sampler: Sampler,
        configure: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder,
    ) -> Self {
        let exemplars = Exemplars::new();
        let reader = PullReader::builder().with_exemplars(&exemplars).build();
        let endpoint = reader.service();
        let spans = InMemorySpanExporter::default();
        let tracers = SdkTracerProvider::builder().with_sampler(sampler);
        let meters = SdkMeterProvider::builder().with_reader(reader);
        Self {
            tracers: tracers.with_simple_exporter(spans.clone()).build(),
            meters: configure(meters).build(),
            exemplars,
            endpoint,
            spans,
        }
    }

    /// A server's layer for the three signals.
    pub(crate) fn layer(&self, convention: Convention<Server>) -> TelemetryLayer {
        TelemetryLayer::new(convention)
            .with_propagator(W3c::new())
            .with_tracer_provider(&self.tracers)
            .with_meter_provider(&self.meters)
            .with_exemplars(&self.exemplars)
    }

    pub(crate) fn spans(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().unwrap()
    }

    pub(crate) fn shown(&self) -> Vec<Shown> {
        shown(&scrape(&self.endpoint, OPEN_METRICS))
    }

    /// Checks that each exemplar is of a span that was exported, and returns the metrics that have some.
    #[track_caller]
    pub(crate) fn metrics_with_exemplars_of_spans(&self) -> Vec<String> {
        let spans: Vec<_> =
            self.spans().iter().map(|span| ids(span.span_context.clone())).collect();
        let shown = self.shown();
        for exemplar in &shown {
            assert!(spans.contains(&exemplar.ids()), "{exemplar:?} is of none of {spans:?}");
        }
        let mut metrics: Vec<_> = shown.into_iter().map(|exemplar| exemplar.metric).collect();
        metrics.dedup();
        metrics
    }
}

pub(crate) fn ids(span: opentelemetry::trace::SpanContext) -> (String, String) {
    (span.trace_id().to_string(), span.span_id().to_string())
}

pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text";

pub(crate) fn scrape(endpoint: &MetricsService, accept: &str) -> String {
    let request = Request::get("/metrics").header("accept", accept).body(()).unwrap();
    let response = endpoint.clone().call(request).now_or_never().unwrap().unwrap();
    let body = response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// A router whose paths decide the outcome: `/panic`, `/never`, and any other.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/panic", get(panics))
        .route("/never", get(std::future::pending::<()>))
        .route("/{*path}", any(|| async { "hello" }))
}

async fn panics() -> &'static str {
    panic!("{EXPECTED_PANIC}")
}

/// Sends a request. An exchange that does not end at once is dropped, and a panic is caught.
pub(crate) fn send(router: &Router, request: Request<Body>) {
    expect_panics();
    let exchange = async {
        let Ok(response) = router.clone().oneshot(request).await;
        response.into_body().collect().await.unwrap();
    };
    let _ = std::panic::catch_unwind(AssertUnwindSafe(|| exchange.now_or_never()));
}

pub(crate) fn get_path(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

const EXPECTED_PANIC: &str = "this panic is expected";

/// Keeps expected panics out of the output.
fn expect_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<String>().map(String::as_str);
            if text != Some(EXPECTED_PANIC) {
                hook(info);
            }
        }));
    });
}

/// An exemplar as the endpoint shows it, with the bucket that it is on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    /// Without `_bucket`.
    pub(crate) metric: String,
    /// The labels of the series, without `le`.
    pub(crate) series: BTreeMap<String, String>,
    pub(crate) le: String,
    /// The labels of the exemplar.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
    pub(crate) time: f64,
}

impl Shown {
    pub(crate) fn ids(&self) -> (String, String) {
        (self.labels["trace_id"].clone(), self.labels["span_id"].clone())
    }

    /// The labels beside the ids: attributes that a view has dropped.
    pub(crate) fn filtered(&self) -> Vec<(&str, &str)> {
        let is_id = |name: &&String| ["trace_id", "span_id"].contains(&name.as_str());
        let labels = self.labels.iter().filter(|(name, _)| !is_id(name));
        labels.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// Reads the exemplars of an answer. Checks that each is on a bucket of its value that is not empty.
pub(crate) fn shown(answer: &str) -> Vec<Shown> {
    assert!(answer.ends_with("# EOF\n"), "{answer}");
    let mut all = Vec::new();
    // The bucket of the line before: its series, its boundary and its count.
    let mut previous = (String::new(), f64::NEG_INFINITY, 0.0);
    for line in answer.lines().filter(|line| !line.starts_with('#')) {
        let Some((metric, rest)) = line.split_once("_bucket{") else {
            assert!(!line.contains(" # "), "only buckets have exemplars: {line}");
            continue;
        };
        let (sample, exemplar) = match rest.split_once(" # {") {
            Some((sample, exemplar)) => (sample, Some(exemplar)),
            None => (rest, None),
        };
        let (labels, count) = sample.rsplit_once("} ").unwrap();
        let mut series = pairs(labels);
        let le = series.remove("le").unwrap();
        let (bound, count): (f64, f64) = (le.parse().unwrap(), count.parse().unwrap());
        let name = format!("{metric}{series:?}");
        if previous.0 != name {
            previous = (name.clone(), f64::NEG_INFINITY, 0.0);
        }
        if let Some((labels, numbers)) = exemplar.map(|text| text.rsplit_once("} ").unwrap()) {
            let (value, time) = numbers.split_once(' ').unwrap();
            let (value, time): (f64, f64) = (value.parse().unwrap(), time.parse().unwrap());
            assert!(previous.1 < value && value <= bound, "the value is in the bucket: {line}");
            assert!(count > previous.2, "the bucket has a measurement: {line}");
            let labels = pairs(labels);
            let size =
                |(name, value): (&String, &String)| name.chars().count() + value.chars().count();
            assert!(labels.iter().map(size).sum::<usize>() <= 128, "{line}");
            all.push(Shown { metric: metric.to_owned(), series, le, labels, value, time });
        }
        previous = (name, bound, count);
    }
    all
}

/// Reads `a="1",b="2"`. No value of these tests has a quote.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split("\",").filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.trim_end_matches('"').split_once("=\"").unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}
