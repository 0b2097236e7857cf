//! Shared test support: an SDK that exports to memory, scripted bodies, and telemetry as text that
//! can be compared.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    fmt::Write,
    io,
    pin::Pin,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::{
    KeyValue,
    propagation::TextMapCompositePropagator,
    trace::{SpanKind, Status},
};
use opentelemetry_sdk::{
    metrics::{
        InMemoryMetricExporter, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData},
    },
    propagation::{BaggagePropagator, TraceContextPropagator},
    trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData},
};
use tower_telemetry::{
    Client, Convention, ErrorKinds, MetricsLayer, MetricsObserver, PropagationLayer,
    PropagationObserver, Server, Side, SpanLayer, SpanObserver, TelemetryLayer, TelemetryObserver,
    observe::{ObserveLayer, Observer},
};

/// Returns all sets of error kinds that the features of this build offer.
fn error_kinds() -> Vec<ErrorKinds> {
    vec![
        #[cfg(feature = "axum")]
        ErrorKinds::AXUM,
        #[cfg(feature = "hyper")]
        ErrorKinds::HYPER,
        #[cfg(feature = "reqwest")]
        ErrorKinds::REQWEST,
        #[cfg(feature = "reqwest-middleware")]
        ErrorKinds::REQWEST_MIDDLEWARE,
        #[cfg(feature = "rustls")]
        ErrorKinds::RUSTLS,
        #[cfg(feature = "tonic")]
        ErrorKinds::TONIC,
        #[cfg(feature = "tower")]
        ErrorKinds::TOWER,
    ]
}

/// A convention of either side, for tests that run on both sides.
#[derive(Debug, Clone)]
pub(crate) enum AnyConvention {
    Server(Convention<Server>),
    Client(Convention<Client>),
}

impl AnyConvention {
    pub(crate) fn side(&self) -> Side {
        match self {
            Self::Server(_) => Side::Server,
            Self::Client(_) => Side::Client,
        }
    }

    pub(crate) fn layer<O: Observer + Default>(self) -> ObserveLayer<O> {
        match self {
            Self::Server(convention) => ObserveLayer::new(convention),
            Self::Client(convention) => ObserveLayer::new(convention),
        }
    }
}

impl From<Convention<Server>> for AnyConvention {
    fn from(convention: Convention<Server>) -> Self {
        Self::Server(convention)
    }
}

impl From<Convention<Client>> for AnyConvention {
    fn from(convention: Convention<Client>) -> Self {
        Self::Client(convention)
    }
}

/// The providers of one test, and the telemetry that they exported.
pub(crate) struct Telemetry {
    spans: InMemorySpanExporter,
    metrics: InMemoryMetricExporter,
    pub(crate) tracers: SdkTracerProvider,
    pub(crate) meters: SdkMeterProvider,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        Self::sampled(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
    }

    pub(crate) fn sampled(sampler: Sampler) -> Self {
        let spans = InMemorySpanExporter::default();
        let metrics = InMemoryMetricExporter::default();
        Self {
            tracers: SdkTracerProvider::builder()
                .with_sampler(sampler)
                .with_simple_exporter(spans.clone())
                .build(),
            meters: SdkMeterProvider::builder().with_periodic_exporter(metrics.clone()).build(),
            spans,
            metrics,
        }
    }

    pub(crate) fn stack(&self, convention: impl Into<AnyConvention>) -> TelemetryLayer {
        convention
            .into()
            .layer::<TelemetryObserver>()
            .with_error_kinds(error_kinds())
            .with_propagator(propagator())
            .with_tracer_provider(&self.tracers)
            .with_meter_provider(&self.meters)
            .with_body_sizes()
    }

    pub(crate) fn propagation(convention: impl Into<AnyConvention>) -> PropagationLayer {
        convention.into().layer::<PropagationObserver>().with_propagator(propagator())
    }

