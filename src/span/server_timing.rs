//! The header that sends the id of the trace to callers.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use opentelemetry::{Context, trace::TraceContextExt};

use crate::traceparent::TraceParent;

/// Adds `Server-Timing` with the ids of the server's span.
pub(super) fn add(context: &Context, headers: &mut HeaderMap) {
    // Without a provider the span is the caller's own, which the caller knows.
    let is_own = !context.span().span_context().is_remote();
    let Some(parent) = TraceParent::of(context).filter(|_| is_own) else { return };
    let value = format!("traceparent;desc=\"{}\"", parent.to_text());
    let Ok(value) = HeaderValue::try_from(value) else { return };
    // `append` panics if the map is full.
    let _ = headers.try_append(SERVER_TIMING, value);
    let _ = headers.try_append(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Server-Timing"),
    );
}

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
