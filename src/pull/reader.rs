//! The reader of a meter provider.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use opentelemetry::Key;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        InstrumentKind, ManualReader, Pipeline, Temporality, data::ResourceMetrics,
        reader::MetricReader,
    },
};

use crate::exemplars::Exemplars;

use super::{MetricsService, compression::Body, exposition, number::Format, registry::Registry};

/// Reads the metrics of a meter provider of your own when Prometheus scrapes.
///
/// ```
/// use tower_telemetry::opentelemetry_sdk::metrics::SdkMeterProvider;
/// use tower_telemetry::pull::PullReader;
///
/// let reader = PullReader::builder().with_resource_labels(["service.version"]).build();
/// let metrics = reader.service();
/// let provider = SdkMeterProvider::builder().with_reader(reader).build();
/// let app: axum::Router = axum::Router::new().route_service("/metrics", metrics);
/// ```
///
/// [`with_pull_reader`](crate::setup::TelemetryBuilder::with_pull_reader) gives the options to
/// [`Telemetry`](crate::Telemetry).
#[derive(Debug)]
pub struct PullReader(Arc<Scraper>);

impl PullReader {
    /// Starts with the defaults: labels for the scope, none for the resource, no `_created` series.
    pub fn builder() -> PullReaderBuilder {
        PullReaderBuilder { settings: Settings::default() }
    }

    /// Returns the service for `GET /metrics`. It answers with `503` until the reader is given to a
    /// meter provider, and after the provider is shut down.
    pub fn service(&self) -> MetricsService {
        MetricsService::of(Arc::clone(&self.0))
    }
}

impl MetricReader for PullReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.reader.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.reader.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.reader.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.reader.shutdown_with_timeout(timeout)
    }

    /// Prometheus knows cumulative metrics only.
    fn temporality(&self, _: InstrumentKind) -> Temporality {
        Temporality::Cumulative
    }
}

/// Options of a [`PullReader`].
#[derive(Debug, Clone)]
#[must_use = "nothing is read until `build`"]
pub struct PullReaderBuilder {
    settings: Settings,
}

impl PullReaderBuilder {
    /// Copies attributes of the resource, by their keys, to labels of every series, so that
    /// dashboards can group by them without a join with `target_info`: `service.version` becomes
    /// `service_version`. Default: none. A second call adds to the first.
    ///
    /// The labels add no series as long as the resource is the same; a new version is a new series.
    /// A key that the resource does not have adds no label. If a series has an attribute that
    /// becomes the same label, the attribute wins.
    pub fn with_resource_labels<K: Into<Key>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.settings.resource_labels.extend(keys.into_iter().map(K::into));
        self
    }

    /// Leaves out the labels `otel_scope_*`.
    ///
    /// If instruments of one name in two scopes have series with the same attributes, only the
    /// first of these is exported then, and a warning says so.
    pub fn without_scope_labels(mut self) -> Self {
        self.settings.has_scope_labels = false;
        self
    }

    /// Writes when each counter and each histogram began, as OpenMetrics' `_created`.
    ///
    /// Off by default, because Prometheus stores these as series of their own unless its feature
    /// `created-timestamp-zero-ingestion` is on: twice as many for counters.
    pub fn with_created_series(mut self) -> Self {
        self.settings.has_created_series = true;
        self
    }

    /// Shows [`Exemplars`] on the buckets of histograms, in OpenMetrics: the text format 0.0.4 has none.
    ///
    /// Prometheus stores them if its feature `exemplar-storage` is on. With the reader of
    /// [`Telemetry`](crate::Telemetry) no handle is needed.
    pub fn with_exemplars(mut self, exemplars: &Exemplars) -> Self {
        self.settings.exemplars = Some(exemplars.clone());
        self
    }

    /// Shows these exemplars, unless others were chosen.
    pub(crate) fn with_default_exemplars(mut self, exemplars: Option<&Exemplars>) -> Self {
        self.settings.exemplars = self.settings.exemplars.or_else(|| exemplars.cloned());
        self
    }

    /// Makes the reader, for the `with_reader` of a
    /// [`MeterProviderBuilder`](opentelemetry_sdk::metrics::MeterProviderBuilder).
    pub fn build(self) -> PullReader {
        PullReader(Arc::new(Scraper {
            reader: ManualReader::builder().build(),
            settings: self.settings,
            state: Mutex::default(),
        }))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) resource_labels: Vec<Key>,
    pub(super) has_scope_labels: bool,
    pub(super) has_created_series: bool,
    pub(super) exemplars: Option<Exemplars>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resource_labels: Vec::new(),
            has_scope_labels: true,
            has_created_series: false,
            exemplars: None,
        }
    }
}

/// The reader and the service share it.
#[derive(Debug)]
pub(super) struct Scraper {
    reader: ManualReader,
    settings: Settings,
    state: Mutex<State>,
}

/// State that the next scrape reuses.
#[derive(Debug, Default)]
struct State {
    registry: Registry,
    /// Bytes of the last body that was not compressed.
    size: usize,
}

impl Scraper {
    /// Collects, and returns the body.
    pub(super) fn scrape(
        &self,
        format: Format,
        is_compressed: bool,
    ) -> Result<Vec<u8>, ScrapeError> {
        // Held for the whole scrape, so that at most one copy of the metrics is in memory.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut metrics = ResourceMetrics::default();
        self.reader.collect(&mut metrics).map_err(|_| ScrapeError)?;
        let mut body = Body::new(is_compressed, state.size + state.size / 8);
        exposition::write(&metrics, &self.settings, &mut state.registry, format, &mut body)
            .and_then(|()| body.finish())
            .inspect(|body| {
                if !is_compressed {
                    state.size = body.len();
                }
            })
            .map_err(|_: io::Error| ScrapeError)
    }
}

/// There is no meter provider, or it is shut down.
#[derive(Debug)]
pub(super) struct ScrapeError;
