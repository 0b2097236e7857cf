//! Every way in which an exchange can end is recorded exactly once, with the right `error.type`.

use std::{future::Future, io, panic::AssertUnwindSafe, pin::pin, task};

use futures_util::FutureExt;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use opentelemetry::trace::Status;
use tower::{Layer, Service, service_fn};
use tower_telemetry::{Convention, Side};

use crate::support::{
    AnyConvention, EXPECTED_PANIC, Script,
    Step::{self, *},
    Telemetry, attribute, expect_panics, seconds,
};

/// The behaviour of the service.
#[derive(Clone)]
enum Answer {
    Response(StatusCode, &'static [(&'static str, &'static str)], Script),
    Error,
    PanicInCall,
    PanicInFuture,
    Never,
}

/// The behaviour of the caller.
#[derive(Debug, Clone, Copy)]
enum Reader {
    ReadsAll,
    ReadsFrames(usize),
    DropsFuture,
    DropsFutureUnpolled,
}

use Reader::*;

/// Runs one exchange, and checks its telemetry. A status of 0 stands for no response.
#[track_caller]
fn check(
    side: Side,
    method: Method,
    answer: Answer,
    reader: Reader,
    status: u16,
    error_type: Option<&str>,
) {
    expect_panics();
    let telemetry = Telemetry::new();
    let ends_at_head = |head: &http::request::Parts| head.uri.path() == "/head";
    let convention: AnyConvention = match side {
        Side::Server => Convention::server().with_end_at_head(ends_at_head).into(),
        _ => Convention::client().with_end_at_head(ends_at_head).into(),
    };
    let service = service_fn(move |_: Request<String>| {
        assert!(!matches!(answer, Answer::PanicInCall), "{EXPECTED_PANIC}");
        let answer = answer.clone();
        async move {
            match answer {
                Answer::Response(status, headers, script) => {
                    let mut response = Response::builder().status(status);
                    for (name, value) in headers {
                        response = response.header(*name, *value);
                    }
                    Ok(response.body(script).unwrap())
                }
                Answer::Error => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                Answer::PanicInFuture => panic!("{EXPECTED_PANIC}"),
                Answer::PanicInCall => unreachable!("`call` panics"),
                Answer::Never => std::future::pending().await,
            }
        }
    });
    let mut service = telemetry.stack(convention).layer(service);
    let uri = match reader {
        ReadsFrames(0) if method == Method::PUT => "http://example.com/head",
        _ => "http://example.com/users/7",
    };
    let request = Request::builder().method(method).uri(uri).body(String::new()).unwrap();
    // Catches panics outside of the layer, as `CatchPanic` does. Nothing unwinds any more when the
    // future is dropped.
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut future = pin!(AssertUnwindSafe(service.call(request)).catch_unwind());
        let mut cx = task::Context::from_waker(task::Waker::noop());
        match reader {
            DropsFutureUnpolled => {}
            DropsFuture => assert!(future.as_mut().poll(&mut cx).is_pending()),
            ReadsAll | ReadsFrames(_) => {
                let Some(Ok(Ok(response))) = future.now_or_never() else { return };
                let mut body = response.into_body();
                let frames = if let ReadsFrames(frames) = reader { frames } else { usize::MAX };
                for _ in 0..frames {
                    let mut frame = pin!(AssertUnwindSafe(body.frame()).catch_unwind());
                    match frame.as_mut().poll(&mut cx) {
                        task::Poll::Ready(Ok(Some(Ok(_)))) => {}
                        _ => break,
                    }
                }
                if let ReadsAll = reader {
                    // The exchange must have ended although the body is never dropped.
                    std::mem::forget(body);
                }
            }
        }
    }));
    drop(outcome);

    let spans = telemetry.spans();
    assert_eq!(spans.len(), 1, "one span ended");
    let span = &spans[0];
    let expected = match error_type {
        Some(_) => Status::Error { description: "".into() },
        None => Status::Unset,
    };
    assert_eq!(span.status, expected);
    assert_eq!(attribute(span, "error.type").as_deref(), error_type);
    let code = (status != 0).then(|| status.to_string());
    assert_eq!(attribute(span, "http.response.status_code").as_deref(), code.as_deref());

    let duration = telemetry.duration();
    assert_eq!(duration.count, 1, "the duration was recorded once");
    assert_eq!(duration.sum, seconds(span), "span and metric have the same duration");
    let label = |key: &str| duration.labels.get(key).map(String::as_str);
    let quoted = error_type.map(|kind| format!("String(({kind:?}))"));
    assert_eq!(label("error.type"), quoted.as_deref());
    assert_eq!(label("status_class").is_some(), status != 0);
    assert_eq!(telemetry.active(), 0, "no request is active");
}

fn answer(steps: &[Step]) -> Answer {
    Answer::Response(StatusCode::OK, &[], Script::new(steps))
}

