//! From the environment and the code to providers.

use std::time::Duration;

use opentelemetry::{Key, KeyValue, propagation::TextMapPropagator};
use opentelemetry_sdk::trace::ShouldSample;

use super::{
    Exporter, Otlp, Signal, propagators::Propagator, resource::DEPLOYMENT_ENVIRONMENT_NAME,
    signal::BySignal, variables::Variables, views::Views,
};

/// Sets up [`Telemetry`]: what the code says, where the environment says nothing.
///
/// The environment comes first, because it is the word of whoever operates the program. A program
/// that wants to hear from nobody gives [`with_variables`](Self::with_variables) a look-up that
/// finds nothing.
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
    pub(crate) exporters: BySignal<Option<Vec<Exporter>>>,
    pub(crate) console_by_default: bool,
    pub(crate) otlp: Otlp,
    pub(crate) signal_otlp: BySignal<Otlp>,
    pub(crate) sampler: Option<Box<dyn ShouldSample>>,
    pub(crate) propagator: Option<Propagator>,
    pub(crate) views: Views,
    pub(crate) metric_interval: Option<Duration>,
    #[cfg(feature = "logs")]
    pub(crate) log_lines: Option<crate::logs::LogFormat>,
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus: bool,
    pub(crate) global: bool,
}

impl TelemetryBuilder {
    pub(crate) fn new() -> Self {
        Self {
            variables: Variables::of_the_process(),
            attributes: Vec::new(),
            exporters: BySignal::default(),
            console_by_default: false,
            otlp: Otlp::new(),
            signal_otlp: BySignal::default(),
            sampler: None,
            propagator: None,
            views: Views::default(),
            metric_interval: None,
            #[cfg(feature = "logs")]
            log_lines: None,
            #[cfg(feature = "prometheus")]
            prometheus: false,
            global: true,
        }
    }

    /// `service.name`. Default: `unknown_service:` and the program's name.
    pub fn with_service_name(self, name: impl Into<String>) -> Self {
        self.with_attribute(KeyValue::new("service.name", name.into()))
    }

    /// `deployment.environment.name`: `production`, `staging`, `test`, `development`, or another.
    pub fn with_environment(self, name: impl Into<String>) -> Self {
        self.with_attribute(KeyValue::new(DEPLOYMENT_ENVIRONMENT_NAME, name.into()))
    }

    /// An attribute of the resource, such as `service.version`.
    pub fn with_attribute(mut self, attribute: KeyValue) -> Self {
        self.attributes.push(attribute);
        self
    }

    /// Where a signal goes. Default: [`Exporter::Otlp`].
    pub fn with_exporters(
        mut self,
        signal: Signal,
        exporters: impl IntoIterator<Item = Exporter>,
    ) -> Self {
        let chosen = self.exporters.get_mut(signal).insert(Vec::new());
        for exporter in exporters {
            // Twice the same would send everything twice.
            if !chosen.contains(&exporter) {
                chosen.push(exporter);
            }
        }
        self
    }

    /// To standard output goes each signal for which neither the environment names an exporter or an
    /// OTLP endpoint, nor the code: for a first run on a developer's machine. Log records are left
    /// out where there are log lines (`with_log_lines`).
    pub fn with_console_by_default(mut self) -> Self {
        self.console_by_default = true;
        self
    }

    /// How OTLP exporters send.
    pub fn with_otlp(mut self, otlp: Otlp) -> Self {
        self.otlp = otlp;
        self
    }

    /// How the OTLP exporter of one signal sends; each setting that it has goes before that of
    /// [`with_otlp`](Self::with_otlp).
    pub fn with_signal_otlp(mut self, signal: Signal, otlp: Otlp) -> Self {
        *self.signal_otlp.get_mut(signal) = otlp;
        self
    }

    /// Which traces are sampled. Default: what the parent says, and all that have none.
    pub fn with_sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Some(Box::new(sampler));
        self
    }

    /// How context travels between processes. Default: W3C trace context and baggage.
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.propagator = Some(Propagator::Other(Box::new(propagator)));
        self
    }

    /// How often metrics are sent. Default: each 60 seconds.
    pub fn with_metric_interval(mut self, interval: Duration) -> Self {
        self.metric_interval = Some(interval);
        self
    }

    /// The boundaries of a histogram's buckets, in its unit: an instrument's name, or the beginning
    /// of names before a `*`.
    pub fn with_boundaries(
        mut self,
        instrument: impl Into<String>,
        boundaries: impl Into<Vec<f64>>,
    ) -> Self {
        self.views.boundaries(instrument.into(), boundaries.into());
        self
    }

    /// Drops all attributes of an instrument but these: fewer series, and none by surprise.
    ///
    /// It is the attributes to keep that are named, for that is what views of the SDK know. To drop
    /// some from what the layers of this crate measure, and keep all others, there is
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

    /// The most series that an instrument may have; what is beyond becomes one series with
    /// `otel.metric.overflow`. Default: 2000.
    pub fn with_cardinality_limit(mut self, instrument: impl Into<String>, limit: usize) -> Self {
        self.views.cardinality_limit(instrument.into(), limit);
        self
    }

    /// Writes what `tracing` and `log` record to standard output, each line with the ids of the
    /// trace, and exports it where `OTEL_LOGS_EXPORTER` says: installs the program's subscriber.
    ///
    /// `RUST_LOG` says what is recorded: a level, or levels by target (`info,shop=debug`).
    /// Default: `info`. For a subscriber of your own see [`logs`](crate::logs).
    #[cfg(feature = "logs")]
    pub fn with_log_lines(mut self, format: crate::logs::LogFormat) -> Self {
        self.log_lines = Some(format);
        self
    }

    /// Keeps metrics for [`Telemetry::prometheus`], beside all other exporters.
    #[cfg(feature = "prometheus")]
    pub fn with_prometheus(mut self) -> Self {
        self.prometheus = true;
        self
    }

    /// Looks variables up here instead of in the process's environment. (The one that the exporter
    /// reads by itself, where nothing is said here, is `OTEL_EXPORTER_OTLP_COMPRESSION`.)
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

    /// Leaves the global providers and the global propagator as they are; layers are given those of
    /// the [`Telemetry`].
    pub fn without_globals(mut self) -> Self {
        self.global = false;
        self
    }
}
