//! Starts what the plan asks for, and installs it for the process.

#[cfg(feature = "logs")]
use std::time::SystemTime;
use std::{mem, sync::Arc};

#[cfg(feature = "logs")]
use opentelemetry::Key;
use opentelemetry::{global, metrics::MeterProvider};
use opentelemetry_sdk::{
    logs::SdkLoggerProvider,
    metrics::{Instrument, SdkMeterProvider, Temporality},
    trace::{Sampler, SdkTracerProvider},
};
use tokio::sync::watch;

use super::{
    exporter_metrics, ledger::Ledger, log_target::LogTarget, otlp::Phase, pipelines::Pipelines,
    private_runtime::PrivateRuntime,
};
#[cfg(feature = "logs")]
use crate::console::{Console, Line};
use crate::convention::emit;
use crate::exemplars::{self, Exemplars};
#[cfg(feature = "logs")]
use crate::logs::{Levels, LogLevel, TakeLine};
#[cfg(feature = "prometheus")]
use crate::pull::{PullReader, PullReaderBuilder};
#[cfg(any(feature = "logs", feature = "prometheus"))]
use crate::setup::settings::Exporter;
use crate::setup::settings::{Plan, Propagator, SetupError, Signal, TelemetryBuilder};
use crate::stdout::warn;
#[cfg(feature = "viewer")]
use crate::viewer::Viewer;

/// Running telemetry.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) tracers: SdkTracerProvider,
    pub(crate) meters: SdkMeterProvider,
    pub(crate) loggers: SdkLoggerProvider,
    pub(crate) ledgers: Vec<Arc<Ledger>>,
    pub(crate) metrics_are_deltas: bool,
    /// Tells the exporters that the shutdown begins, and that it gives up.
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) runtime: Option<PrivateRuntime>,
    /// Prints traces.
    #[cfg(feature = "logs")]
    console: Option<Console>,
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus: crate::pull::MetricsService,
    #[cfg(feature = "logs")]
    pub(crate) log_level: LogLevel,
    #[cfg(feature = "viewer")]
    pub(crate) viewer: crate::viewer::ViewerService,
}

pub(crate) fn assemble(mut builder: TelemetryBuilder) -> Result<Parts, SetupError> {
    let mut plan = Plan::new(&builder)?;
    let propagator = plan.propagator.take();
    let parts = parts(&plan, &mut builder)?;

    #[cfg(feature = "logs")]
    if let Some(lines) = plan.log_lines.take() {
        let is_exported = !plan.is_disabled && takes_log_records(&plan, &builder);
        let exported = is_exported.then_some(&parts.loggers);
        let service = plan.resource.get(&Key::from_static_str("service.name"));
        let lines = lines.with_service_name(service.map(|name| name.to_string()));
        let console = parts.console.clone().map(|console| -> TakeLine {
            Arc::new(move |span, text| {
                let (time, text) = (SystemTime::now(), text.to_owned());
                console.line(Line { span, time, text });
            })
        });
        lines
            .install(exported, console)
            .map_err(|_| SetupError::setting("with_log_lines", OCCUPIED))?;
    }
    if builder.is_global {
        if !plan.is_disabled {
            global::set_meter_provider(parts.meters.clone());
            global::set_tracer_provider(parts.tracers.clone());
        }
        propagator.or(builder.propagator).unwrap_or(Propagator::W3c).install();
    }
    for warning in &plan.warnings {
        warn(warning);
    }
    Ok(parts)
}

