//! Providers: silent ones to time, and ones that keep what they are given to show what a row emits.

use std::{collections::BTreeSet, time::Duration};

use opentelemetry::{
    global,
    trace::{SpanId, TraceId, TracerProvider},
};
use opentelemetry_sdk::{
    metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider},
    propagation::TraceContextPropagator,
    trace::{InMemorySpanExporter, Sampler, SdkTracerProvider},
};
use opentelemetry_sdk_of_axum_otel_metrics::metrics as older;
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

/// The providers of all rows, and the subscriber of those that go through `tracing`.
pub struct Sdk {
    pub tracers: SdkTracerProvider,
    pub meters: SdkMeterProvider,
    pub older_meters: older::SdkMeterProvider,
    pub subscriber: Dispatch,
    spans: InMemorySpanExporter,
    metrics: InMemoryMetricExporter,
    older_metrics: older::InMemoryMetricExporter,
}

impl Sdk {
    /// The real SDK with exporting switched off.
    pub fn silent() -> Self {
        Self::new(false)
    }

    /// It keeps what it is given.
    pub fn keeping() -> Self {
        Self::new(true)
    }

    fn new(keeps_spans: bool) -> Self {
        let spans = InMemorySpanExporter::default();
        let metrics = InMemoryMetricExporter::default();
        let older_metrics = older::InMemoryMetricExporter::default();
        let mut tracers = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
        if keeps_spans {
            tracers = tracers.with_simple_exporter(spans.clone());
        }
        let tracers = tracers.build();
        let reader = PeriodicReader::builder(metrics.clone()).with_interval(NEVER).build();
        let older_reader =
            older::PeriodicReader::builder(older_metrics.clone()).with_interval(NEVER).build();
        let tracer = tracers.tracer("peers");
        let subscriber =
            tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
        Self {
            meters: SdkMeterProvider::builder().with_reader(reader).build(),
            older_meters: older::SdkMeterProvider::builder().with_reader(older_reader).build(),
            subscriber: Dispatch::new(subscriber),
            tracers,
            spans,
            metrics,
            older_metrics,
        }
    }

    /// Makes these the global ones, which some neighbours know alone.
    pub fn install(&self) {
        global::set_tracer_provider(self.tracers.clone());
        global::set_meter_provider(self.meters.clone());
        global::set_text_map_propagator(TraceContextPropagator::new());
    }

    /// The trace, the parent and the name of each span that was emitted.
    pub fn spans(&self) -> Vec<(TraceId, SpanId, String)> {
        let spans = self.spans.get_finished_spans().expect("the spans are there");
        let spans = spans.into_iter();
        let told = spans.map(|s| (s.span_context.trace_id(), s.parent_span_id, s.name.to_string()));
        told.collect()
    }

    /// The instruments that something was recorded with.
    pub fn instruments(&self) -> BTreeSet<String> {
        self.meters.force_flush().expect("the metrics are there");
        self.older_meters.force_flush().expect("the metrics are there");
        let metrics = self.metrics.get_finished_metrics().expect("the metrics are there");
        let older = self.older_metrics.get_finished_metrics().expect("the metrics are there");
        let names = metrics.iter().flat_map(|all| all.scope_metrics());
        let names = names.flat_map(|scope| scope.metrics()).map(|metric| metric.name().to_owned());
        let older = older.iter().flat_map(|all| all.scope_metrics());
        let older = older.flat_map(|scope| scope.metrics()).map(|metric| metric.name().to_owned());
        names.chain(older).collect()
    }
}

const NEVER: Duration = Duration::from_secs(60 * 60 * 24);
