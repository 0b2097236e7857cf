//! Providers: those without export for measuring, and those that record the telemetry of a row.

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

/// The providers of all rows, and the subscriber of the rows that use `tracing`.
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
    /// Creates the SDK without export.
    pub fn silent() -> Self {
        Self::new(false)
    }

    /// Creates the SDK with export to memory.
    pub fn recording() -> Self {
        Self::new(true)
    }

    fn new(exports_spans: bool) -> Self {
        let spans = InMemorySpanExporter::default();
        let metrics = InMemoryMetricExporter::default();
        let older_metrics = older::InMemoryMetricExporter::default();
        let mut tracers = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
        if exports_spans {
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

    /// Installs the providers globally. Some crates use only the global ones.
    pub fn install(&self) {
        global::set_tracer_provider(self.tracers.clone());
        global::set_meter_provider(self.meters.clone());
        global::set_text_map_propagator(TraceContextPropagator::new());
    }

    /// Returns the trace, the parent and the name of each exported span.
    pub fn spans(&self) -> Vec<(TraceId, SpanId, String)> {
        let spans = self.spans.get_finished_spans().expect("the spans were exported");
        let spans = spans.into_iter();
        let summaries =
            spans.map(|s| (s.span_context.trace_id(), s.parent_span_id, s.name.to_string()));
        summaries.collect()
    }

    /// Returns the instruments with a measurement.
    pub fn instruments(&self) -> BTreeSet<String> {
        self.meters.force_flush().expect("the metrics were exported");
        self.older_meters.force_flush().expect("the metrics were exported");
        let metrics = self.metrics.get_finished_metrics().expect("the metrics were exported");
        let older = self.older_metrics.get_finished_metrics().expect("the metrics were exported");
        let names = metrics.iter().flat_map(|all| all.scope_metrics());
        let names = names.flat_map(|scope| scope.metrics()).map(|metric| metric.name().to_owned());
        let older = older.iter().flat_map(|all| all.scope_metrics());
        let older = older.flat_map(|scope| scope.metrics()).map(|metric| metric.name().to_owned());
        names.chain(older).collect()
    }
}

const NEVER: Duration = Duration::from_secs(60 * 60 * 24);
