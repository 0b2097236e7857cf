//! The three kinds of telemetry.

use std::fmt;

/// A kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// Spans.
    Traces,
    /// Measurements.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    pub(crate) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Returns the name as it is spelled in variables.
    pub(crate) fn in_variables(self) -> &'static str {
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
pub(crate) struct BySignal<T>([T; 3]);

impl<T> BySignal<T> {
    /// Calls `make` for each signal.
    pub(crate) fn try_new<E>(mut make: impl FnMut(Signal) -> Result<T, E>) -> Result<Self, E> {
        let [traces, metrics, logs] = Signal::ALL;
        Ok(Self([make(traces)?, make(metrics)?, make(logs)?]))
    }

    pub(crate) fn get(&self, signal: Signal) -> &T {
        &self.0[signal as usize]
    }

    pub(crate) fn get_mut(&mut self, signal: Signal) -> &mut T {
        &mut self.0[signal as usize]
    }
}
