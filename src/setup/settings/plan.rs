//! The plan: all settings, checked, before anything is started.

use std::time::Duration;

use opentelemetry_sdk::{
    Resource,
    metrics::Temporality,
    trace::{Sampler, SpanLimits},
};

use super::{
    Exporter, SetupError, Signal, TelemetryBuilder,
    batch::Batch,
    destination::{self, Destination, Sources},
    environment::Environment,
    exemplar_filter,
    propagators::Propagator,
    resource, sampler,
    signal::BySignal,
    specification,
};
#[cfg(feature = "logs")]
use crate::logs::{Levels, LogLevel, LogLines};

pub(crate) struct Plan {
    pub(crate) is_disabled: bool,
    pub(crate) resource: Resource,
    /// The sampler of the environment.
    pub(crate) sampler: Option<Sampler>,
    /// The propagator of the environment.
    pub(crate) propagator: Option<Propagator>,
    pub(crate) limits: SpanLimits,
    pub(crate) exporters: BySignal<Vec<Exporter>>,
    /// A signal that is exported by OTLP has a destination. Others may have one.
    destinations: BySignal<Option<Destination>>,
    pub(crate) spans: Batch,
    pub(crate) log_records: Batch,
    /// The interval that was asked for.
    metric_interval: Option<Duration>,
    metric_timeout: Option<Duration>,
    /// The temporality of the environment.
    pub(crate) temporality: Option<Temporality>,
    pub(crate) has_exemplars: bool,
    #[cfg(feature = "logs")]
    pub(crate) log_lines: Option<LogLines>,
    /// The runtime whose metrics are reported.
    #[cfg(feature = "tokio")]
    pub(crate) runtime: Option<tokio::runtime::Handle>,
    pub(crate) warnings: Vec<String>,
}

impl Plan {
    pub(crate) fn new(builder: &TelemetryBuilder) -> Result<Self, SetupError> {
        builder.views.check()?;
        if builder.metric_interval.is_some_and(|interval| interval.is_zero()) {
            let reason = "expected an interval longer than zero";
            return Err(SetupError::setting("with_metric_interval", reason));
        }
        let environment = Environment::new(&builder.variables, builder.is_strict);
        let is_disabled = environment.boolean("OTEL_SDK_DISABLED")? == Some(true);
        let propagator = Propagator::named(&environment)?;
        #[cfg(feature = "logs")]
        let log_lines = log_lines(builder, &environment)?;
        // A setting that is invalid may be the reason for switching telemetry off.
        let environment = if is_disabled { environment.ignored() } else { environment };
        specification::check_names(&environment)?;
        let mut exporters = BySignal::try_new(|signal| match is_disabled {
            true => Ok(Vec::new()),
            false => exporters(builder, &environment, signal),
        })?;
        // The settings of OTLP are checked for other exporters too: a first run prints to the
        // console.
        let destinations = BySignal::try_new(|signal| {
            let own = builder.signal_otlp.get(signal);
            let general = &builder.otlp;
            let sources = Sources { signal, environment: &environment, own, general };
            if is_disabled { Ok(None) } else { sources.destination() }
        })?;
        #[cfg(feature = "logs")]
        let log_lines = log_lines.map(|lines| lines.chosen(has_console(&exporters)));
        for signal in Signal::ALL {
            let exporters = exporters.get_mut(signal);
            if let Some(destination) = destinations.get(signal) {
                if exporters.contains(&Exporter::Otlp) {
                    specification::check_proxies(&environment);
                    destination.notices.iter().for_each(|text| environment.warn(text.clone()));
                }
            } else {
                exporters.retain(|exporter| *exporter != Exporter::Otlp);
            }
        }
        Ok(Self {
            is_disabled,
            resource: resource::resource(&environment, builder)?,
            sampler: sampler::sampler(&environment)?,
            propagator,
            limits: span_limits(&environment)?,
            exporters,
            destinations,
            spans: Batch::spans(&environment)?,
            log_records: Batch::log_records(&environment)?,
            // Zero would export without a pause.
            metric_interval: environment
                .duration("OTEL_METRIC_EXPORT_INTERVAL", 1)?
                .or(builder.metric_interval),
            metric_timeout: environment.timeout("OTEL_METRIC_EXPORT_TIMEOUT")?,
            temporality: destination::temporality(&environment)?,
            has_exemplars: exemplar_filter::has_exemplars(&environment)?,
            #[cfg(feature = "logs")]
            log_lines,
            #[cfg(feature = "tokio")]
            runtime: runtime(builder)?,
            warnings: environment.into_warnings(),
        })
    }

    /// Returns how often an exporter gets metrics.
    pub(crate) fn metric_interval(&self, exporter: Exporter) -> Duration {
        self.metric_interval.unwrap_or(match exporter {
            Exporter::Console => DEFAULT_CONSOLE_INTERVAL,
            _ => DEFAULT_METRIC_INTERVAL,
        })
    }

