//! The three signals, and where each may go.

use std::fmt;

/// A kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Measurements.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    pub(super) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// As it stands in the names of variables.
    pub(super) fn in_variables(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        })
    }
}

/// One value for each signal.
#[derive(Debug, Clone, Default)]
pub(super) struct BySignal<T>([T; 3]);

impl<T> BySignal<T> {
    /// The value that `make` makes for each signal.
    pub(super) fn try_new<E>(mut make: impl FnMut(Signal) -> Result<T, E>) -> Result<Self, E> {
        let [traces, metrics, logs] = Signal::ALL;
        Ok(Self([make(traces)?, make(metrics)?, make(logs)?]))
    }

    pub(super) fn get(&self, signal: Signal) -> &T {
        &self.0[signal as usize]
    }

    pub(super) fn get_mut(&mut self, signal: Signal) -> &mut T {
        &mut self.0[signal as usize]
    }
}

/// Where a signal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exporter {
    /// To a Collector or a backend, by OTLP.
    Otlp,
    /// To standard output, for the eyes.
    Console,
    /// To whoever asks [`Telemetry::prometheus`](super::Telemetry::prometheus): metrics alone
    /// (feature `prometheus`).
    Prometheus,
    /// Nowhere. Spans are still made, so that logs have their ids and callees their parent.
    None,
}

impl Exporter {
    /// The choices of `OTEL_{signal}_EXPORTER`.
    pub(super) fn choices(signal: Signal) -> &'static [(&'static str, Self)] {
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
    pub(super) fn missing(self, signal: Signal) -> Option<&'static str> {
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
