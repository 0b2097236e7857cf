//! Formats of lines for a log collector: their keys, and the presets.

use std::borrow::Cow;

use crate::baggage_keys::BaggageKeys;

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
    pub(super) schema: Schema,
    pub(super) timestamp: Key,
    pub(super) level: Key,
    /// `None`: the message is one of the fields.
    pub(super) message: Option<Key>,
    pub(super) target: Key,
    pub(super) service: Option<Key>,
    pub(super) service_name: Option<String>,
    pub(super) baggage: Option<BaggageKeys>,
}

type Key = Cow<'static, str>;

/// The demands of a collector beyond the names of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Schema {
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
            baggage: None,
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

    /// Adds an object `baggage` with these keys of the current baggage.
    ///
    /// With [`with_log_lines`](crate::setup::TelemetryBuilder::with_log_lines) the keys are those of
    /// [`with_baggage_attributes`](crate::setup::TelemetryBuilder::with_baggage_attributes), unless the
    /// format has some.
    #[must_use]
    pub fn with_baggage(mut self, keys: BaggageKeys) -> Self {
        self.baggage = Some(keys);
        self
    }

    pub(super) fn with_default_baggage(mut self, keys: Option<BaggageKeys>) -> Self {
        self.baggage = self.baggage.or(keys);
        self
    }

    /// Sets the name of the service if there is a key for it, and no name yet.
    pub(super) fn with_default_service_name(mut self, name: Option<String>) -> Self {
        if self.service.is_some() && self.service_name.is_none() {
            self.service_name = name;
        }
        self
    }
}

impl Default for JsonFormat {
    fn default() -> Self {
        Self::new()
    }
}
