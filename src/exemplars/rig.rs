//! A real SDK to export exemplars from, for tests.

use std::{fmt::Write, time::SystemTime};

use opentelemetry::{
    KeyValue,
    metrics::MeterProvider,
    trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState},
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue as ProtoKeyValue, any_value},
    metrics::v1::{Exemplar, exemplar, metric::Data},
};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, InMemoryMetricExporterBuilder, Instrument, PeriodicReader,
    SdkMeterProvider, Stream, StreamBuilder, Temporality,
};

use super::{Exemplars, InstrumentExemplars, Measure, Sampled, annotate::annotate};
use crate::convention::{Side, emit, instruments};

/// A meter provider with some readers, and one histogram that records to it.
pub(super) struct Rig {
    provider: SdkMeterProvider,
    exporters: Vec<InMemoryMetricExporter>,
    pub(super) exemplars: Exemplars,
    pub(super) duration: Measure<f64>,
}

const BOUNDARIES: [f64; 3] = [0.01, 0.1, 1.0];

pub(super) type View = fn(StreamBuilder) -> StreamBuilder;

impl Rig {
    pub(super) fn new(view: View, readers: &[Temporality]) -> Self {
        let view = move |instrument: &Instrument| {
            // A stream without any setting is the default.
            let stream = Stream::builder().with_name(instrument.name().to_owned());
            view(stream).build().ok()
        };
        let mut provider = SdkMeterProvider::builder().with_view(view);
        let mut exporters = Vec::new();
        for temporality in readers {
            let exporter =
                InMemoryMetricExporterBuilder::new().with_temporality(*temporality).build();
            provider = provider.with_reader(PeriodicReader::builder(exporter.clone()).build());
            exporters.push(exporter);
        }
        let (provider, exemplars) = (provider.build(), Exemplars::new());
        let meter = provider.meter_with_scope(emit::scope());
        let instrument = instruments::duration(Side::Server);
        let duration = Measure::new(instrument, &BOUNDARIES, Some(&exemplars), || {
            meter
                .f64_histogram(instrument.name)
                .with_unit(instrument.unit)
                .with_description(instrument.description)
                .with_boundaries(BOUNDARIES.to_vec())
                .build()
        });
        Self { provider, exporters, exemplars, duration }
    }

    pub(super) fn offers(&self) -> &InstrumentExemplars {
        self.duration.exemplars.as_ref().unwrap()
    }

    /// Records a value in the sampled trace of this number.
    pub(super) fn record(&self, labels: &[(&'static str, &'static str)], seconds: f64, trace: u64) {
        let labels = labels.iter().map(|(key, value)| KeyValue::new(*key, *value));
        let labels: Vec<_> = labels.collect();
        self.duration.histogram.record(seconds, &labels);
        self.offers().offer_uncached(&labels, seconds, &sampled(trace, SystemTime::now()));
    }

    /// Collects, and returns what each reader exports.
    pub(super) fn collect(&self) -> Vec<ExportMetricsServiceRequest> {
        self.exporters.iter().for_each(InMemoryMetricExporter::reset);
        self.provider.force_flush().unwrap();
        let last = |exporter: &InMemoryMetricExporter| {
            let metrics = exporter.get_finished_metrics().unwrap();
            metrics.last().map(ExportMetricsServiceRequest::from).unwrap_or_default()
        };
        self.exporters.iter().map(last).collect()
    }

    /// Collects, annotates, and returns what each reader shows.
    pub(super) fn shown(&self) -> Vec<String> {
        let annotated = self.collect().into_iter().map(|mut request| {
            annotate(&self.exemplars, &mut request);
            text(&request)
        });
        annotated.collect()
    }
}

pub(super) fn sampled(trace: u64, time: SystemTime) -> Sampled {
    let span = SpanContext::new(
        TraceId::from(u128::from(trace)),
        SpanId::from(100 + trace),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    Sampled::of(&span, || time).unwrap()
}

/// Returns a line for each data point that has exemplars: its attributes, and value, trace and filtered
/// attributes of each exemplar.
pub(super) fn text(request: &ExportMetricsServiceRequest) -> String {
    let mut lines = Vec::new();
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    for metric in scopes.flat_map(|scope| &scope.metrics) {
        let mut push = |attributes: &[ProtoKeyValue], exemplars: &[Exemplar]| {
            if !exemplars.is_empty() {
                let exemplars: Vec<_> = exemplars.iter().map(exemplar).collect();
                lines.push(format!("{}: {}", list(attributes), exemplars.join(" ")));
            }
        };
        match metric.data.as_ref().unwrap() {
            Data::Histogram(data) => {
                for point in &data.data_points {
                    push(&point.attributes, &point.exemplars);
                }
            }
            Data::ExponentialHistogram(data) => {
                for point in &data.data_points {
                    push(&point.attributes, &point.exemplars);
                }
            }
            data => panic!("an unexpected kind of data: {data:?}"),
        }
    }
    lines.sort();
    lines.join("; ")
}

fn exemplar(exemplar: &Exemplar) -> String {
    let Some(exemplar::Value::AsDouble(value)) = exemplar.value else {
        panic!("a value: {exemplar:?}")
    };
    let trace = u128::from_be_bytes(exemplar.trace_id.as_slice().try_into().unwrap());
    let span = u64::from_be_bytes(exemplar.span_id.as_slice().try_into().unwrap());
    assert_eq!(u128::from(span), 100 + trace);
    let mut text = format!("{value}@{trace}");
    if !exemplar.filtered_attributes.is_empty() {
        write!(text, "[{}]", list(&exemplar.filtered_attributes)).unwrap();
    }
    text
}

fn list(attributes: &[ProtoKeyValue]) -> String {
    let mut list: Vec<_> = attributes
        .iter()
        .map(|attribute| {
            let value = attribute.value.as_ref().unwrap().value.as_ref().unwrap();
            match value {
                any_value::Value::StringValue(text) => format!("{}={text}", attribute.key),
                value => format!("{}={value:?}", attribute.key),
            }
        })
        .collect();
    list.sort();
    list.join(",")
}
