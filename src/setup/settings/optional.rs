//! Options of the builder that need a Cargo feature.

use super::TelemetryBuilder;

impl TelemetryBuilder {
    /// Holds the latest traces, log lines and metrics in memory, for the pages of
    /// [`Telemetry::viewer`](crate::Telemetry::viewer), in addition to exporters. Default: off.
    ///
    /// See [`viewer`](crate::viewer) for the limits. Log lines are those of the logger provider:
    /// [`with_log_lines`](Self::with_log_lines) connects it to `tracing`, or a [bridge](crate::logs::bridge) of your own.
    #[cfg(feature = "viewer")]
    pub fn with_viewer(mut self) -> Self {
        self.has_viewer = true;
        self
    }

    /// Installs a subscriber for `tracing` and `log`. It writes lines with the ids of the trace to
    /// standard output, and exports log records as `OTEL_LOGS_EXPORTER` says.
    ///
    /// `RUST_LOG` filters lines and records by level, or by level and target (`info,shop=debug`).
    /// Default: `info`. To use a subscriber of your own, see [`logs`](crate::logs).
    ///
    /// A process has one subscriber: [`build`](Self::build) fails if another one is installed, as
    /// by an earlier `build`.
    #[cfg(feature = "logs")]
    pub fn with_log_lines(mut self, format: crate::logs::LogFormat) -> Self {
        self.log_lines = Some(format);
        self
    }

    /// Serves metrics by [`Telemetry::prometheus`](crate::Telemetry::prometheus), in addition to
    /// other exporters.
    #[cfg(feature = "prometheus")]
    pub fn with_prometheus(mut self) -> Self {
        self.pull_reader.get_or_insert_with(crate::pull::PullReader::builder);
        self
    }

    /// Does the same as [`with_prometheus`](Self::with_prometheus), with options.
    ///
    /// ```
    /// use tower_telemetry::{Telemetry, pull::PullReader};
    ///
    /// let keys = ["service.version", "deployment.environment.name"];
    /// Telemetry::builder().with_pull_reader(PullReader::builder().with_resource_labels(keys))
    /// # ;
    /// ```
    #[cfg(feature = "prometheus")]
    pub fn with_pull_reader(mut self, reader: crate::pull::PullReaderBuilder) -> Self {
        self.pull_reader = Some(reader);
        self
    }

    /// Reports the CPU time, memory, threads and files of the process. Default: off.
    ///
    /// [`resources::process`](crate::resources::process) lists the metrics.
    #[cfg(feature = "process")]
    pub fn with_process_metrics(mut self) -> Self {
        self.has_process_metrics = true;
        self
    }

    /// Reports the tokio runtime that [`build`](Self::build) runs in, as `tokio.runtime.name`
    /// `main`. Default: off.
    ///
    /// [`resources::runtime`](crate::resources::runtime) lists the metrics, and reports other
    /// runtimes. `build` fails outside of a runtime.
    ///
    /// ```
    /// # use tower_telemetry::Telemetry;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_telemetry::setup::SetupError> {
    /// let telemetry = Telemetry::builder()
    /// #   .with_variables(|name| name.ends_with("EXPORTER").then(|| "none".to_owned()))
    ///     .with_runtime_metrics()
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn with_runtime_metrics(mut self) -> Self {
        self.has_runtime_metrics = true;
        self
    }
}