fn status(status: u16, steps: &[Step]) -> Answer {
    Answer::Response(StatusCode::from_u16(status).unwrap(), &[], Script::new(steps))
}

fn headers(headers: &'static [(&'static str, &'static str)], steps: &[Step]) -> Answer {
    Answer::Response(StatusCode::OK, headers, Script::new(steps))
}

const HALF: &[Step] = &[Data("ab"), Pending];
const SSE: &[(&str, &str)] = &[("content-type", "text/event-stream; charset=utf-8")];

#[test]
fn ends_on_both_sides() {
    let knows_end = Script { knows_end: true, ..Script::new(&[Data("ab"), Data("cd")]) };
    let knows_end = Answer::Response(StatusCode::OK, &[], knows_end);
    let knows_length = Script { knows_length: true, ..Script::new(&[Data("ab"), Pending]) };
    let knows_length = Answer::Response(StatusCode::OK, &[], knows_length);
    let empty = Script { knows_end: true, ..Script::default() };
    let empty = Answer::Response(StatusCode::OK, &[], empty);
    for side in [Side::Server, Side::Client] {
        let get = |answer, reader, status, error| {
            check(side, Method::GET, answer, reader, status, error);
        };
        // Complete.
        get(answer(&[Data("ab"), Data("cd")]), ReadsAll, 200, None);
        get(answer(&[Data("ab"), Trailers]), ReadsAll, 200, None);
        get(answer(&[Data("ab"), Trailers]), ReadsFrames(2), 200, None);
        get(knows_end.clone(), ReadsFrames(2), 200, None);
        get(knows_length.clone(), ReadsFrames(1), 200, None);
        get(headers(&[("content-length", "2")], HALF), ReadsFrames(1), 200, None);
        get(empty.clone(), ReadsFrames(0), 200, None);
        get(status(204, HALF), ReadsFrames(0), 204, None);
        get(status(304, HALF), ReadsFrames(0), 304, None);
        get(status(103, HALF), ReadsFrames(0), 103, None);
        get(status(101, HALF), ReadsFrames(0), 101, None);
        check(
            side,
            Method::HEAD,
            headers(&[("content-length", "2")], HALF),
            ReadsFrames(0),
            200,
            None,
        );
        check(side, Method::CONNECT, answer(HALF), ReadsFrames(0), 200, None);
        get(headers(SSE, HALF), ReadsFrames(1), 200, None);
        check(side, Method::PUT, answer(HALF), ReadsFrames(0), 200, None);
        // Complete, with an error status.
        get(status(500, &[]), ReadsAll, 500, Some("500"));
        get(status(302, &[]), ReadsAll, 302, None);
        // Failed.
        get(Answer::Error, ReadsAll, 0, Some("connection_refused"));
        get(answer(&[Data("ab"), Error]), ReadsAll, 200, Some("broken_pipe"));
        get(status(500, &[Error]), ReadsAll, 500, Some("broken_pipe"));
        get(headers(SSE, &[Data("ab"), Error]), ReadsAll, 200, Some("broken_pipe"));
        // Panicked.
        get(Answer::PanicInCall, ReadsAll, 0, Some("panic"));
        get(Answer::PanicInFuture, ReadsAll, 0, Some("panic"));
        get(answer(&[Data("ab"), Panic]), ReadsAll, 200, Some("panic"));
    }
}

#[test]
fn ends_on_a_server() {
    let get = |answer, reader, status, error| {
        check(Side::Server, Method::GET, answer, reader, status, error);
    };
    get(status(404, &[]), ReadsAll, 404, None);
    get(Answer::Never, DropsFuture, 0, Some("cancelled"));
    get(Answer::Never, DropsFutureUnpolled, 0, Some("cancelled"));
    get(answer(HALF), ReadsFrames(0), 200, Some("cancelled"));
    get(answer(HALF), ReadsFrames(1), 200, Some("cancelled"));
    get(status(500, HALF), ReadsFrames(1), 500, Some("cancelled"));
    get(headers(&[("content-length", "4")], HALF), ReadsFrames(1), 200, Some("cancelled"));
    check(Side::Server, Method::CONNECT, status(403, HALF), ReadsFrames(1), 403, Some("cancelled"));
}

#[test]
fn ends_on_a_client() {
    let get = |answer, reader, status, error| {
        check(Side::Client, Method::GET, answer, reader, status, error);
    };
    get(status(404, &[]), ReadsAll, 404, Some("404"));
    get(Answer::Never, DropsFuture, 0, None);
    get(Answer::Never, DropsFutureUnpolled, 0, None);
    get(answer(HALF), ReadsFrames(0), 200, None);
    get(answer(HALF), ReadsFrames(1), 200, None);
    get(status(404, HALF), ReadsFrames(0), 404, Some("404"));
    get(status(503, HALF), ReadsFrames(1), 503, Some("503"));
}