    pub(crate) fn span(&self, convention: impl Into<AnyConvention>) -> SpanLayer {
        convention
            .into()
            .layer::<SpanObserver>()
            .with_error_kinds(error_kinds())
            .with_tracer_provider(&self.tracers)
    }

    pub(crate) fn metrics(&self, convention: impl Into<AnyConvention>) -> MetricsLayer {
        convention
            .into()
            .layer::<MetricsObserver>()
            .with_error_kinds(error_kinds())
            .with_meter_provider(&self.meters)
            .with_body_sizes()
    }

    /// Returns the spans that have ended, in the order in which they ended.
    pub(crate) fn spans(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().unwrap()
    }

    /// Returns the only span of this kind.
    #[track_caller]
    pub(crate) fn span_of(&self, kind: SpanKind) -> SpanData {
        let mut spans: Vec<_> =
            self.spans().into_iter().filter(|span| span.span_kind == kind).collect();
        assert_eq!(spans.len(), 1, "expected one {kind:?} span: {spans:#?}");
        spans.remove(0)
    }

    /// Returns all points of all instruments.
    pub(crate) fn points(&self) -> Vec<Point> {
        self.metrics.reset();
        self.meters.force_flush().unwrap();
        let mut points = Vec::new();
        for resource in self.metrics.get_finished_metrics().unwrap() {
            for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
                let mut push = |labels, count, sum, bounds| {
                    let (name, unit) = (metric.name().to_owned(), metric.unit().to_owned());
                    let description = metric.description().to_owned();
                    points.push(Point { name, unit, description, labels, count, sum, bounds });
                };
                match metric.data() {
                    AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                        for p in histogram.data_points() {
                            let bounds = p.bounds().collect();
                            push(strings(p.attributes()), p.count(), p.sum(), bounds);
                        }
                    }
                    AggregatedMetrics::U64(MetricData::Histogram(histogram)) => {
                        for p in histogram.data_points() {
                            let bounds = p.bounds().collect();
                            push(strings(p.attributes()), p.count(), p.sum() as f64, bounds);
                        }
                    }
                    AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                        for p in sum.data_points() {
                            push(strings(p.attributes()), 1, p.value() as f64, Vec::new());
                        }
                    }
                    other => panic!("unexpected kind of instrument: {other:?}"),
                }
            }
        }
        points
    }

    /// Returns the points of the instruments whose names end in `name`.
    pub(crate) fn points_of(&self, name: &str) -> Vec<Point> {
        self.points().into_iter().filter(|point| point.name.ends_with(name)).collect()
    }

    #[track_caller]
    pub(crate) fn duration(&self) -> Point {
        let mut points = self.points_of("request.duration");
        assert_eq!(points.len(), 1, "expected one series of durations: {points:#?}");
        points.remove(0)
    }

    /// Returns the number of active requests, summed over all series.
    pub(crate) fn active(&self) -> i64 {
        let points = self.points_of("active_requests");
        points.iter().map(|point| point.sum as i64).sum()
    }

    /// Returns spans and series as text. It contains no ids and times, so that two runs can be
    /// compared.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut spans: Vec<_> = self.spans().iter().map(span_text).collect();
        spans.sort();
        text.extend(spans);
        let mut points: Vec<_> = self.points().iter().map(Point::text).collect();
        points.sort();
        text.extend(points);
        text
    }
}

/// One series of one instrument.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) description: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) bounds: Vec<f64>,
}

impl Point {
    fn text(&self) -> String {
        let Self { name, labels, count, sum, .. } = self;
        // Durations differ between runs.
        let sum = if self.unit == "s" { String::from("-") } else { sum.to_string() };
        let mut text = format!("metric {name} count={count} sum={sum}\n");
        for (key, value) in labels {
            writeln!(text, "    {key} = {value}").unwrap();
        }
        text
    }
}

fn span_text(span: &SpanData) -> String {
    let mut text = format!("span {:?} {:?}\n", span.span_kind, span.name);
    match &span.status {
        Status::Unset => {}
        status => writeln!(text, "    status = {status:?}").unwrap(),
    }
    for (key, value) in strings(span.attributes.iter()) {
        writeln!(text, "    {key} = {value}").unwrap();
    }
    if !span.links.links.is_empty() {
        writeln!(text, "    links = {}", span.links.links.len()).unwrap();
    }
    text
}

