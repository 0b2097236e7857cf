//! The destinations that a signal can have.

use super::Signal;

/// A destination of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exporter {
    /// Sends to a Collector or a backend by OTLP.
    Otlp,
    /// Prints to standard output, for people to read.
    Console,
    /// Serves metrics by [`Telemetry::prometheus`](crate::Telemetry::prometheus); not for traces or
    /// logs (feature `prometheus`).
    Prometheus,
    /// Exports nothing. Spans are still created, so that log lines have ids and calls a parent.
    None,
}

impl Exporter {
    /// Returns the values of `OTEL_{signal}_EXPORTER` that this build supports.
    pub(crate) fn choices(signal: Signal) -> &'static [(&'static str, Self)] {
        const CHOICES: [(&str, Exporter); 4] = [
            ("otlp", Exporter::Otlp),
            ("console", Exporter::Console),
            ("none", Exporter::None),
            ("prometheus", Exporter::Prometheus),
        ];
        match signal {
            Signal::Metrics if cfg!(feature = "prometheus") => &CHOICES,
            Signal::Metrics | Signal::Traces | Signal::Logs => &CHOICES[..3],
        }
    }

    /// Returns why the signal cannot be exported this way, if it cannot.
    pub(crate) fn obstacle(self, signal: Signal) -> Option<&'static str> {
        match self {
            Self::Prometheus if cfg!(not(feature = "prometheus")) => {
                Some("Exporter::Prometheus needs the feature `prometheus`")
            }
            Self::Prometheus if signal != Signal::Metrics => {
                Some("Exporter::Prometheus exports metrics only")
            }
            _ => None,
        }
    }
}