#[tokio::test]
async fn the_response_body_is_forwarded_unchanged() {
    use http_body::Body;
    let telemetry = Telemetry::new();
    let script =
        Script { knows_end: true, knows_length: true, ..Script::new(&[Data("ab"), Trailers]) };
    let service = service_fn(move |_: Request<()>| {
        let script = script.clone();
        async { Ok::<_, io::Error>(Response::new(script)) }
    });
    let mut service = telemetry.stack(Convention::server()).layer(service);
    let mut body = service.call(Request::new(())).await.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(2));
    assert!(!body.is_end_stream());
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
    assert!(!body.is_end_stream());
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["x-checksum"], "1");
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
}

/// The request's size is the announced length. The response's size is the number of delivered
/// bytes.
#[test]
fn body_sizes_are_recorded_once_per_exchange() {
    let sent = |request: Request<String>, answer: Script, frames: usize| {
        let telemetry = Telemetry::new();
        let service = service_fn(move |_: Request<String>| {
            let answer = answer.clone();
            async { Ok::<_, io::Error>(Response::new(answer)) }
        });
        let mut service = telemetry.stack(Convention::server()).layer(service);
        let mut body = service.call(request).now_or_never().unwrap().unwrap().into_body();
        for _ in 0..frames {
            let _ = body.frame().now_or_never();
        }
        drop(body);
        let of = |name| telemetry.points_of(name).first().map(|point| (point.count, point.sum));
        (of("request.body.size"), of("response.body.size"))
    };
    let post = |version, length: Option<&str>| {
        let mut request = Request::post("/").version(version);
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        request.body(String::from("ignored")).unwrap()
    };
    use http::Version as V;
    let five = Script::new(&[Data("0123456789"); 5]);
    assert_eq!(
        sent(post(V::HTTP_11, Some("7")), five.clone(), 9),
        (Some((1, 7.0)), Some((1, 50.0)))
    );
    assert_eq!(sent(post(V::HTTP_11, None), five.clone(), 2), (Some((1, 0.0)), Some((1, 20.0))));
    assert_eq!(sent(post(V::HTTP_2, None), five.clone(), 0), (None, Some((1, 0.0))));
    for malformed in ["", "+7", "-1", "7, 7", "99999999999999999999", "9223372036854775807"] {
        assert_eq!(sent(post(V::HTTP_11, Some(malformed)), five.clone(), 0).0, None, "{malformed}");
    }
}

#[test]
fn a_panicking_hook_ends_the_exchange_and_leaks_no_active_request() {
    expect_panics();
    let server = Convention::server;
    let hostile: [AnyConvention; 5] = [
        server().with_response_labels(|_| panic!("{EXPECTED_PANIC}")).into(),
        server().with_response_attributes(|_| panic!("{EXPECTED_PANIC}")).into(),
        server().with_error_type(|_| panic!("{EXPECTED_PANIC}")).into(),
        server().with_request_labels(|_| panic!("{EXPECTED_PANIC}")).into(),
        Convention::client().with_request_attributes(|_| panic!("{EXPECTED_PANIC}")).into(),
    ];
    for (i, convention) in hostile.into_iter().enumerate() {
        let telemetry = Telemetry::new();
        let service = service_fn(move |_: Request<String>| async move {
            match i {
                2 => Err(io::Error::other("failed")),
                _ => Ok(Response::new(String::new())),
            }
        });
        let mut service = telemetry.stack(convention).layer(service);
        let call = AssertUnwindSafe(|| {
            service.call(crate::support::get("http://a/")).now_or_never().unwrap()
        });
        // The hook for errors may run inside `Drop`, so its panic is caught.
        assert_eq!(std::panic::catch_unwind(call).is_err(), i != 2, "{i}");
        assert_eq!(telemetry.active(), 0, "{i}");
        let ended = telemetry.spans();
        let durations = telemetry.points_of("duration").iter().map(|p| p.count).sum::<u64>();
        assert_eq!(ended.len() as u64, durations, "{i}");
        if i < 3 {
            let expected = if i == 2 { "std::io::error::Error" } else { "panic" };
            assert_eq!(attribute(&ended[0], "error.type").as_deref(), Some(expected));
        }
    }
    // The same for a client with a panicking rule for destinations.
    let telemetry = Telemetry::new();
    let layer = telemetry.stack(Convention::client());
    let layer = layer.with_destinations(|_| panic!("{EXPECTED_PANIC}"));
    let mut service = layer.layer(service_fn(crate::support::hello::<String>));
    let call = AssertUnwindSafe(|| drop(service.call(crate::support::get("http://a/"))));
    assert!(std::panic::catch_unwind(call).is_err());
    assert_eq!(telemetry.active(), 0);
}

