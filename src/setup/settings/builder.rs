//! The settings that the code makes.

use std::time::Duration;

use opentelemetry::{Key, KeyValue, propagation::TextMapPropagator};
use opentelemetry_sdk::trace::ShouldSample;

use super::{
    Exporter, Otlp, Signal, extensions::Extensions, propagators::Propagator,
    resource::DEPLOYMENT_ENVIRONMENT_NAME, signal::BySignal, variables::Variables, views::Views,
};

#[cfg(feature = "logs")]
use crate::baggage_keys::BaggageKeys;

/// Sets up [`Telemetry`](crate::Telemetry) from environment variables and code.
///
/// Environment variables override values set in code, so operators have the final say. To ignore
/// the environment, give [`with_variables`](Self::with_variables) a look-up that finds nothing.
///
/// Invalid values of variables are warned of and ignored. [`with_strict_environment`] makes them
/// errors.
///
/// [`with_strict_environment`]: Self::with_strict_environment
///
/// # Example
///
/// ```
/// use tower_telemetry::{Telemetry, setup::{Exporter, Signal}};
///
/// # fn main() -> Result<(), tower_telemetry::setup::SetupError> {
/// let telemetry = Telemetry::builder()
///     .with_service_name("shop")
///     .with_environment("production")
///     .with_exporters(Signal::Traces, [Exporter::Console])
///     .with_exporters(Signal::Metrics, [Exporter::None])
///     .with_cardinality_limit("http.server.*", 500)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is set up until `build`"]
pub struct TelemetryBuilder {
    pub(crate) variables: Variables,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) schema_urls: Vec<String>,
    pub(crate) extensions: Extensions,
    pub(crate) exporters: BySignal<Option<Vec<Exporter>>>,
    pub(crate) console_by_default: bool,
    #[cfg(feature = "viewer")]
    pub(crate) has_viewer: bool,
    pub(crate) otlp: Otlp,
    pub(crate) signal_otlp: BySignal<Otlp>,
    pub(crate) sampler: Option<Box<dyn ShouldSample>>,
    pub(crate) propagator: Option<Propagator>,
    pub(crate) views: Views,
    pub(crate) metric_interval: Option<Duration>,
    #[cfg(feature = "logs")]
    pub(crate) log_lines: Option<crate::logs::LogFormat>,
    /// The keys for log lines.
    #[cfg(feature = "logs")]
    pub(crate) baggage: Option<BaggageKeys>,
    #[cfg(feature = "prometheus")]
    pub(crate) pull_reader: Option<crate::pull::PullReaderBuilder>,
    #[cfg(feature = "process")]
    pub(crate) has_process_metrics: bool,
    #[cfg(feature = "tokio")]
    pub(crate) has_runtime_metrics: bool,
    pub(crate) is_strict: bool,
    pub(crate) is_global: bool,
}

impl TelemetryBuilder {
    pub(crate) fn new() -> Self {
        Self {
            variables: Variables::of_the_process(),
            attributes: Vec::new(),
            schema_urls: Vec::new(),
            extensions: Extensions::default(),
            exporters: BySignal::default(),
            console_by_default: false,
            #[cfg(feature = "viewer")]
            has_viewer: false,
            otlp: Otlp::new(),
            signal_otlp: BySignal::default(),
            sampler: None,
            propagator: None,
            views: Views::default(),
            metric_interval: None,
            #[cfg(feature = "logs")]
            log_lines: None,
            #[cfg(feature = "logs")]
            baggage: None,
            #[cfg(feature = "prometheus")]
            pull_reader: None,
            #[cfg(feature = "process")]
            has_process_metrics: false,
            #[cfg(feature = "tokio")]
            has_runtime_metrics: false,
            is_strict: false,
            is_global: true,
        }
    }

    /// Sets `service.name`. Default: `unknown_service:` and the program's name.
    pub fn with_service_name(self, name: impl Into<String>) -> Self {
        self.with_attribute(KeyValue::new("service.name", name.into()))
    }

    /// Sets `deployment.environment.name`, such as `production`, `staging`, `test` or
    /// `development`.
    pub fn with_environment(self, name: impl Into<String>) -> Self {
        self.with_attribute(KeyValue::new(DEPLOYMENT_ENVIRONMENT_NAME, name.into()))
    }

    /// Adds an attribute to the resource.
    pub fn with_attribute(mut self, attribute: KeyValue) -> Self {
        self.attributes.push(attribute);
        self
    }

    /// Sets the exporters of a signal. Default: [`Exporter::Otlp`].
    pub fn with_exporters(
        mut self,
        signal: Signal,
        exporters: impl IntoIterator<Item = Exporter>,
    ) -> Self {
        let chosen = self.exporters.get_mut(signal).insert(Vec::new());
        for exporter in exporters {
            // An exporter that is added twice would send everything twice.
            if !chosen.contains(&exporter) {
                chosen.push(exporter);
            }
        }
        self
    }

