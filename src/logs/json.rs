//! Lines for a log collector.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use tracing::{Event, Level, Subscriber, span::Record};
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
    format::WriteLine,
    json_object::{Members, Object, TopLevel, without_repeated},
    with_trace_context::Ids,
};

/// JSON lines with keys of your choice, and with the ids of the current span.
///
/// | | [`new`] | [`google_cloud`] | [`datadog`] | [`ecs`] |
/// |---|---|---|---|---|
/// | time | `timestamp` | `time` | `timestamp` | `@timestamp` |
/// | level | `level` | `severity` | `status` | `log.level` |
/// | message | `message` in `fields` | `message` | `message` | `message` |
/// | target | `target` | `target` | `logger.name` | `log.logger` |
/// | service | none | `service` | `service` | `service.name` |
/// | fields | `fields` | `fields` | `fields` | `labels`, with `_` for `.` |
/// | spans | `spans` | `spans` | `spans` | `spans` |
/// | trace | `trace_id` | `logging.googleapis.com/trace` | `dd.trace_id` | `trace.id` |
/// | span | `span_id` | `logging.googleapis.com/spanId` | `dd.span_id` | `span.id` |
///
/// [`new`]: Self::new
/// [`google_cloud`]: Self::google_cloud
/// [`datadog`]: Self::datadog
/// [`ecs`]: Self::ecs
///
/// Fields have an object of their own, so that none of them can be taken for an id. An error
/// (`error = &error as &dyn Error`) is followed by `error.sources`, an array; with ECS its text is
/// also in `error.message`. Control characters are escaped, and so is everything else that could
/// forge a line or steer a terminal.
///
/// # Example
///
/// ```
/// use tower_telemetry::logs::{JsonFormat, LogFormat};
///
/// # let builder = tower_telemetry::Telemetry::builder();
/// builder.with_log_lines(LogFormat::CustomJson(JsonFormat::google_cloud("my-project")))
/// # ;
/// ```
///
/// It is an event format and a field format for an `fmt` layer of your own, too:
///
/// ```
/// use tower_telemetry::logs::JsonFormat;
/// use tracing_subscriber::{fmt, layer::SubscriberExt};
///
/// let format = JsonFormat::new().with_message_key("msg").with_level_key("severity");
/// let lines = fmt::layer()
///     .fmt_fields(format.clone())
///     .event_format(format)
///     .with_writer(std::io::stderr);
/// let subscriber = tracing_subscriber::registry().with(lines);
/// # drop(subscriber);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFormat {
    schema: Schema,
    timestamp: Key,
    level: Key,
    /// `None`: the message is one of the fields.
    message: Option<Key>,
    target: Key,
    service: Option<Key>,
    service_name: Option<String>,
}

type Key = Cow<'static, str>;

/// The demands of a collector beyond the names of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Schema {
    Plain,
    GoogleCloud { project: String },
    Datadog,
    Ecs,
}

impl JsonFormat {
    /// Returns the format of [`LogFormat::Json`](super::LogFormat::Json).
    ///
    /// It has `trace_flags`, too: two hexadecimal digits, `01` for a trace that is sampled.
    pub fn new() -> Self {
        Self {
            schema: Schema::Plain,
            timestamp: "timestamp".into(),
            level: "level".into(),
            message: None,
            target: "target".into(),
            service: None,
            service_name: None,
        }
    }

    /// Returns the format of Google Cloud's structured logging.
    ///
    /// It has `logging.googleapis.com/trace_sampled`, too: true or false.
    ///
    /// `project` is the id of the project that stores the traces. Without it (`""`) the id of the
    /// trace stands alone, which not all parts of Google Cloud link to the trace.
    pub fn google_cloud(project: impl Into<String>) -> Self {
        Self {
            schema: Schema::GoogleCloud { project: project.into() },
            timestamp: "time".into(),
            level: "severity".into(),
            message: Some("message".into()),
            service: Some("service".into()),
            ..Self::new()
        }
    }

    /// Returns the format of Datadog's reserved attributes. The ids are the lower 64 bits, in
    /// decimal, as Datadog documents for OpenTelemetry.
    pub fn datadog() -> Self {
        Self {
            schema: Schema::Datadog,
            level: "status".into(),
            message: Some("message".into()),
            target: "logger.name".into(),
            service: Some("service".into()),
            ..Self::new()
        }
    }

    /// Returns the format of the Elastic Common Schema, version 8.11.
    pub fn ecs() -> Self {
        Self {
            schema: Schema::Ecs,
            timestamp: "@timestamp".into(),
            level: "log.level".into(),
            message: Some("message".into()),
            target: "log.logger".into(),
            service: Some("service.name".into()),
            ..Self::new()
        }
    }

    /// Puts the message at the top level, under this key.
    #[must_use]
    pub fn with_message_key(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.message = Some(key.into());
        self
    }

    /// Puts the level under this key.
    #[must_use]
    pub fn with_level_key(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.level = key.into();
        self
    }

    /// Puts the name of the service under this key.
    ///
    /// With [`with_log_lines`](crate::setup::TelemetryBuilder::with_log_lines) it is the
    /// `service.name` of the resource, unless [`with_service_name`](Self::with_service_name) names
    /// another.
    #[must_use]
    pub fn with_service_key(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.service = Some(key.into());
        self
    }

