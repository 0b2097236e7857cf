//! Lines for a log collector.

use std::fmt::{self, Write};

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
    JsonFormat,
    format::WriteLine,
    json::Schema,
    json_object::{Members, Object, TopLevel, without_repeated},
    teardown::map_context,
    with_trace_context::Ids,
};

impl JsonFormat {
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
        let baggage = self.baggage.as_ref().and_then(|keys| map_context(|cx| keys.read(cx)));
        if let Some(baggage) = baggage.filter(|baggage| !baggage.is_empty()) {
            object.key("baggage")?;
            object.nested(|object| {
                let mut entries = baggage.iter();
                entries
                    .try_for_each(|it| object.text(it.key.as_str(), format_args!("{}", it.value)))
            })?;
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
