//! Spans of `tracing` and spans of the layers form one trace.

use std::convert::Infallible;

use http::{Request, Response};
use opentelemetry::trace::{SpanKind, TracerProvider};
use tower::{Layer, ServiceExt, service_fn};
use tower_telemetry::Convention;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{Telemetry, get};

/// A `tracing` span in a handler is a child of the server's span, and the parent of a client's
/// span. The task yields in between, so the context must survive another poll.
#[tokio::test]
async fn spans_of_tracing_join_the_trace() {
    let telemetry = Telemetry::new();
    let tracer = telemetry.tracers.tracer("handler");
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(tracer.clone()));
    let _default = tracing::subscriber::set_default(subscriber);

    let client = telemetry.stack(Convention::client()).layer(service_fn(crate::support::hello));
    let handler = service_fn(move |_: Request<String>| {
        let client = client.clone();
        let work = async move {
            tokio::task::yield_now().await;
            client.oneshot(get("http://backend/")).await.unwrap();
            Ok::<_, Infallible>(Response::new(String::new()))
        };
        work.instrument(tracing::info_span!("of tracing"))
    });
    let service = telemetry.stack(Convention::server()).layer(handler);
    service.oneshot(get("/")).await.unwrap();

    let spans = telemetry.spans();
    let of = |name: &str, kind: SpanKind| {
        let found = spans.iter().find(|span| span.name == name && span.span_kind == kind);
        found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
    };
    let server = of("GET", SpanKind::Server);
    let tracing = of("of tracing", SpanKind::Internal);
    let client = of("GET", SpanKind::Client);
    assert_eq!(spans.len(), 3);
    assert_eq!(tracing.parent_span_id, server.span_context.span_id());
    assert_eq!(client.parent_span_id, tracing.span_context.span_id());
    assert!(spans.iter().all(|s| s.span_context.trace_id() == server.span_context.trace_id()));
}
