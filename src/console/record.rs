//! Log records as lines.

use std::{fmt, time::SystemTime};

use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry_sdk::logs::SdkLogRecord;

use super::Line;
use crate::stdout::{Colours, Escaped};

/// Returns a record as a line.
pub(super) fn line(record: &SdkLogRecord, colours: Colours) -> Line {
    let context = record.trace_context();
    Line {
        span: context.map(|context| (context.trace_id, context.span_id)),
        time: record
            .timestamp()
            .or_else(|| record.observed_timestamp())
            .unwrap_or_else(SystemTime::now),
        text: Text { record, colours }.to_string(),
    }
}

struct Text<'a> {
    record: &'a SdkLogRecord,
    colours: Colours,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { record, colours } = self;
        let severity = record.severity_text().unwrap_or_default();
        let colour = match record.severity_number() {
            Some(number) if number >= Severity::Error => colours.red(),
            _ => colours.dim(),
        };
        write!(f, "{colour}{severity:>5}{}", colours.end())?;
        if let Some(target) = record.target() {
            write!(f, " {}{}:{}", colours.dim(), Escaped(target), colours.end())?;
        }
        if let Some(body) = record.body() {
            write!(f, " {}", Escaped(Shown(body)))?;
        }
        let mut attributes =
            record.attributes_iter().filter(|(key, _)| !key.as_str().starts_with("log."));
        attributes
            .try_for_each(|(key, value)| write!(f, " {}={}", Escaped(key), Escaped(Shown(value))))
    }
}

/// Displays a value of a log record.
struct Shown<'a>(&'a AnyValue);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            AnyValue::String(text) => write!(f, "{text}"),
            AnyValue::Int(number) => write!(f, "{number}"),
            AnyValue::Double(number) => write!(f, "{number}"),
            AnyValue::Boolean(truth) => write!(f, "{truth}"),
            other => write!(f, "{other:?}"),
        }
    }
}