    /// Returns the time for which an export of metrics is retried.
    ///
    /// A failed export loses nothing if metrics are cumulative, because the next one contains its
    /// measurements, too. Deltas are retried until they are delivered: the reader does not collect
    /// meanwhile, so the measurements stay in the SDK.
    pub(crate) fn metric_limit(&self, temporality: Temporality) -> Option<Duration> {
        let default = (temporality == Temporality::Cumulative).then_some(DEFAULT_METRIC_TIMEOUT);
        self.metric_timeout.or(default)
    }

    /// Returns true if log lines are shown within the traces on the console.
    pub(crate) fn shows_lines_in_traces(&self) -> bool {
        #[cfg(feature = "logs")]
        let are_pretty = self.log_lines.as_ref().is_some_and(LogLines::are_pretty);
        #[cfg(not(feature = "logs"))]
        let are_pretty = false;
        are_pretty && has_console(&self.exporters)
    }

    pub(crate) fn destination_of(&self, signal: Signal) -> Option<&Destination> {
        self.destinations.get(signal).as_ref()
    }

    pub(crate) fn destination(&self, signal: Signal) -> &Destination {
        self.destination_of(signal).expect("a signal that is exported by OTLP has a destination")
    }
}

fn has_console(exporters: &BySignal<Vec<Exporter>>) -> bool {
    exporters.get(Signal::Traces).contains(&Exporter::Console)
}

fn exporters(
    builder: &TelemetryBuilder,
    environment: &Environment<'_>,
    signal: Signal,
) -> Result<Vec<Exporter>, SetupError> {
    let name = format!("OTEL_{}_EXPORTER", signal.in_variables());
    let named = environment.list(&name, Exporter::choices(signal), Exporter::None)?;
    let mut in_code = builder.exporters.get(signal).iter().flatten();
    if let Some(reason) = in_code.find_map(|exporter| exporter.obstacle(signal)) {
        return Err(SetupError::setting("with_exporters", reason));
    }
    if let Some(exporters) = named.or_else(|| builder.exporters.get(signal).clone()) {
        return Ok(exporters);
    }
    let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.in_variables());
    let has_endpoint =
        environment.is_set(&own) || environment.is_set("OTEL_EXPORTER_OTLP_ENDPOINT");
    Ok(vec![match builder.console_by_default && !has_endpoint {
        #[cfg(feature = "logs")]
        true if signal == Signal::Logs && builder.log_lines.is_some() => Exporter::None,
        true => Exporter::Console,
        false => Exporter::Otlp,
    }])
}

#[cfg(feature = "logs")]
fn log_lines(
    builder: &TelemetryBuilder,
    environment: &Environment<'_>,
) -> Result<Option<LogLines>, SetupError> {
    let Some(format) = builder.log_lines.clone() else { return Ok(None) };
    let directives = environment.text("RUST_LOG")?.unwrap_or_default();
    let levels = Levels::new(&directives);
    match levels.rejected() {
        // Otherwise the lines report what they ignore.
        [first, ..] if builder.is_strict => Err(SetupError::variable("RUST_LOG", first.clone())),
        _ => Ok(Some(LogLines::new(format, LogLevel::new(levels), builder.baggage.clone()))),
    }
}

#[cfg(feature = "tokio")]
fn runtime(builder: &TelemetryBuilder) -> Result<Option<tokio::runtime::Handle>, SetupError> {
    let runtime = builder.has_runtime_metrics.then(tokio::runtime::Handle::try_current);
    runtime.transpose().map_err(|_| SetupError::setting("with_runtime_metrics", NO_RUNTIME))
}

fn span_limits(environment: &Environment<'_>) -> Result<SpanLimits, SetupError> {
    let mut limits = SpanLimits::default();
    for (name, limit) in [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_span),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", &mut limits.max_events_per_span),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", &mut limits.max_links_per_span),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_event),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_link),
    ] {
        let parse = |value: &str| value.parse().ok();
        if let Some(value) = environment.read(name, "a whole number from 0", parse)? {
            *limit = value;
        }
    }
    Ok(limits)
}

#[cfg(feature = "tokio")]
const NO_RUNTIME: &str = "`build` was called outside of a tokio runtime. Call it inside, as in \
    `#[tokio::main]`, or give the runtime's handle to `resources::runtime`";

const DEFAULT_METRIC_INTERVAL: Duration = Duration::from_secs(60);

/// A person waits for the table.
const DEFAULT_CONSOLE_INTERVAL: Duration = Duration::from_secs(5);

/// The specification's.
const DEFAULT_METRIC_TIMEOUT: Duration = Duration::from_secs(30);
