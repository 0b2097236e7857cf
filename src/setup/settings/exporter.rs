//! The destinations that a signal can have.

use super::Signal;

/// Where a signal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exporter {
    /// To a Collector or a backend, by OTLP.
    Otlp,
    /// To standard output, for the eyes.
    Console,
    /// To whoever asks [`Telemetry::prometheus`](crate::Telemetry::prometheus): metrics alone
    /// (feature `prometheus`).
    Prometheus,
    /// Nowhere. Spans are still made, so that logs have their ids and callees their parent.
    None,
}

impl Exporter {
    /// The choices of `OTEL_{signal}_EXPORTER`.
    pub(crate) fn choices(signal: Signal) -> &'static [(&'static str, Self)] {
        const CHOICES: [(&str, Exporter); 4] = [
            ("otlp", Exporter::Otlp),
            ("console", Exporter::Console),
            ("none", Exporter::None),
            ("prometheus", Exporter::Prometheus),
        ];
        match signal {
            Signal::Metrics => &CHOICES,
            Signal::Traces | Signal::Logs => &CHOICES[..3],
        }
    }

    /// Why this exporter can't be had here, if it can't.
    pub(crate) fn missing(self, signal: Signal) -> Option<&'static str> {
        match self {
            Self::Prometheus if cfg!(not(feature = "prometheus")) => {
                Some("`prometheus` needs the feature `prometheus`")
            }
            Self::Prometheus if signal != Signal::Metrics => {
                Some("`prometheus` is an exporter of metrics alone")
            }
            _ => None,
        }
    }
}