/// Returns attributes with their types, by key. Panics if a key occurs twice.
pub(crate) fn strings<'a>(
    attributes: impl Iterator<Item = &'a KeyValue>,
) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for KeyValue { key, value, .. } in attributes {
        let text = format!("{value:?}").replace("Static(", "(").replace("RefCounted(", "(");
        let text = text.replace("Owned(", "(");
        let earlier = map.insert(key.to_string(), text);
        assert!(earlier.is_none(), "{key} occurs twice");
    }
    map
}

/// Returns the value of a span's attribute as text.
pub(crate) fn attribute<'a>(span: &'a SpanData, key: &str) -> Option<std::borrow::Cow<'a, str>> {
    span.attributes.iter().find(|kv| kv.key.as_str() == key).map(|kv| kv.value.as_str())
}

pub(crate) fn propagator() -> TextMapCompositePropagator {
    TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ])
}

/// Returns the duration of a span in seconds.
pub(crate) fn seconds(span: &SpanData) -> f64 {
    span.end_time.duration_since(span.start_time).unwrap().as_secs_f64()
}

#[cfg(any(
    feature = "axum",
    feature = "tonic",
    all(feature = "reqwest-middleware", feature = "rustls")
))]
/// Waits until `condition` holds. Panics after 20 seconds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "{what} did not happen");
}

/// Silences the panics that tests cause on purpose.
pub(crate) fn expect_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.to_string().contains("overflow") {
                OVERFLOWS.fetch_add(1, Ordering::Relaxed);
            }
            if info.payload().downcast_ref::<&str>() != Some(&EXPECTED_PANIC) {
                print(info);
            }
        }));
    });
}

/// The number of arithmetic overflows that panicked, even if the panic was caught.
pub(crate) static OVERFLOWS: AtomicUsize = AtomicUsize::new(0);

pub(crate) const EXPECTED_PANIC: &str = "the test expects this panic";

/// The result of one poll of a [`Script`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Data(&'static str),
    Trailers,
    /// Trailers with this `grpc-status`.
    Status(&'static str),
    Error,
    Pending,
    Panic,
}

/// A response body that follows a script.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    pub(crate) steps: VecDeque<Step>,
    /// Makes `is_end_stream` true after the last step.
    pub(crate) knows_end: bool,
    /// Makes `size_hint` exact.
    pub(crate) knows_length: bool,
}

impl Script {
    pub(crate) fn new(steps: &[Step]) -> Self {
        Self { steps: steps.iter().copied().collect(), ..Self::default() }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(match self.steps.pop_front() {
            Some(Step::Data(data)) => Some(Ok(Frame::data(Bytes::from_static(data.as_bytes())))),
            Some(Step::Trailers) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-checksum", HeaderValue::from_static("1"));
                Some(Ok(Frame::trailers(trailers)))
            }
            Some(Step::Status(code)) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static(code));
                trailers.insert("grpc-message", HeaderValue::from_static("no%20such"));
                Some(Ok(Frame::trailers(trailers)))
            }
            Some(Step::Error) => Some(Err(io::ErrorKind::BrokenPipe.into())),
            Some(Step::Pending) => return Poll::Pending,
            Some(Step::Panic) => panic!("{EXPECTED_PANIC}"),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.knows_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.steps.iter().map(|step| match step {
            Step::Data(data) => data.len() as u64,
            _ => 0,
        });
        if self.knows_length { SizeHint::with_exact(length.sum()) } else { SizeHint::default() }
    }
}

/// A service that answers every request with `hello`.
pub(crate) async fn hello<B>(_: Request<B>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(String::from("hello")))
}

pub(crate) fn get(uri: &str) -> Request<String> {
    Request::get(uri).body(String::new()).unwrap()
}
