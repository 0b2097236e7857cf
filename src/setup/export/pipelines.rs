//! Pipelines: exporters, and the processors and readers that feed them.

use std::sync::Arc;

use opentelemetry_sdk::{
    logs::{self, BatchLogProcessor, LoggerProviderBuilder},
    metrics::{MeterProviderBuilder, PeriodicReader},
    trace::{self, BatchSpanProcessor, TracerProviderBuilder},
};
use tokio::{runtime::Handle, sync::watch};

use super::{
    console::Console,
    delivery::{Counted, Followed},
    ledger::Ledger,
    transport::{PrivateRuntime, Transport},
};
use crate::setup::settings::{Batch, Exporter, Plan, SetupError, Signal};

/// State that the pipelines of all signals share.
pub(crate) struct Pipelines<'a> {
    pub(crate) plan: &'a Plan,
    /// Started by the first signal that is exported by OTLP.
    pub(crate) runtime: Option<PrivateRuntime>,
    pub(crate) ledgers: Vec<Arc<Ledger>>,
    pub(crate) abandoned: watch::Receiver<bool>,
}

impl Pipelines<'_> {
    pub(crate) fn traces(
        &mut self,
        exporter: Exporter,
        builder: TracerProviderBuilder,
    ) -> Result<TracerProviderBuilder, SetupError> {
        Ok(match exporter {
            Exporter::Otlp => {
                let Batch { delay, queue_size, batch_size, timeout } = self.plan.spans;
                let (runtime, ledger) = self.open(Signal::Traces, queue_size)?;
                let exporter = {
                    let _entered = runtime.enter();
                    Transport {
                        destination: self.plan.destination(Signal::Traces),
                        batch_timeout: timeout,
                    }
                    .spans()?
                };
                let config = trace::BatchConfigBuilder::default()
                    .with_max_queue_size(queue_size)
                    .with_max_export_batch_size(batch_size)
                    .with_scheduled_delay(delay);
                let exporter = Followed { exporter, runtime, ledger: Arc::clone(&ledger) };
                let processor = BatchSpanProcessor::new(exporter, config.build());
                builder.with_span_processor(Counted { processor, ledger })
            }
            Exporter::Console => builder.with_span_processor(Console),
            Exporter::Prometheus | Exporter::None => builder,
        })
    }

    pub(crate) fn metrics(
        &mut self,
        exporter: Exporter,
        builder: MeterProviderBuilder,
    ) -> Result<MeterProviderBuilder, SetupError> {
        let interval = self.plan.metric_interval;
        Ok(match exporter {
            Exporter::Otlp => {
                let (runtime, ledger) = self.open(Signal::Metrics, usize::MAX)?;
                let exporter = {
                    let _entered = runtime.enter();
                    let destination = self.plan.destination(Signal::Metrics);
                    Transport { destination, batch_timeout: self.plan.metric_timeout }
                        .metrics(self.plan.temporality)?
                };
                let exporter = Followed { exporter, runtime, ledger };
                let reader = PeriodicReader::builder(exporter).with_interval(interval);
                builder.with_reader(reader.build())
            }
            Exporter::Console => {
                let reader = PeriodicReader::builder(Console).with_interval(interval);
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
                let Batch { delay, queue_size, batch_size, timeout } = self.plan.log_records;
                let (runtime, ledger) = self.open(Signal::Logs, queue_size)?;
                let exporter = {
                    let _entered = runtime.enter();
                    Transport {
                        destination: self.plan.destination(Signal::Logs),
                        batch_timeout: timeout,
                    }
                    .logs()?
                };
                let config = logs::BatchConfigBuilder::default()
                    .with_max_queue_size(queue_size)
                    .with_max_export_batch_size(batch_size)
                    .with_scheduled_delay(delay);
                let exporter = Followed { exporter, runtime, ledger: Arc::clone(&ledger) };
                let processor =
                    BatchLogProcessor::builder(exporter).with_batch_config(config.build()).build();
                builder.with_log_processor(Counted { processor, ledger })
            }
            Exporter::Console => builder.with_log_processor(Console),
            Exporter::Prometheus | Exporter::None => builder,
        })
    }

    /// Returns the runtime and a new ledger for a signal.
    fn open(&mut self, signal: Signal, queue: usize) -> Result<(Handle, Arc<Ledger>), SetupError> {
        let runtime = match &mut self.runtime {
            Some(runtime) => runtime,
            none => none.insert(PrivateRuntime::start()?),
        };
        let place = self.plan.destination(signal).place();
        let ledger = Ledger::new(signal, place, queue, self.abandoned.clone());
        let ledger = Arc::new(ledger);
        self.ledgers.push(Arc::clone(&ledger));
        Ok((runtime.handle(), ledger))
    }
}