/// Returns true if somebody takes log records: an exporter, a processor of the user's or the viewer.
#[cfg(feature = "logs")]
fn takes_log_records(plan: &Plan, builder: &TelemetryBuilder) -> bool {
    #[cfg(feature = "viewer")]
    if builder.has_viewer {
        return true;
    }
    let mut exporters = plan.exporters.get(Signal::Logs).iter();
    builder.extensions.takes_log_records || exporters.any(|exporter| *exporter != Exporter::None)
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
    let exemplars = plan.has_exemplars.then(Exemplars::new);
    let announced = exemplars.clone();
    let mut meters = SdkMeterProvider::builder().with_resource(plan.resource.clone()).with_view(
        move |instrument: &Instrument| {
            // The SDK asks for the stream of each new instrument in the thread that creates it.
            announced.iter().for_each(exemplars::announce);
            views.stream(instrument)
        },
    );
    let mut loggers = SdkLoggerProvider::builder()
        .with_resource(plan.resource.clone())
        .with_log_processor(LogTarget);

    let (phase, phases) = watch::channel(Phase::Running);
    let mut pipelines = Pipelines {
        plan,
        runtime: None,
        ledgers: Vec::new(),
        phase: phases,
        exemplars,
        console: None,
    };
    #[cfg(feature = "prometheus")]
    let mut prometheus = crate::pull::MetricsService::default();
    #[cfg(feature = "viewer")]
    let mut viewer = crate::viewer::ViewerService::default();
    if !plan.is_disabled {
        // Before the exporters, so that these see the attributes that processors add.
        tracers = builder.extensions.tracers.apply(tracers);
        loggers = builder.extensions.loggers.apply(loggers);
        for exporter in plan.exporters.get(Signal::Metrics) {
            meters = pipelines.metrics(*exporter, meters)?;
        }
        for exporter in plan.exporters.get(Signal::Traces) {
            tracers = pipelines.traces(*exporter, tracers)?;
        }
        for exporter in plan.exporters.get(Signal::Logs) {
            loggers = pipelines.logs(*exporter, loggers)?;
        }
        #[cfg(feature = "viewer")]
        if builder.has_viewer {
            let own = Viewer::new(plan.resource.clone());
            tracers = tracers.with_span_processor(own.clone());
            loggers = loggers.with_log_processor(own.clone());
            meters = meters.with_reader(own.reader());
            viewer = own.service();
        }
        #[cfg(feature = "prometheus")]
        {
            let is_asked_for = plan.exporters.get(Signal::Metrics).contains(&Exporter::Prometheus);
            let reader = builder.pull_reader.take();
            let reader = reader.or_else(|| is_asked_for.then(PullReader::builder));
            let reader =
                reader.map(|reader| reader.with_default_exemplars(pipelines.exemplars.as_ref()));
            if let Some(reader) = reader.map(PullReaderBuilder::build) {
                prometheus = reader.service();
                meters = meters.with_reader(reader);
            }
        }
    }
    #[cfg(feature = "logs")]
    let console = pipelines.console.take().filter(|_| plan.shows_lines_in_traces());
    let Pipelines { runtime, ledgers, .. } = pipelines;
    if !plan.is_disabled {
        // Behind the exporters, which a reader that is slow to shut down must not delay.
        meters = builder.extensions.meters.apply(meters);
    }
    // The meters first, because the other providers measure themselves.
    let meters = meters.build();
    exporter_metrics::observe(&meters.meter_with_scope(emit::scope()), &ledgers);
    let parts = Parts {
        meters,
        tracers: tracers.build(),
        loggers: loggers.build(),
        ledgers,
        metrics_are_deltas: plan
            .temporality
            .is_some_and(|temporality| temporality != Temporality::Cumulative),
        phase,
        runtime,
        #[cfg(feature = "logs")]
        console,
        #[cfg(feature = "prometheus")]
        prometheus,
        #[cfg(feature = "logs")]
        log_level: match &plan.log_lines {
            Some(lines) => lines.level(),
            None => LogLevel::new(Levels::new("")),
        },
        #[cfg(feature = "viewer")]
        viewer,
    };
    if !plan.is_disabled {
        // They are reported for as long as the provider lives.
        #[cfg(feature = "process")]
        if builder.has_process_metrics {
            crate::resources::process(&parts.meters);
        }
        #[cfg(feature = "tokio")]
        if let Some(runtime) = &plan.runtime {
            crate::resources::runtime(&parts.meters, "main", runtime);
        }
    } else {
        // A provider that is shut down returns no-op tracers, meters and loggers.
        let _ = (parts.tracers.shutdown(), parts.meters.shutdown(), parts.loggers.shutdown());
    }
    Ok(parts)
}

/// Says what is in the way, and what to do.
#[cfg(feature = "logs")]
const OCCUPIED: &str = "a global subscriber of `tracing` is already installed, by an earlier `build` or \
    by other code. Call `build` with `with_log_lines` once per process, or add the layers of \
    `tower_telemetry::logs` to the subscriber that is installed";
