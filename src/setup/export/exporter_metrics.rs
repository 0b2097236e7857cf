//! Metrics of the exporters themselves: `otel.sdk.exporter.*` and `otel.sdk.processor.*`, so that the
//! pull endpoint shows that pushing fails.
//!
//! All but the duration of attempts are observed: a collection reads the ledgers. A signal has no series
//! before its first item, so a program that records nothing exports nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Histogram, Meter},
};

use super::{ledger::Ledger, notices::Route, otlp::ExportFailure};
use crate::{convention::names, setup::settings::Signal};

/// Creates the instruments of all exporters.
pub(super) fn observe(meter: &Meter, ledgers: &[Arc<Ledger>]) {
    let durations = meter
        .f64_histogram("otel.sdk.exporter.operation.duration")
        .with_unit("s")
        .with_description("Duration of attempts to export telemetry.")
        .with_boundaries(BOUNDARIES.to_vec())
        .build();
    for ledger in ledgers {
        // A ledger belongs to one provider.
        let _ = ledger.attempts.set(AttemptRecorder::new(durations.clone(), ledger.route()));
        let signal = &SIGNALS[ledger.signal() as usize];
        exported(meter, ledger, signal);
        if ledger.route().capacity.is_some() {
            queue(meter, ledger, signal);
        }
    }
}

fn exported(meter: &Meter, ledger: &Arc<Ledger>, signal: &SignalNames) {
    let of = Observed { meter, ledger, unit: signal.unit, attributes: destination(ledger.route()) };
    of.counter(
        signal.exported,
        "Items whose export has finished, successfully or not.",
        Ledger::delivered_items,
        Ledger::losses,
    );
    of.up_down(signal.in_flight, "Items that are being exported.", Ledger::in_flight);
}

fn queue(meter: &Meter, ledger: &Arc<Ledger>, signal: &SignalNames) {
    let attributes = vec![
        KeyValue::new(COMPONENT_TYPE, signal.processor),
        KeyValue::new(COMPONENT_NAME, format!("{}/0", signal.processor)),
    ];
    let of = Observed { meter, ledger, unit: signal.unit, attributes };
    of.counter(
        signal.processed,
        "Items that the queue passed on or dropped.",
        Ledger::departed,
        |ledger| {
            let full =
                (ledger.overflowed() > 0).then(|| ("queue_full".to_owned(), ledger.overflowed()));
            full.into_iter().collect()
        },
    );
    of.up_down(signal.queue_size, "Items that wait in the queue.", Ledger::queued);
    of.up_down(signal.queue_capacity, "Items that the queue can hold.", |ledger| {
        ledger.route().capacity.unwrap_or_default()
    });
}

/// A ledger whose numbers are observed with the same attributes.
struct Observed<'a> {
    meter: &'a Meter,
    ledger: &'a Arc<Ledger>,
    unit: &'static str,
    attributes: Vec<KeyValue>,
}

impl Observed<'_> {
    /// Observes successes, and failures by their `error.type`.
    fn counter(
        &self,
        name: &'static str,
        description: &'static str,
        succeeded: fn(&Ledger) -> u64,
        failed: fn(&Ledger) -> BTreeMap<String, u64>,
    ) {
        let (ledger, attributes) = (Arc::clone(self.ledger), self.attributes.clone());
        let counter = self.meter.u64_observable_counter(name).with_unit(self.unit);
        let observe = move |counter: &dyn AsyncInstrument<u64>| {
            if ledger.recorded() == 0 {
                return;
            }
            counter.observe(succeeded(&ledger), &attributes);
            for (kind, count) in failed(&ledger) {
                let kind = [KeyValue::new(names::ERROR_TYPE, kind)];
                counter.observe(count, &[&*attributes, &kind].concat());
            }
        };
        counter.with_description(description).with_callback(observe).build();
    }

    fn up_down(&self, name: &'static str, description: &'static str, value: fn(&Ledger) -> u64) {
        let (ledger, attributes) = (Arc::clone(self.ledger), self.attributes.clone());
        let counter = self.meter.i64_observable_up_down_counter(name).with_unit(self.unit);
        let observe = move |counter: &dyn AsyncInstrument<i64>| {
            if ledger.recorded() > 0 {
                counter.observe(i64::try_from(value(&ledger)).unwrap_or(i64::MAX), &attributes);
            }
        };
        counter.with_description(description).with_callback(observe).build();
    }
}

/// Records the durations of attempts.
#[derive(Debug)]
pub(crate) struct AttemptRecorder {
    durations: Histogram<f64>,
    attributes: Vec<KeyValue>,
}

impl AttemptRecorder {
    fn new(durations: Histogram<f64>, route: &Route) -> Self {
        Self { durations, attributes: destination(route) }
    }

    pub(super) fn record(&self, lasted: Duration, failure: Option<&ExportFailure>) {
        let mut attributes = self.attributes.clone();
        if let Some(failure) = failure {
            attributes.push(KeyValue::new(names::ERROR_TYPE, failure.kind()));
        }
        match failure {
            Some(ExportFailure::Http(status, _)) => {
                let status = i64::from(status.as_u16());
                attributes.push(KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, status));
            }
            Some(ExportFailure::Grpc(code, _)) => {
                attributes.push(KeyValue::new(names::RPC_STATUS_CODE, code.name()));
            }
            _ => {}
        }
        self.durations.record(lasted.as_secs_f64(), &attributes);
    }
}

fn destination(route: &Route) -> Vec<KeyValue> {
    vec![
        KeyValue::new(COMPONENT_TYPE, route.component.clone()),
        KeyValue::new(COMPONENT_NAME, format!("{}/0", route.component)),
        KeyValue::new(names::SERVER_ADDRESS, route.address.clone()),
        KeyValue::new(names::SERVER_PORT, i64::from(route.port)),
    ]
}

/// The names of one signal's metrics.
struct SignalNames {
    unit: &'static str,
    exported: &'static str,
    in_flight: &'static str,
    processor: &'static str,
    processed: &'static str,
    queue_size: &'static str,
    queue_capacity: &'static str,
}

/// In the order of [`Signal::ALL`].
const SIGNALS: [SignalNames; Signal::ALL.len()] = [
    SignalNames {
        unit: "{span}",
        exported: "otel.sdk.exporter.span.exported",
        in_flight: "otel.sdk.exporter.span.inflight",
        processor: "batching_span_processor",
        processed: "otel.sdk.processor.span.processed",
        queue_size: "otel.sdk.processor.span.queue.size",
        queue_capacity: "otel.sdk.processor.span.queue.capacity",
    },
    SignalNames {
        unit: "{data_point}",
        exported: "otel.sdk.exporter.metric_data_point.exported",
        in_flight: "otel.sdk.exporter.metric_data_point.inflight",
        // Metrics have no queue.
        processor: "",
        processed: "",
        queue_size: "",
        queue_capacity: "",
    },
    SignalNames {
        unit: "{log_record}",
        exported: "otel.sdk.exporter.log.exported",
        in_flight: "otel.sdk.exporter.log.inflight",
        processor: "batching_log_processor",
        processed: "otel.sdk.processor.log.processed",
        queue_size: "otel.sdk.processor.log.queue.size",
        queue_capacity: "otel.sdk.processor.log.queue.capacity",
    },
];

const COMPONENT_TYPE: &str = "otel.component.type";
const COMPONENT_NAME: &str = "otel.component.name";

/// Those of `http.client.request.duration`. The SDK's own are for milliseconds.
const BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
