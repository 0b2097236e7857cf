//! A span that has ended.

use std::{fmt, ops::Deref};

use opentelemetry::{
    Value,
    trace::{SpanId, Status, TraceId},
};
use opentelemetry_sdk::trace::SpanData;

use super::test_telemetry::assert_attribute;

/// A span that has ended. It dereferences to the SDK's [`SpanData`].
#[derive(Debug, Clone)]
pub struct RecordedSpan(SpanData);

impl RecordedSpan {
    pub(super) fn new(span: SpanData) -> Self {
        Self(span)
    }

    /// Returns the id of the trace.
    pub fn trace_id(&self) -> TraceId {
        self.span_context.trace_id()
    }

    /// Returns the id of the span.
    pub fn span_id(&self) -> SpanId {
        self.span_context.span_id()
    }

    /// Returns an attribute.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|pair| pair.key.as_str() == key).map(|pair| &pair.value)
    }

    /// Checks an attribute.
    ///
    /// # Panics
    ///
    /// If the span does not have it, or it has another value or type.
    #[track_caller]
    pub fn assert_attribute(&self, key: &str, value: impl Into<Value>) -> &Self {
        assert_attribute(self, key, self.attribute(key), &value.into());
        self
    }

    /// Checks that the span does not have an attribute.
    ///
    /// # Panics
    ///
    /// If the span has it.
    #[track_caller]
    pub fn assert_no_attribute(&self, key: &str) -> &Self {
        let value = self.attribute(key);
        assert!(value.is_none(), "{self} has the attribute {key}: {value:?}");
        self
    }

    /// Checks that the span has no parent.
    ///
    /// # Panics
    ///
    /// If it has one.
    #[track_caller]
    pub fn assert_root(&self) -> &Self {
        let parent = self.parent_span_id;
        assert_eq!(parent, SpanId::INVALID, "the parent of {self}");
        self
    }

    /// Checks that the span is a child of another span, in the same trace.
    ///
    /// # Panics
    ///
    /// If it has another parent or is in another trace.
    #[track_caller]
    pub fn assert_child_of(&self, parent: &Self) -> &Self {
        assert_eq!(self.trace_id(), parent.trace_id(), "the traces of {self} and {parent}");
        assert_eq!(
            self.parent_span_id,
            parent.span_id(),
            "the parent of {self}, which is not {parent}"
        );
        self
    }

    /// Checks that the status is an error.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[track_caller]
    pub fn assert_error(&self) -> &Self {
        let status = &self.status;
        assert!(matches!(status, Status::Error { .. }), "the status of {self} is {status:?}");
        self
    }

    /// Checks that the status is no error.
    ///
    /// # Panics
    ///
    /// If it is one.
    #[track_caller]
    pub fn assert_no_error(&self) -> &Self {
        let status = &self.status;
        assert!(!matches!(status, Status::Error { .. }), "the status of {self} is {status:?}");
        self
    }

    /// Checks that the span has an event of this name.
    ///
    /// # Panics
    ///
    /// If it has none.
    #[track_caller]
    pub fn assert_event(&self, name: &str) -> &Self {
        let names = Vec::from_iter(self.events.iter().map(|event| &*event.name));
        assert!(names.contains(&name), "{self} has no event {name:?}, but these: {names:?}");
        self
    }
}

impl Deref for RecordedSpan {
    type Target = SpanData;

    fn deref(&self) -> &SpanData {
        &self.0
    }
}

impl fmt::Display for RecordedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the span {:?}", self.name)
    }
}
