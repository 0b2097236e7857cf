//! Parts of the SDK that the code adds: processors, readers, and a resource.

use std::{fmt, mem};

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::{
    Resource,
    logs::{LogProcessor, LoggerProviderBuilder},
    metrics::{MeterProviderBuilder, reader::MetricReader},
    trace::{SpanProcessor, TracerProviderBuilder},
};

use super::{TelemetryBuilder, resource};
use crate::baggage_keys::BaggageKeys;

/// The additions to the provider of each signal, in the order of the calls.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) tracers: Additions<TracerProviderBuilder>,
    pub(crate) meters: Additions<MeterProviderBuilder>,
    pub(crate) loggers: Additions<LoggerProviderBuilder>,
    /// A processor may export log records, so that they are needed without another exporter.
    pub(crate) takes_log_records: bool,
}

/// Steps that build on a provider's builder. They are functions, because the SDK's builders take a
/// processor or a reader by its type.
pub(crate) struct Additions<B>(Vec<Addition<B>>);

type Addition<B> = Box<dyn FnOnce(B) -> B + Send + Sync>;

impl<B> Additions<B> {
    fn push(&mut self, addition: impl FnOnce(B) -> B + Send + Sync + 'static) {
        self.0.push(Box::new(addition));
    }

    /// Applies all additions, and leaves none.
    pub(crate) fn apply(&mut self, builder: B) -> B {
        mem::take(&mut self.0).into_iter().fold(builder, |builder, addition| addition(builder))
    }
}

impl<B> Default for Additions<B> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<B> fmt::Debug for Additions<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} additions", self.0.len())
    }
}

impl TelemetryBuilder {
    /// Adds a span processor, which runs before the exporters.
    ///
    /// Processors run in the order in which they were added. An attribute that a processor sets in
    /// [`on_start`](SpanProcessor::on_start) is exported. The SDK gives each processor a copy of the
    /// ended span, so a change in [`on_end`](SpanProcessor::on_end) reaches no exporter.
    ///
    /// A processor that exports shuts down within the deadline of
    /// [`Telemetry::shutdown`](crate::Telemetry::shutdown), which waits no longer. Exporters of later
    /// processors wait for it, so it must return within the timeout that it is given. With
    /// `OTEL_SDK_DISABLED` there are no processors.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_telemetry::{
    ///     Telemetry,
    ///     opentelemetry::{Context, KeyValue, trace::Span as _},
    ///     opentelemetry_sdk::{
    ///         error::OTelSdkResult,
    ///         trace::{Span, SpanData, SpanProcessor},
    ///     },
    /// };
    ///
    /// /// Marks the spans of one shard.
    /// #[derive(Debug)]
    /// struct Shard(i64);
    ///
    /// impl SpanProcessor for Shard {
    ///     fn on_start(&self, span: &mut Span, _: &Context) {
    ///         span.set_attribute(KeyValue::new("shop.shard", self.0));
    ///     }
    ///
    ///     fn on_end(&self, _: SpanData) {}
    ///
    ///     fn force_flush(&self) -> OTelSdkResult {
    ///         Ok(())
    ///     }
    ///
    ///     fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
    ///         Ok(())
    ///     }
    /// }
    ///
    /// Telemetry::builder().with_span_processor(Shard(7))
    /// # ;
    /// ```
    pub fn with_span_processor(mut self, processor: impl SpanProcessor + 'static) -> Self {
        self.extensions.tracers.push(|tracers| tracers.with_span_processor(processor));
        self
    }

    /// Adds a log processor, which runs before the exporters.
    ///
    /// Processors run in the order in which they were added, and each sees the changes of those before
    /// it. So a processor can add attributes, or remove what must not leave. The
    /// shutdown treats it as [`with_span_processor`](Self::with_span_processor) says.
    ///
    /// It sees what is exported. Log lines (`with_log_lines`) do not pass through it.
    pub fn with_log_processor(mut self, processor: impl LogProcessor + 'static) -> Self {
        self.extensions.takes_log_records = true;
        self.extensions.loggers.push(|loggers| loggers.with_log_processor(processor));
        self
    }

    /// Adds a metric reader beside the exporters: a `PeriodicReader` with an exporter of your own, or a
    /// reader that collects on demand.
    ///
    /// It has the resource and the views of this set-up, and no exemplars. The
    /// shutdown treats it as [`with_span_processor`](Self::with_span_processor) says.
    ///
    /// ```
    /// use tower_telemetry::{Telemetry, opentelemetry_sdk::metrics::PeriodicReader};
    /// # use opentelemetry_sdk::metrics::InMemoryMetricExporter as MyExporter;
    ///
    /// let reader = PeriodicReader::builder(MyExporter::default()).build();
    /// Telemetry::builder().with_metric_reader(reader)
    /// # ;
    /// ```
    pub fn with_metric_reader(mut self, reader: impl MetricReader) -> Self {
        self.extensions.meters.push(|meters| meters.with_reader(reader));
        self
    }

    /// Adds the attributes of a resource, as detectors find them.
    ///
    /// Later calls of this method and of [`with_attribute`](Self::with_attribute) override earlier
    /// ones, and the environment overrides both. A `service.name` that begins with `unknown_service`
    /// says nothing and is skipped: the SDK's `Resource::builder` adds one. Two different schema URLs
    /// leave none, as the specification demands.
    ///
    /// With [opentelemetry-aws] for AWS Lambda; the same crate knows EC2, ECS and EKS:
    ///
    /// ```
    /// use opentelemetry_aws::detector::LambdaResourceDetector;
    /// use tower_telemetry::{Telemetry, opentelemetry_sdk::resource::ResourceDetector};
    ///
    /// Telemetry::builder().with_resource(LambdaResourceDetector.detect())
    /// # ;
    /// ```
    ///
    /// [opentelemetry-aws]: https://docs.rs/opentelemetry-aws
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.attributes.extend(resource::known(&resource));
        self.schema_urls.extend(resource.schema_url().map(str::to_owned));
        self
    }

    /// Adds these keys of the baggage to spans, log records and log lines, never to metrics.
    ///
    /// Baggage is what a caller chose: see [`BaggageKeys`] for what becomes of it, and what to list. A
    /// second call replaces nothing: spans and records get the keys of both, lines those of the last.
    ///
    /// ```
    /// # let builder = tower_telemetry::Telemetry::builder();
    /// builder.with_baggage_attributes(["tenant", "shop.channel"])
    /// # ;
    /// ```
    pub fn with_baggage_attributes<K: Into<Key>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = BaggageKeys::new(keys);
        #[cfg(feature = "logs")]
        let this = Self { baggage: Some(keys.clone()), ..self };
        #[cfg(not(feature = "logs"))]
        let this = self;
        let mut this = this.with_span_processor(keys.clone());
        this.extensions.loggers.push(|loggers| loggers.with_log_processor(keys));
        this
    }

    /// Sets `service.version`, usually to the version of the program's crate.
    ///
    /// ```
    /// # let builder = tower_telemetry::Telemetry::builder();
    /// builder.with_service_version(env!("CARGO_PKG_VERSION"))
    /// # ;
    /// ```
    pub fn with_service_version(self, version: impl Into<String>) -> Self {
        self.with_attribute(KeyValue::new("service.version", version.into()))
    }
}