    /// Sets the name of the service, under `service.name` unless there is a key for it already.
    #[must_use]
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.service.get_or_insert(Cow::Borrowed("service.name"));
        self.service_name = Some(name.into());
        self
    }

    /// Sets the name of the service if there is a key for it, and no name yet.
    pub(super) fn with_default_service_name(mut self, name: Option<String>) -> Self {
        if self.service.is_some() && self.service_name.is_none() {
            self.service_name = name;
        }
        self
    }

    fn ids(&self, object: &mut Object<'_>) -> fmt::Result {
        let Some(Ids { trace, span, flags }) = Ids::current() else { return Ok(()) };
        match &self.schema {
            Schema::Plain => {
                object.text("trace_id", format_args!("{trace}"))?;
                object.text("span_id", format_args!("{span}"))?;
                object.text("trace_flags", format_args!("{:02x}", flags.to_u8()))
            }
            Schema::GoogleCloud { project } => {
                let key = "logging.googleapis.com/trace";
                match project.as_str() {
                    "" => object.text(key, format_args!("{trace}"))?,
                    name => object.text(key, format_args!("projects/{name}/traces/{trace}"))?,
                }
                object.text("logging.googleapis.com/spanId", format_args!("{span}"))?;
                let is_sampled = flags.is_sampled();
                object.raw("logging.googleapis.com/trace_sampled", format_args!("{is_sampled}"))
            }
            Schema::Datadog => {
                let [.., a, b, c, d, e, f, g, h] = trace.to_bytes();
                let trace = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                let span = u64::from_be_bytes(span.to_bytes());
                object.text("dd.trace_id", format_args!("{trace}"))?;
                object.text("dd.span_id", format_args!("{span}"))
            }
            Schema::Ecs => {
                object.text("trace.id", format_args!("{trace}"))?;
                object.text("span.id", format_args!("{span}"))
            }
        }
    }

    fn level_text(&self, level: Level) -> &'static str {
        match (&self.schema, level) {
            (Schema::GoogleCloud { .. }, Level::WARN) => "WARNING",
            // It has no level below DEBUG.
            (Schema::GoogleCloud { .. }, Level::TRACE) => "DEBUG",
            (_, level) => level.as_str(),
        }
    }
}

impl Default for JsonFormat {
    fn default() -> Self {
        Self::new()
    }
}

impl WriteLine for JsonFormat {
    fn write_line<S>(
        &self,
        line: &mut dyn Write,
        _: bool,
        event: &Event<'_>,
        scope: Option<Scope<'_, S>>,
    ) -> fmt::Result
    where
        S: for<'a> LookupSpan<'a>,
    {
        let of_log = event.normalized_metadata();
        let metadata = of_log.as_ref().unwrap_or_else(|| event.metadata());
        let is_ecs = self.schema == Schema::Ecs;
        let mut object = Object::begin(line)?;
        self.ids(&mut object)?;
        object.key(&self.timestamp)?;
        object.quoted(|mut line| SystemTime.format_time(&mut Writer::new(&mut line)))?;
        object.text(&self.level, format_args!("{}", self.level_text(*metadata.level())))?;
        if let Some(key) = &self.message {
            let mut top_level = TopLevel::new(&mut object, key, is_ecs);
            event.record(&mut top_level);
            top_level.end()?;
        }
        object.key(if is_ecs { "labels" } else { "fields" })?;
        object.nested(|fields| {
            let mut members = Members::new(fields);
            members.skips_message = self.message.is_some();
            members.skips_log = of_log.is_some();
            members.replaces_dots = is_ecs;
            event.record(&mut members);
            members.end()
        })?;
        object.text(&self.target, format_args!("{}", metadata.target()))?;
        if let (Some(key), Some(name)) = (&self.service, &self.service_name) {
            object.text(key, format_args!("{name}"))?;
        }
        if is_ecs {
            object.text("ecs.version", format_args!("8.11"))?;
        }
        if let Some(scope) = scope {
            object.key("spans")?;
            object.array(scope.from_root(), |span, object| {
                if let Some(fields) = span.extensions().get::<FormattedFields<Self>>() {
                    object.members(fields)?;
                }
                object.text("name", format_args!("{}", span.name()))
            })?;
        }
        object.end()?;
        line.write_char('\n')
    }
}

impl<S> FormatEvent<S, Self> for JsonFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, Self>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        self.write_line(&mut writer, false, event, cx.event_scope())
    }
}

/// The fields of a span are kept as the members of an object, without its braces.
impl<'a> FormatFields<'a> for JsonFormat {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'_>, fields: R) -> fmt::Result {
        let mut object = Object::within(&mut writer);
        let mut members = Members::new(&mut object);
        fields.record(&mut members);
        members.end()
    }

    fn add_fields(
        &self,
        current: &'a mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        let mut added = String::new();
        self.format_fields(Writer::new(&mut added), fields)?;
        current.fields = without_repeated(&current.fields, &added);
        Ok(())
    }
}
