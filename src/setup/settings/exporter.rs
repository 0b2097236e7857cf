//! The destinations that a signal can have.

use super::Signal;

/// A destination of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exporter {
    /// Sends to a Collector or a backend by OTLP.
    Otlp,
    /// Prints to standard output, for people to read.
    ///
    /// - Traces: a tree for each trace, when none of its spans is open any more. It has the name, the status, the
    ///   duration, and the events of each span, and the log lines that were written within the trace.
    /// - Metrics: a table with count, errors and percentiles of the durations that this crate measures (by route,
    ///   server or statement), and the metrics of other code that have changed. Only if something has changed.
    ///   The percentiles are interpolated within their bucket.
    /// - Logs: lines. A line of a trace that is printed as a tree waits for it, for a second at most.
    ///
    /// ```text
    /// POST /orders 201                         ████████████████████    22.1ms c44d39bb
    /// └ place order                             ███████████████████    21.3ms
    ///     +21.8ms · paid shop.payment.method=invoice
    ///   +22.0ms  INFO shop: answered status=201
    /// ```
    ///
    /// Ids are shortened to eight digits. Text is in colour if standard output is a terminal and `NO_COLOR` is
    /// not set. 20 traces a second are printed, 200 spans and lines of a trace, 1000 traces are open at a
    /// time: a line counts those that are left out. Printing never blocks.
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