    /// Prints each signal to standard output that has neither an exporter (in code or environment)
    /// nor an OTLP endpoint in the environment: for a first run on a developer's machine.
    ///
    /// Log records are not printed if log lines are (`with_log_lines`). The settings of OTLP are
    /// still checked.
    pub fn with_console_by_default(mut self) -> Self {
        self.console_by_default = true;
        self
    }

    /// Sets how OTLP exporters send.
    pub fn with_otlp(mut self, otlp: Otlp) -> Self {
        self.otlp = otlp;
        self
    }

    /// Sets how the OTLP exporter of one signal sends. Each of its settings overrides that of
    /// [`with_otlp`](Self::with_otlp).
    pub fn with_signal_otlp(mut self, signal: Signal, otlp: Otlp) -> Self {
        *self.signal_otlp.get_mut(signal) = otlp;
        self
    }

    /// Sets the sampler. Default: follow the parent, and sample traces without a parent.
    ///
    /// `OTEL_TRACES_SAMPLER` overrides it. The SDK's [`Sampler`](opentelemetry_sdk::trace::Sampler)
    /// does not follow the parent unless it is wrapped in `Sampler::parent_based`.
    pub fn with_sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Some(Box::new(sampler));
        self
    }

    /// Sets the propagator. Default: W3C trace context and baggage.
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.propagator = Some(Propagator::Other(Box::new(propagator)));
        self
    }

    /// Sets how often metrics are exported. Default: every 60 seconds, and every 5 seconds to the console.
    pub fn with_metric_interval(mut self, interval: Duration) -> Self {
        self.metric_interval = Some(interval);
        self
    }

    /// Sets the bucket boundaries of histograms, in the unit of the instrument.
    ///
    /// `instrument` is a name, or the beginning of names followed by `*`.
    pub fn with_boundaries(
        mut self,
        instrument: impl Into<String>,
        boundaries: impl Into<Vec<f64>>,
    ) -> Self {
        self.views.boundaries(instrument.into(), boundaries.into());
        self
    }

    /// Drops all attributes of an instrument except these, which leaves fewer series.
    ///
    /// The SDK's views can only name attributes to keep. To drop some attributes from the metrics
    /// of this crate's layers, use
    /// [`without_attributes`](crate::TelemetryLayer::without_attributes).
    ///
    /// ```
    /// # let builder = tower_telemetry::Telemetry::builder();
    /// // Without `server.address` and the other attributes of each request:
    /// builder.with_only_attributes(
    ///     "http.client.request.duration",
    ///     ["http.request.method", "http.response.status_code", "error.type"],
    /// )
    /// # ;
    /// ```
    pub fn with_only_attributes<K: Into<Key>>(
        mut self,
        instrument: impl Into<String>,
        keys: impl IntoIterator<Item = K>,
    ) -> Self {
        let keys = keys.into_iter().map(Into::into).collect();
        self.views.attributes(instrument.into(), keys);
        self
    }

    /// Limits the number of series of an instrument. Further measurements are added to one series
    /// with the attribute `otel.metric.overflow`. Default: 2000.
    pub fn with_cardinality_limit(mut self, instrument: impl Into<String>, limit: usize) -> Self {
        self.views.cardinality_limit(instrument.into(), limit);
        self
    }

    /// Looks variables up in this function instead of in the process's environment.
    ///
    /// Misspelled names are not found, because a look-up cannot be listed. If the look-up finds no
    /// compression, the exporters themselves read `OTEL_EXPORTER_OTLP_COMPRESSION` of the process.
    ///
    /// ```
    /// # let builder = tower_telemetry::Telemetry::builder();
    /// builder.with_variables(|name| match name {
    ///     "OTEL_TRACES_SAMPLER" => Some("always_off".to_owned()),
    ///     _ => None,
    /// })
    /// # ;
    /// ```
    pub fn with_variables(
        mut self,
        look_up: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.variables = Variables::new(look_up);
        self
    }

    /// Makes [`build`](Self::build) fail on variables that are invalid, have no effect or are
    /// likely misspelled, instead of warning of them: for tests, and for checks of a deployment.
    ///
    /// ```
    /// # let builder = tower_telemetry::Telemetry::builder();
    /// let error = builder
    ///     .with_variables(|name| (name == "OTEL_SDK_DISABLED").then(|| "1".to_owned()))
    ///     .with_strict_environment()
    ///     .build()
    ///     .unwrap_err();
    /// assert_eq!(error.variable_name(), Some("OTEL_SDK_DISABLED"));
    /// ```
    pub fn with_strict_environment(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Does not install the global providers and the global propagator. Give layers those of
    /// [`Telemetry`](crate::Telemetry) instead.
    pub fn without_globals(mut self) -> Self {
        self.is_global = false;
        self
    }
}
