//! The plan carried out: what is started, and what is installed for the process.

use std::{mem, sync::Arc};

#[cfg(feature = "logs")]
use opentelemetry::Key;
use opentelemetry::global;
use opentelemetry_sdk::{
    logs::SdkLoggerProvider,
    metrics::{SdkMeterProvider, Temporality},
    trace::{Sampler, SdkTracerProvider},
};
use tokio::sync::watch;

#[cfg(any(feature = "logs", feature = "prometheus"))]
use super::Exporter;
use super::{
    SetupError, Signal, TelemetryBuilder, exports::Exports, ledger::Ledger, log_target::LogTarget,
    notice, plan::Plan, propagators::Propagator, transport::PrivateRuntime,
};
#[cfg(feature = "prometheus")]
use crate::pull::{PullReader, PullReaderBuilder};

/// What runs, until it is shut down.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) tracers: SdkTracerProvider,
    pub(super) meters: SdkMeterProvider,
    pub(super) loggers: SdkLoggerProvider,
    pub(super) ledgers: Vec<Arc<Ledger>>,
    pub(super) metrics_are_deltas: bool,
    /// Tells exports to wait no longer.
    pub(super) abandon: watch::Sender<bool>,
    pub(super) runtime: Option<PrivateRuntime>,
    #[cfg(feature = "prometheus")]
    pub(super) prometheus: crate::pull::MetricsService,
}

pub(super) fn assemble(mut builder: TelemetryBuilder) -> Result<Parts, SetupError> {
    let mut plan = Plan::new(&builder)?;
    let propagator = plan.propagator.take();
    let parts = parts(&plan, &mut builder)?;

    #[cfg(feature = "logs")]
    if let Some(lines) = plan.log_lines.take() {
        let is_exported = plan.exporters.get(Signal::Logs).iter().any(|e| *e != Exporter::None);
        let exported = (is_exported && !plan.disabled).then_some(&parts.loggers);
        let service = plan.resource.get(&Key::from_static_str("service.name"));
        let lines = lines.with_service_name(service.map(|name| name.to_string()));
        lines.install(exported).map_err(|error| SetupError::setting("with_log_lines", error))?;
    }
    if builder.global {
        if !plan.disabled {
            global::set_meter_provider(parts.meters.clone());
            global::set_tracer_provider(parts.tracers.clone());
        }
        propagator.or(builder.propagator).unwrap_or(Propagator::W3c).install();
    }
    for warning in &plan.warnings {
        notice::warn(warning);
    }
    Ok(parts)
}

fn parts(plan: &Plan, builder: &mut TelemetryBuilder) -> Result<Parts, SetupError> {
    let tracers = SdkTracerProvider::builder()
        .with_resource(plan.resource.clone())
        .with_span_limits(plan.limits);
    let mut tracers = match (&plan.sampler, builder.sampler.take()) {
        (Some(sampler), _) => tracers.with_sampler(sampler.clone()),
        (None, Some(sampler)) => tracers.with_sampler(sampler),
        (None, None) => tracers.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))),
    };
    let views = mem::take(&mut builder.views);
    let mut meters = SdkMeterProvider::builder()
        .with_resource(plan.resource.clone())
        .with_view(move |instrument| views.stream(instrument));
    let mut loggers = SdkLoggerProvider::builder()
        .with_resource(plan.resource.clone())
        .with_log_processor(LogTarget);

    let (abandon, abandoned) = watch::channel(false);
    let mut exports = Exports { plan, runtime: None, ledgers: Vec::new(), abandoned };
    #[cfg(feature = "prometheus")]
    let mut prometheus = crate::pull::MetricsService::default();
    if !plan.disabled {
        for exporter in plan.exporters.get(Signal::Metrics) {
            meters = exports.metrics(*exporter, meters)?;
        }
        for exporter in plan.exporters.get(Signal::Traces) {
            tracers = exports.traces(*exporter, tracers)?;
        }
        for exporter in plan.exporters.get(Signal::Logs) {
            loggers = exports.logs(*exporter, loggers)?;
        }
        #[cfg(feature = "prometheus")]
        {
            let is_asked_for = plan.exporters.get(Signal::Metrics).contains(&Exporter::Prometheus);
            let reader = builder.pull_reader.take();
            let reader = reader.or_else(|| is_asked_for.then(PullReader::builder));
            if let Some(reader) = reader.map(PullReaderBuilder::build) {
                prometheus = reader.service();
                meters = meters.with_reader(reader);
            }
        }
    }
    let Exports { runtime, ledgers, .. } = exports;
    // Metrics first, for what the other providers measure of themselves.
    let parts = Parts {
        meters: meters.build(),
        tracers: tracers.build(),
        loggers: loggers.build(),
        ledgers,
        metrics_are_deltas: plan.temporality != Temporality::Cumulative,
        abandon,
        runtime,
        #[cfg(feature = "prometheus")]
        prometheus,
    };
    if plan.disabled {
        // A provider that is shut down makes tracers, meters and loggers that do nothing.
        let _ = (parts.tracers.shutdown(), parts.meters.shutdown(), parts.loggers.shutdown());
    }
    Ok(parts)
}
