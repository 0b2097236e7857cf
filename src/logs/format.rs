//! Formats of log lines.

use std::{
    error::Error,
    fmt::{self, Write},
    io::{self, IsTerminal},
    iter,
};

use tracing::Event;
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::JsonFormat;

/// A format of log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// One JSON object per line, for a log collector: [`JsonFormat::new`].
    Json,
    /// JSON with keys of your choice: those of Google Cloud, Datadog or Elastic, or your own.
    ///
    /// In [`with_log_lines`](crate::setup::TelemetryBuilder::with_log_lines), a format that names a
    /// key for the service but no service gets the `service.name` that the set-up has determined.
    CustomJson(JsonFormat),
    /// Text for a terminal, in colour if standard output is a terminal and `NO_COLOR` is not set.
    ///
    /// In [`with_log_lines`](crate::setup::TelemetryBuilder::with_log_lines), the lines of a trace that is
    /// printed on the console ([`Exporter::Console`](crate::setup::Exporter::Console)) are shown within its tree.
    Pretty,
    /// [`Pretty`](Self::Pretty) if standard output is a terminal, or traces are printed on the console.
    /// Otherwise [`Json`](Self::Json).
    Auto,
}

impl LogFormat {
    /// Chooses a format for [`Auto`](Self::Auto).
    pub(super) fn chosen(self, has_console: bool) -> Self {
        match self {
            Self::Auto if has_console || io::stdout().is_terminal() => Self::Pretty,
            Self::Auto => Self::Json,
            other => other,
        }
    }
}

impl From<JsonFormat> for LogFormat {
    fn from(format: JsonFormat) -> Self {
        Self::CustomJson(format)
    }
}

/// Formats an event as one line.
pub(super) trait WriteLine {
    /// Writes the line with its line feed, and with the ids of the current span.
    fn write_line<S>(
        &self,
        line: &mut dyn Write,
        is_coloured: bool,
        event: &Event<'_>,
        scope: Option<Scope<'_, S>>,
    ) -> fmt::Result
    where
        S: for<'a> LookupSpan<'a>;
}

/// Returns true for the fields that tell where a record of the `log` crate comes from. They are
/// part of its metadata, too.
pub(super) fn is_metadata_of_log(name: &str) -> bool {
    matches!(name, "log.target" | "log.module_path" | "log.file" | "log.line")
}

/// Returns the sources of an error, outermost first. An endless chain is cut.
pub(super) fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(error.source(), |&error| error.source()).take(MOST_SOURCES)
}

const MOST_SOURCES: usize = 32;
