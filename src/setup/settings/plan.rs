//! All that is asked for, and all that can be wrong with it, before anything is started.

use std::time::Duration;

use opentelemetry_sdk::{
    Resource,
    metrics::Temporality,
    trace::{Sampler, SpanLimits},
};

use super::{
    Exporter, SetupError, Signal, TelemetryBuilder,
    batch::Batch,
    destination::{self, Destination},
    propagators::Propagator,
    resource, sampler,
    signal::BySignal,
    variables::Variables,
};

pub(crate) struct Plan {
    pub(crate) disabled: bool,
    pub(crate) resource: Resource,
    /// The sampler and the propagator that the environment names, if it names them.
    pub(crate) sampler: Option<Sampler>,
    pub(crate) propagator: Option<Propagator>,
    pub(crate) limits: SpanLimits,
    pub(crate) exporters: BySignal<Vec<Exporter>>,
    /// Of those signals that are exported by OTLP.
    destinations: BySignal<Option<Destination>>,
    pub(crate) spans: Batch,
    pub(crate) log_records: Batch,
    pub(crate) metric_interval: Duration,
    pub(crate) metric_patience: Duration,
    pub(crate) temporality: Temporality,
    #[cfg(feature = "logs")]
    pub(crate) log_lines: Option<crate::logs::LogLines>,
    /// What is likely a mistake.
    pub(crate) warnings: Vec<String>,
}

impl Plan {
    pub(crate) fn new(builder: &TelemetryBuilder) -> Result<Self, SetupError> {
        builder.views.check()?;
        let disabled = builder.variables.flag("OTEL_SDK_DISABLED")?;
        let propagator = Propagator::named(&builder.variables)?;
        // Who switches telemetry off may do so because of a setting, so none is read.
        let nothing = Variables::new(|_| None);
        let variables = if disabled { &nothing } else { &builder.variables };
        let exporters = BySignal::try_new(|signal| match disabled {
            true => Ok(Vec::new()),
            false => exporters(builder, signal),
        })?;
        let destinations = BySignal::try_new(|signal| {
            let is_used = exporters.get(signal).contains(&Exporter::Otlp);
            let own = builder.signal_otlp.get(signal);
            let new = || Destination::new(signal, variables, own, &builder.otlp);
            is_used.then(new).transpose()
        })?;
        let suspicion = |signal| destinations.get(signal).as_ref()?.suspicion(signal);
        let mut warnings = unsupported(variables);
        warnings.extend(Signal::ALL.into_iter().filter_map(suspicion));
        if builder.metric_interval.is_some_and(|interval| interval.is_zero()) {
            return Err(SetupError::setting(
                "with_metric_interval",
                "metrics can't be sent without a pause",
            ));
        }
        Ok(Self {
            disabled,
            resource: resource::resource(variables, &builder.attributes)?,
            sampler: sampler::sampler(variables)?,
            propagator,
            limits: span_limits(variables)?,
            exporters,
            destinations,
            spans: Batch::spans(variables)?,
            log_records: Batch::log_records(variables)?,
            metric_interval: variables
                .millis("OTEL_METRIC_EXPORT_INTERVAL")?
                .or(builder.metric_interval)
                .unwrap_or(DEFAULT_METRIC_INTERVAL),
            metric_patience: variables
                .millis("OTEL_METRIC_EXPORT_TIMEOUT")?
                .unwrap_or(DEFAULT_METRIC_PATIENCE),
            temporality: destination::temporality(variables)?,
            #[cfg(feature = "logs")]
            log_lines: log_lines(builder)?,
            warnings,
        })
    }

    pub(crate) fn destination(&self, signal: Signal) -> &Destination {
        let destination = self.destinations.get(signal).as_ref();
        destination.expect("a signal that is exported by OTLP has a destination")
    }
}

fn exporters(builder: &TelemetryBuilder, signal: Signal) -> Result<Vec<Exporter>, SetupError> {
    let variables = &builder.variables;
    let name = format!("OTEL_{}_EXPORTER", signal.in_variables());
    let choices = Exporter::choices(signal);
    if let Some(exporters) = variables.choices(&name, choices)? {
        let missing = exporters.iter().find_map(|exporter| exporter.missing(signal));
        return match missing {
            Some(reason) => {
                let value = variables.text(&name).unwrap_or_default();
                Err(SetupError::variable(&name, &value, format!("what is built in; {reason}")))
            }
            None => Ok(exporters),
        };
    }
    if let Some(exporters) = builder.exporters.get(signal) {
        return match exporters.iter().find_map(|exporter| exporter.missing(signal)) {
            Some(reason) => Err(SetupError::setting("with_exporters", reason)),
            None => Ok(exporters.clone()),
        };
    }
    let has_endpoint = [
        format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.in_variables()),
        "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
    ]
    .iter()
    .any(|name| variables.text(name).is_some());
    Ok(vec![match builder.console_by_default && !has_endpoint {
        #[cfg(feature = "logs")]
        true if signal == Signal::Logs && builder.log_lines.is_some() => Exporter::None,
        true => Exporter::Console,
        false => Exporter::Otlp,
    }])
}

#[cfg(feature = "logs")]
fn log_lines(builder: &TelemetryBuilder) -> Result<Option<crate::logs::LogLines>, SetupError> {
    let Some(format) = builder.log_lines else { return Ok(None) };
    let allowed = "a level, or a list of target=level: info,shop=debug";
    let levels = builder.variables.read("RUST_LOG", allowed, |value| value.parse().ok())?;
    Ok(Some(crate::logs::LogLines::new(format, levels)))
}

fn span_limits(variables: &Variables) -> Result<SpanLimits, SetupError> {
    let mut limits = SpanLimits::default();
    for (name, limit) in [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_span),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", &mut limits.max_events_per_span),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", &mut limits.max_links_per_span),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_event),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_link),
    ] {
        let read = |value: &str| value.parse().ok();
        if let Some(value) = variables.read(name, "a number from 0", read)? {
            *limit = value;
        }
    }
    Ok(limits)
}

/// Variables of the specification that are set and can't be honoured.
fn unsupported(variables: &Variables) -> Vec<String> {
    let of_signals = Signal::ALL.iter().flat_map(|signal| {
        let signal = signal.in_variables();
        ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"]
            .map(|name| format!("OTEL_EXPORTER_OTLP_{signal}_{name}"))
    });
    let names = UNSUPPORTED.iter().map(|name| (*name).to_owned()).chain(of_signals);
    names
        .filter(|name| variables.text(name).is_some())
        .map(|name| format!("{name} is set, and has no effect"))
        .collect()
}

const UNSUPPORTED: [&str; 12] = [
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_CONFIG_FILE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    "OTEL_EXPORTER_PROMETHEUS_HOST",
    "OTEL_EXPORTER_PROMETHEUS_PORT",
    "OTEL_LOG_LEVEL",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
];

const DEFAULT_METRIC_INTERVAL: Duration = Duration::from_secs(60);

/// The specification's. Nothing is lost with an export of metrics: the next one holds it too.
const DEFAULT_METRIC_PATIENCE: Duration = Duration::from_secs(30);
