//! Pipelines: exporters, and the processors and readers that feed them.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::{
    logs::LoggerProviderBuilder,
    metrics::{MeterProviderBuilder, PeriodicReader},
    trace::{SpanData, TracerProviderBuilder},
};
use tokio::{runtime::Handle, sync::watch};

use super::{
    batch_queue::BatchQueue,
    ledger::Ledger,
    notices::Route,
    otlp::{
        Batched, Core, ExportRequest, OtlpClient, OtlpMetricExporter, OtlpSender, Phase,
        ScopedRecord,
    },
    private_runtime::PrivateRuntime,
};
use crate::console::Console;
use crate::convention::emit;
use crate::exemplars::Exemplars;
use crate::setup::settings::{Batch, Destination, Exporter, Plan, SetupError, Signal};

/// State that the pipelines of all signals share.
pub(crate) struct Pipelines<'a> {
    pub(crate) plan: &'a Plan,
    /// Started by the first signal that is exported by OTLP.
    pub(crate) runtime: Option<PrivateRuntime>,
    pub(crate) ledgers: Vec<Arc<Ledger>>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) exemplars: Option<Exemplars>,
    /// The console of all signals.
    pub(crate) console: Option<Console>,
}

impl Pipelines<'_> {
    pub(crate) fn traces(
        &mut self,
        exporter: Exporter,
        builder: TracerProviderBuilder,
    ) -> Result<TracerProviderBuilder, SetupError> {
        Ok(match exporter {
            Exporter::Otlp => {
                let queue = self.queue::<SpanData>(Signal::Traces, &self.plan.spans)?;
                builder.with_span_processor(queue)
            }
            Exporter::Console => builder.with_span_processor(self.console()),
            Exporter::Prometheus | Exporter::None => builder,
        })
    }

    pub(crate) fn metrics(
        &mut self,
        exporter: Exporter,
        builder: MeterProviderBuilder,
    ) -> Result<MeterProviderBuilder, SetupError> {
        let interval = self.plan.metric_interval(exporter);
        Ok(match exporter {
            Exporter::Otlp => {
                let temporality = self.plan.temporality.unwrap_or_default();
                let route = Route {
                    limit: self.plan.metric_limit(temporality),
                    ..route(self.plan.destination(Signal::Metrics), Signal::Metrics)
                };
                let (runtime, sender) = self.open::<ExportMetricsServiceRequest>(route)?;
                let core = Core { sender: Arc::new(sender), runtime, own: None };
                let exemplars = self.exemplars.clone();
                let exporter = OtlpMetricExporter { core, temporality, exemplars };
                let reader = PeriodicReader::builder(exporter).with_interval(interval);
                builder.with_reader(reader.build())
            }
            Exporter::Console => {
                let reader = PeriodicReader::builder(self.console()).with_interval(interval);
                builder.with_reader(reader.build())
            }
            // `assemble` adds the reader of the pull endpoint.
            Exporter::Prometheus | Exporter::None => builder,
        })
    }

    pub(crate) fn logs(
        &mut self,
        exporter: Exporter,
        builder: LoggerProviderBuilder,
    ) -> Result<LoggerProviderBuilder, SetupError> {
        Ok(match exporter {
            Exporter::Otlp => {
                let queue = self.queue::<ScopedRecord>(Signal::Logs, &self.plan.log_records)?;
                builder.with_log_processor(queue)
            }
            Exporter::Console if !self.plan.shows_lines_in_traces() => {
                builder.with_log_processor(self.console())
            }
            Exporter::Console | Exporter::Prometheus | Exporter::None => builder,
        })
    }

    fn console(&mut self) -> Console {
        self.console.get_or_insert_with(|| Console::new(emit::scope())).clone()
    }

    fn queue<T: Batched>(
        &mut self,
        signal: Signal,
        batch: &Batch,
    ) -> Result<BatchQueue<T>, SetupError> {
        let route = Route {
            capacity: Some(batch.queue_size as u64),
            limit: batch.timeout,
            ..route(self.plan.destination(signal), signal)
        };
        let (runtime, sender) = self.open::<T::Request>(route)?;
        let resource = (&self.plan.resource).into();
        Ok(BatchQueue::start(batch, sender, resource, &runtime))
    }

    /// Returns the runtime and a new sender for a signal.
    fn open<R: ExportRequest>(&mut self, route: Route) -> Result<(Handle, OtlpSender), SetupError> {
        let runtime = match &mut self.runtime {
            Some(runtime) => runtime,
            none => none.insert(PrivateRuntime::start()?),
        };
        let destination = self.plan.destination(route.signal);
        let sender = sender::<R>(destination, route, self.phase.clone());
        self.ledgers.push(Arc::clone(&sender.ledger));
        Ok((runtime.handle(), sender))
    }
}

/// Returns a sender with a ledger of its own.
pub(super) fn sender<R: ExportRequest>(
    destination: &Destination,
    route: Route,
    phase: watch::Receiver<Phase>,
) -> OtlpSender {
    OtlpSender {
        client: OtlpClient::new::<R>(destination),
        limit: route.limit,
        ledger: Arc::new(Ledger::new(route)),
        phase,
    }
}

/// Returns the route to a destination, without a queue and without a limit.
pub(super) fn route(destination: &Destination, signal: Signal) -> Route {
    Route {
        signal,
        url: destination.shown_url(),
        capacity: None,
        limit: None,
        component: destination.component(signal),
        address: destination.host().to_owned(),
        port: destination.port(),
    }
}
