//! Lines for a terminal.

use std::{
    error::Error,
    fmt::{self, Debug, Write},
};

use opentelemetry::KeyValue;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent;
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::{LookupSpan, Scope},
};

use super::{
    format::{WriteLine, is_metadata_of_log, sources},
    teardown::map_context,
    with_trace_context::Ids,
};
use crate::{
    baggage_keys::BaggageKeys,
    stdout::{Colours, Escape, Escaped, Style},
};

/// Text lines that end with the ids of the current span.
///
/// ```text
/// 2026-11-23T09:30:00.123456Z  INFO order{id=7}: shop: paid amount=3 trace_id=4bf9… span_id=00f0…
/// ```
///
/// Control characters are escaped wherever they come from, so that a value can neither forge a
/// line nor steer a terminal; a message of several lines becomes one line. An error
/// (`error = &error as &dyn Error`) is followed by its sources.
///
/// It is an event format and a field format for an `fmt` layer of your own:
///
/// ```
/// use tower_telemetry::logs::PrettyFormat;
/// use tracing_subscriber::{fmt, layer::SubscriberExt};
///
/// let format = PrettyFormat::new().without_time();
/// let lines = fmt::layer()
///     .fmt_fields(format.clone())
///     .event_format(format)
///     .with_writer(std::io::stderr);
/// let subscriber = tracing_subscriber::registry().with(lines);
/// # drop(subscriber);
/// ```
#[derive(Debug, Clone, Default)]
pub struct PrettyFormat {
    omits_time: bool,
    omits_ids: bool,
    baggage: Option<BaggageKeys>,
}

impl PrettyFormat {
    /// Returns the format of [`LogFormat::Pretty`](super::LogFormat::Pretty).
    pub fn new() -> Self {
        Self::default()
    }

    /// Omits the time, for a collector that adds its own, such as journald.
    #[must_use]
    pub fn without_time(mut self) -> Self {
        self.omits_time = true;
        self
    }

    /// Omits the time and the ids, which the console knows.
    pub(super) fn for_console() -> Self {
        Self { omits_time: true, omits_ids: true, baggage: None }
    }

    /// Adds these keys of the current baggage behind the fields.
    #[must_use]
    pub fn with_baggage(mut self, keys: BaggageKeys) -> Self {
        self.baggage = Some(keys);
        self
    }
}

impl WriteLine for PrettyFormat {
    fn write_line<S>(
        &self,
        mut line: &mut dyn Write,
        is_coloured: bool,
        event: &Event<'_>,
        scope: Option<Scope<'_, S>>,
    ) -> fmt::Result
    where
        S: for<'a> LookupSpan<'a>,
    {
        let colours = Colours::new(is_coloured);
        let of_log = event.normalized_metadata();
        let metadata = of_log.as_ref().unwrap_or_else(|| event.metadata());
        if !self.omits_time {
            line.write_str(colours.dim())?;
            SystemTime.format_time(&mut Writer::new(&mut line))?;
            write!(line, "{} ", colours.end())?;
        }
        let level = metadata.level();
        write!(line, "{}{level:>5}{} ", colours.level(*level), colours.end())?;
        let mut is_within_span = false;
        for span in scope.into_iter().flat_map(Scope::from_root) {
            is_within_span = true;
            write!(line, "{}{}{}", colours.bold(), Escaped(span.name()), colours.end())?;
            if let Some(fields) = span.extensions().get::<FormattedFields<Self>>()
                && !fields.is_empty()
            {
                // They were escaped when they were recorded.
                write!(line, "{}{{{}", colours.bold(), colours.end())?;
                write!(line, "{fields}{}}}{}", colours.bold(), colours.end())?;
            }
            write!(line, "{}:{}", colours.dim(), colours.end())?;
        }
        if is_within_span {
            line.write_char(' ')?;
        }
        write!(line, "{}{}:{}", colours.dim(), Escaped(metadata.target()), colours.end())?;
        let mut fields =
            Fields { line, colours, is_first: false, is_log: of_log.is_some(), result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        let baggage = self.baggage.as_ref().and_then(|keys| map_context(|cx| keys.read(cx)));
        for KeyValue { key, value, .. } in baggage.unwrap_or_default() {
            let value = format!("{:?}", value.as_str());
            write!(line, " {}={}", Escaped(key.as_str()), Escaped(&value))?;
        }
        if !self.omits_ids
            && let Some(Ids { trace, span, .. }) = Ids::current()
        {
            write!(line, " trace_id={trace} span_id={span}")?;
        }
        line.write_char('\n')
    }
}

impl<S> FormatEvent<S, Self> for PrettyFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, Self>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let is_coloured = writer.has_ansi_escapes();
        self.write_line(&mut writer, is_coloured, event, cx.event_scope())
    }
}

impl FormatFields<'_> for PrettyFormat {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'_>, fields: R) -> fmt::Result {
        let colours = Colours::new(writer.has_ansi_escapes());
        let mut visitor =
            Fields { line: &mut writer, colours, is_first: true, is_log: false, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

/// Writes fields as ` name=value`, and the message without its name.
struct Fields<'a> {
    line: &'a mut dyn Write,
    colours: Colours,
    /// Omits the space before the next field.
    is_first: bool,
    is_log: bool,
    result: fmt::Result,
}

impl Fields<'_> {
    fn field(&mut self, name: &str, value: fmt::Arguments<'_>) {
        if self.result.is_ok() && !(self.is_log && is_metadata_of_log(name)) {
            self.result = self.try_field(name, value);
        }
    }

    fn try_field(&mut self, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        if !self.is_first {
            self.line.write_char(' ')?;
        }
        self.is_first = false;
        if name != "message" {
            self.name(name)?;
        }
        write!(Escape::new(self.line, Style::Text), "{value}")
    }

    fn name(&mut self, name: &str) -> fmt::Result {
        let name = Escaped(name.strip_prefix("r#").unwrap_or(name));
        let (italic, dim, end) = (self.colours.italic(), self.colours.dim(), self.colours.end());
        write!(self.line, "{italic}{name}{end}{dim}={end}")
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.field("message", format_args!("{value}")),
            name => self.field(name, format_args!("{value:?}")),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.field(field.name(), format_args!("{value}"));
        if let Some(source) = value.source() {
            let sources = Sources(source);
            self.field(&format!("{}.sources", field.name()), format_args!("[{sources}]"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field.name(), format_args!("{value:?}"));
    }
}

/// Displays an error and its sources, separated by commas.
struct Sources<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        sources(self.0).try_for_each(|source| write!(f, ", {source}"))
    }
}
