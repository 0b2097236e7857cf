//! Work that no request waits for: jobs, messages, tasks.

use std::{
    collections::HashMap,
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
};

use futures_util::FutureExt;
use opentelemetry::{
    KeyValue, global,
    trace::{SpanId, SpanKind, TraceContextExt, Tracer, TracerProvider},
};
use tower_telemetry::{
    background::{self, Work},
    propagation::W3c,
    testing::TestTelemetry,
};

const HEADERS: [(&str, &str); 1] =
    [("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];

#[derive(Debug)]
struct OutOfStock;

/// All tests of this process install the same propagator.
fn telemetry() -> TestTelemetry {
    global::set_text_map_propagator(W3c::new());
    TestTelemetry::new()
}

#[tokio::test]
async fn outcomes() {
    type Case = (&'static str, fn(Work) -> (), Option<&'static str>);
    let cases: [Case; 6] = [
        ("run", |work| work.run(ready(3)).now_or_never().map_or((), |n| assert_eq!(n, 3)), None),
        ("success", |work| _ = work.try_run(ready(Ok::<_, OutOfStock>(3))).now_or_never(), None),
        (
            "error",
            |work| _ = work.try_run(ready(Err::<(), _>(OutOfStock))).now_or_never(),
            Some("background::OutOfStock"),
        ),
        ("cancelled", |work| _ = work.run(pending::<()>()).now_or_never(), Some("cancelled")),
        ("never polled", |work| drop(work.run(pending::<()>())), Some("cancelled")),
        (
            "panic",
            |work| {
                let mut working = Box::pin(work.run(async { panic!("as requested") }));
                let polled = catch_unwind(AssertUnwindSafe(|| (&mut working).now_or_never()));
                assert!(polled.is_err());
            },
            Some("panic"),
        ),
    ];
    for (name, run, error_type) in cases {
        let telemetry = telemetry();
        run(Work::job(name).with_tracer_provider(telemetry.tracer_provider()));
        let span = telemetry.span(name);
        assert_eq!(
            span.attribute("error.type").map(|value| value.to_string()).as_deref(),
            error_type
        );
        match error_type {
            Some(_) => span.assert_error(),
            None => span.assert_no_error(),
        };
    }
}

#[tokio::test]
async fn parents_and_links() {
    let telemetry = telemetry();
    let provider = telemetry.tracer_provider();
    let tracer = provider.tracer("test");
    let inside = || async { background::context_headers() };
    let (task, job) = tracer.in_span("request", |_| {
        let task = Work::task("task").with_tracer_provider(provider).run(inside());
        (task, Work::job("job").with_tracer_provider(provider).run(inside()))
    });
    let headers = task.await;
    job.await;
    let request = telemetry.span("request");
    let task = telemetry.span("task");
    task.assert_child_of(&request);
    let traceparent = format!("00-{}-{}-01", task.trace_id(), task.span_id());
    assert_eq!(headers, [("traceparent".to_owned(), traceparent)]);
    telemetry.span("job").assert_root();
    assert_ne!(telemetry.span("job").trace_id(), request.trace_id());

    // From a sender to a receiver, as a child and as a link.
    let send = Work::send("orders").with_system("nats").with_tracer_provider(provider);
    let headers: HashMap<String, String> = send.run(inside()).await.into_iter().collect();
    let sent = telemetry.span("send orders");
    assert_eq!(sent.span_kind, SpanKind::Producer);
    let process = || Work::process("orders").with_tracer_provider(provider);
    process().child_of(&headers).run(ready(())).await;
    let processed = telemetry.span("process orders");
    processed
        .assert_child_of(&sent)
        .assert_attribute("messaging.destination.name", "orders")
        .assert_attribute("messaging.operation.name", "process")
        .assert_attribute("messaging.operation.type", "process");
    sent.assert_attribute("messaging.system", "nats");
    assert_eq!(processed.span_kind, SpanKind::Consumer);

    let batch = Work::process("batch").with_tracer_provider(provider);
    batch.linked_to(&headers).linked_to(HEADERS).linked_to([("x", "y")]).run(ready(())).await;
    let batch = telemetry.span("process batch");
    batch.assert_root();
    let links: Vec<_> = batch.links.iter().map(|link| link.span_context.span_id()).collect();
    assert_eq!(links, [sent.span_id(), SpanId::from_hex("00f067aa0ba902b7").unwrap()]);
}

/// The headers of a message are not trusted: without a valid context the work has a trace of its own.
#[tokio::test]
async fn headers_of_messages() {
    let parent = "00f067aa0ba902b7";
    const VALID: &str = HEADERS[0].1;
    type Headers<'a> = &'a [(&'a str, &'a [u8])];
    let rows: [(Headers<'_>, &str); 8] = [
        (&[("traceparent", VALID.as_bytes())], parent),
        (&[("TRACEPARENT", VALID.as_bytes())], parent),
        (&[("x", b"y"), ("traceparent", VALID.as_bytes()), ("traceparent", b"second")], parent),
        (&[], ""),
        (&[("traceparent", b"")], ""),
        (&[("traceparent", &[0xff, 0xfe])], ""),
        (&[("traceparent", b"00-00000000000000000000000000000000-00f067aa0ba902b7-01")], ""),
        (&[("", VALID.as_bytes())], ""),
    ];
    for (headers, expected) in rows {
        let telemetry = telemetry();
        let work = Work::process("orders").with_tracer_provider(telemetry.tracer_provider());
        work.child_of(headers.iter().copied()).run(ready(())).await;
        let span = telemetry.span("process orders");
        let expected = SpanId::from_hex(expected).unwrap_or(SpanId::INVALID);
        assert_eq!(span.parent_span_id, expected, "{headers:?}");
    }
}

/// The span is current in the future and in what it calls, and not in what polls it.
#[tokio::test]
async fn the_span_is_current_in_each_poll() {
    let telemetry = telemetry();
    let current = || opentelemetry::Context::map_current(|cx| cx.span().span_context().span_id());
    let work = Work::job("job").with_tracer_provider(telemetry.tracer_provider());
    let work = work.with_attribute(KeyValue::new("shop.id", 7));
    let ids = work
        .run(async {
            let before = current();
            tokio::task::yield_now().await;
            (before, current())
        })
        .await;
    let span = telemetry.span("job");
    span.assert_attribute("shop.id", 7);
    assert_eq!(ids, (span.span_id(), span.span_id()));
    assert_eq!(current(), SpanId::INVALID);
}
