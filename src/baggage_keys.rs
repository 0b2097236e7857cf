//! Baggage as attributes of spans, log records and log lines.

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    Context, InstrumentationScope, Key, KeyValue,
    baggage::BaggageExt,
    logs::{AnyValue, LogRecord},
    trace::Span as _,
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogProcessor, SdkLogRecord},
    trace::{Span, SpanData, SpanProcessor},
};

use crate::convention::values;

/// The keys of baggage that become attributes, such as `tenant`.
///
/// [`with_baggage_attributes`](crate::setup::TelemetryBuilder::with_baggage_attributes) applies it to
/// spans, log records and log lines. With providers of your own it is a [`SpanProcessor`] and a
/// [`LogProcessor`], to be added before those that export, and an option of the formats of log lines
/// (`JsonFormat::with_baggage`, `PrettyFormat::with_baggage`):
///
/// ```
/// use opentelemetry_sdk::{logs::SdkLoggerProvider, trace::SdkTracerProvider};
/// use tower_telemetry::BaggageKeys;
///
/// let keys = BaggageKeys::new(["tenant", "shop.channel"]);
/// let tracers = SdkTracerProvider::builder().with_span_processor(keys.clone());
/// let loggers = SdkLoggerProvider::builder().with_log_processor(keys);
/// # drop((tracers.build(), loggers.build()));
/// ```
///
/// # What is emitted
///
/// | where | what |
/// |---|---|
/// | span | an attribute for each listed key that is in the baggage when the span begins |
/// | log record | the same for the baggage that is current when the record is emitted |
/// | JSON line | an object `baggage` with these keys |
/// | line for a terminal | ` key="value"` behind the fields |
///
/// The name of the attribute is the key. A value that is longer than 256 bytes is cut. Metadata of an
/// entry is left out. An attribute of the same name that a span or a record has already stays, so that
/// it has two: list no key of the conventions.
///
/// # Callers
///
/// Baggage is what a caller chose. List keys whose values you may store, and do not trust them: a
/// caller can name another tenant, or a new one in each request. So baggage never becomes a label of a
/// metric. A server with
/// [`with_public_endpoint`](crate::Convention::with_public_endpoint) drops the baggage of its callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaggageKeys(Arc<[Key]>);

impl BaggageKeys {
    /// Lists the keys, in the order in which they become attributes. Repeated keys count once.
    pub fn new<K: Into<Key>>(keys: impl IntoIterator<Item = K>) -> Self {
        let mut unique = Vec::new();
        for key in keys.into_iter().map(Into::into) {
            if !unique.contains(&key) {
                unique.push(key);
            }
        }
        Self(unique.into())
    }

    /// Returns the attributes for the baggage of a context.
    pub(crate) fn read(&self, cx: &Context) -> Vec<KeyValue> {
        let baggage = cx.baggage();
        if baggage.is_empty() {
            return Vec::new();
        }
        let attribute = |key: &Key| {
            let value = values::truncated(baggage.get(key)?.as_str(), LONGEST_VALUE);
            Some(KeyValue::new(key.clone(), value.to_owned()))
        };
        self.0.iter().filter_map(attribute).collect()
    }
}

impl SpanProcessor for BaggageKeys {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        span.set_attributes(self.read(cx));
    }

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for BaggageKeys {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        for KeyValue { key, value, .. } in Context::map_current(|cx| self.read(cx)) {
            record.add_attribute(key, AnyValue::from(value.as_str().into_owned()));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// In bytes.
const LONGEST_VALUE: usize = 256;