/// An outer layer may replace the response, so it must be able to build our body type.
#[tokio::test]
async fn an_outer_timeout_cancels_the_exchange() {
    let telemetry = Telemetry::new();
    let service = tower::ServiceBuilder::new()
        .layer(tower_http::cors::CorsLayer::permissive())
        .layer(tower_http::timeout::TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            std::time::Duration::from_millis(20),
        ))
        .layer(telemetry.stack(Convention::server()))
        .service(service_fn(|_: Request<String>| {
            std::future::pending::<Result<Response<String>, std::convert::Infallible>>()
        }));
    let answer = tower::ServiceExt::oneshot(service, crate::support::get("/")).await.unwrap();
    assert_eq!(answer.status(), 408);
    let span = &telemetry.spans()[0];
    assert_eq!(attribute(span, "error.type").as_deref(), Some("cancelled"));
    assert_eq!(telemetry.active(), 0);
}

/// Recording the calls of an exporter would make it export for ever.
#[tokio::test]
async fn suppressed_telemetry_is_not_recorded() {
    let telemetry = Telemetry::new();
    let mut service =
        telemetry.stack(Convention::client()).layer(service_fn(crate::support::hello));
    let suppressed = opentelemetry::Context::enter_telemetry_suppressed_scope();
    let call = service.call(crate::support::get("http://collector/v1/traces"));
    drop(suppressed);
    call.await.unwrap().into_body().collect().await.unwrap();
    assert!(telemetry.spans().is_empty());
    assert!(telemetry.points().is_empty());
}

/// A caller announces lengths without sending them. Their sum must not overflow, not even while a panic
/// of the handler unwinds.
#[test]
fn announced_lengths_never_overflow() {
    expect_panics();
    let telemetry = Telemetry::new();
    let service = service_fn(|request: Request<String>| async move {
        assert!(request.uri().path() != "/panic", "{EXPECTED_PANIC}");
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let mut service = telemetry.stack(Convention::server()).layer(service);
    let largest = 1_u64 << 40;
    for length in [i64::MAX as u64, u64::MAX, largest + 1, largest] {
        for path in ["/", "/panic"] {
            for _ in 0..3000 {
                let request = Request::post(path).header("content-length", length);
                let request = request.body(String::new()).unwrap();
                let call = AssertUnwindSafe(|| drop(service.call(request).now_or_never()));
                assert_eq!(std::panic::catch_unwind(call).is_err(), path == "/panic");
            }
        }
    }
    assert_eq!(telemetry.active(), 0);
    let durations = telemetry.points_of("request.duration");
    assert_eq!(durations.iter().map(|point| point.count).sum::<u64>(), 24_000);
    let sizes = telemetry.points_of("request.body.size");
    let sum: f64 = sizes.iter().map(|point| point.sum).sum();
    assert_eq!(sum, 6000.0 * largest as f64, "only plausible lengths");
}

/// A body may learn between the head and the first poll that nothing follows. A server then drops it
/// without a poll.
#[test]
fn a_body_that_ends_before_its_first_poll_is_complete() {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    struct Late(Arc<AtomicBool>);

    impl http_body::Body for Late {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
            std::task::Poll::Ready(None)
        }

        fn is_end_stream(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    for has_ended in [false, true] {
        let telemetry = Telemetry::new();
        let is_over = Arc::new(AtomicBool::new(false));
        let body = Arc::clone(&is_over);
        let service = service_fn(move |_: Request<String>| {
            std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(Late(body.clone()))))
        });
        let mut service = telemetry.stack(Convention::server()).layer(service);
        let response = service.call(crate::support::get("/")).now_or_never().unwrap().unwrap();
        is_over.store(has_ended, Ordering::Relaxed);
        drop(response);
        let error_type = attribute(&telemetry.spans()[0], "error.type").map(String::from);
        assert_eq!(error_type.as_deref(), (!has_ended).then_some("cancelled"));
    }
}

/// A size that doesn't fit into the sum of the others is not recorded.
#[test]
fn sizes_beyond_the_sum_are_not_recorded() {
    expect_panics();
    let telemetry = Telemetry::new();
    let mut service =
        telemetry.stack(Convention::client()).layer(service_fn(crate::support::hello::<String>));
    for bytes in [u64::MAX - 5, 5, 1, 7] {
        let mut request = crate::support::get("http://a/");
        request.extensions_mut().insert(tower_telemetry::RequestBodySize::new(bytes));
        drop(service.call(request).now_or_never().unwrap().unwrap());
    }
    let sizes = telemetry.points_of("request.body.size");
    assert_eq!((sizes.len(), sizes[0].count), (1, 2));
    assert_eq!(telemetry.duration().count, 4);
    let overflows = crate::support::OVERFLOWS.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(overflows, 0, "the SDK's sum overflowed");
}
