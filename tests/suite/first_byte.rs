//! The bytes of request bodies that are read, and the time to the first byte of responses.

use std::{
    io,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_telemetry::{
    Client, Convention, CountedRequestBody, RequestBodyLayer, Server, TelemetryLayer,
};

use crate::support::{
    AnyConvention, EXPECTED_PANIC, Script, Step, Step::*, Telemetry, expect_panics, hello,
};

fn sides() -> [AnyConvention; 2] {
    [Convention::<Server>::server().into(), Convention::<Client>::client().into()]
}

/// Count and sum of the only series of a metric whose name ends in `name`.
fn point(telemetry: &Telemetry, name: &str) -> Option<(u64, f64)> {
    let points = telemetry.points_of(name);
    assert!(points.len() <= 1, "{points:?}");
    points.first().map(|point| (point.count, point.sum))
}

/// Does with the request body what a row says.
#[derive(Debug, Clone, Copy)]
enum Handler {
    /// Reads as many frames, and answers.
    Reads(usize),
    /// Reads as many frames, and fails.
    Fails(usize),
    /// Reads as many frames, and panics.
    Panics(usize),
    /// Reads as many frames, and never answers.
    Hangs(usize),
    /// Answers without the body, which it still holds.
    Clones,
}

async fn read<B: Body + Unpin>(body: &mut B, frames: usize) {
    for _ in 0..frames {
        let _ = body.frame().await;
    }
}

async fn handle<B: Body + Unpin + Clone>(
    handler: Handler,
    request: Request<B>,
) -> Result<Response<Script>, io::Error> {
    let mut body = request.into_body();
    let answer = Ok(Response::new(Script::new(&[Data("answer")])));
    match handler {
        Handler::Reads(frames) => read(&mut body, frames).await,
        Handler::Fails(frames) => {
            read(&mut body, frames).await;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Handler::Panics(frames) => {
            read(&mut body, frames).await;
            panic!("{EXPECTED_PANIC}");
        }
        Handler::Hangs(frames) => {
            read(&mut body, frames).await;
            std::future::pending::<()>().await;
        }
        Handler::Clones => {
            // As a retry does.
            read(&mut body.clone(), 9).await;
            read(&mut body, 1).await;
        }
    }
    answer
}

const CALL: &[(&str, &str)] = &[("content-type", "application/grpc")];

#[test]
fn the_bytes_that_are_read_are_the_size() {
    use Handler::*;
    expect_panics();
    let three: &[Step] = &[Data("0123456789"), Data("01234"), Data("0")];
    let announced = &[("content-length", "100")];
    // The body, the headers, what the handler does, and the size with a `RequestBodyLayer`, with the
    // option alone, and without both.
    type Row<'a> = (&'a [Step], &'a [(&'a str, &'a str)], Handler, [Option<f64>; 3]);
    let rows: [Row<'_>; 13] = [
        (three, announced, Reads(9), [Some(16.0), Some(100.0), Some(100.0)]),
        (three, announced, Reads(2), [Some(15.0), Some(100.0), Some(100.0)]),
        (three, announced, Reads(0), [Some(0.0), Some(100.0), Some(100.0)]),
        (three, &[("transfer-encoding", "chunked")], Reads(9), [Some(16.0), None, None]),
        (three, announced, Fails(1), [Some(10.0), Some(100.0), Some(100.0)]),
        (three, announced, Panics(2), [Some(15.0), Some(100.0), Some(100.0)]),
        (three, announced, Hangs(1), [Some(10.0), Some(100.0), Some(100.0)]),
        (three, announced, Clones, [Some(10.0), Some(100.0), Some(100.0)]),
        (&[Data("01"), Error], announced, Reads(2), [Some(2.0), Some(100.0), Some(100.0)]),
        (&[Data("01"), Trailers], announced, Reads(3), [Some(2.0), Some(100.0), Some(100.0)]),
        (&[Data("01"), Pending], announced, Reads(2), [Some(2.0), Some(100.0), Some(100.0)]),
        (&[], announced, Reads(1), [Some(0.0), Some(100.0), Some(100.0)]),
        (&[Data("")], announced, Reads(1), [Some(0.0), Some(100.0), Some(100.0)]),
    ];
    for side in sides() {
        for (body, headers, handler, expected) in rows {
            for (stack, expected) in expected.into_iter().enumerate() {
                let telemetry = Telemetry::new();
                let layer = telemetry.stack(side.clone());
                let layer = if stack < 2 { layer.with_counted_body_sizes() } else { layer };
                let mut request = Request::post("http://a/");
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                let request = request.body(Script::new(body)).unwrap();
                let call = std::panic::AssertUnwindSafe(|| match stack {
                    0 => end(
                        ServiceBuilder::new().layer(layer).layer(RequestBodyLayer::new()).service(
                            service_fn(move |request: Request<CountedRequestBody<Script>>| {
                                handle(handler, request)
                            }),
                        ),
                        request,
                    ),
                    _ => end(
                        layer.layer(service_fn(move |request| handle(handler, request))),
                        request,
                    ),
                });
                let panicked = std::panic::catch_unwind(call).is_err();
                assert_eq!(panicked, matches!(handler, Panics(_)));
                let size = point(&telemetry, "http.server.request.body.size")
                    .or_else(|| point(&telemetry, "http.client.request.body.size"));
                let row = format!("{side:?} {body:?} {headers:?} {handler:?} {stack}");
                assert_eq!(size, expected.map(|bytes| (1, bytes)), "{row}");
                assert_eq!(telemetry.points_of("request.duration").len(), 1, "{row}");
            }
        }
    }
}

/// Calls the service once, and drops what it returns after one poll.
fn end<S: Service<Request<Script>, Response: Send>>(mut service: S, request: Request<Script>) {
    drop(service.call(request).now_or_never());
}

#[test]
fn calls_have_sizes_only_if_they_are_counted() {
    let message = &[Data("0123456789"), Data("01234")];
    let rows = [
        // With the option, with the layer inside; the request's and the response's size.
        (false, false, None, None),
        (false, true, None, None),
        (true, false, None, Some((1, 6.0))),
        (true, true, Some((1, 15.0)), Some((1, 6.0))),
    ];
    for side in sides() {
        for (has_option, has_layer, request_size, response_size) in rows {
            let telemetry = Telemetry::new();
            let layer = telemetry.stack(side.clone());
            let layer = if has_option { layer.with_counted_body_sizes() } else { layer };
            let answer = || async {
                let response = Response::builder().header("content-type", "application/grpc");
                Ok::<_, io::Error>(
                    response.body(Script::new(&[Data("answer"), Status("0")])).unwrap(),
                )
            };
            let mut request = Request::post("http://a/shop.Orders/Place");
            for (name, value) in CALL {
                request = request.header(*name, *value);
            }
            let request = request.body(Script::new(message)).unwrap();
            match has_layer {
                true => exchange(
                    ServiceBuilder::new().layer(layer).layer(RequestBodyLayer::new()).service(
                        service_fn(
                            move |request: Request<CountedRequestBody<Script>>| async move {
                                read(&mut request.into_body(), 9).await;
                                answer().await
                            },
                        ),
                    ),
                    request,
                ),
                false => exchange(layer.layer(service_fn(move |_| answer())), request),
            }
            let row = format!("{side:?} {has_option} {has_layer}");
            assert_eq!(point(&telemetry, "request.body.size"), request_size, "{row}");
            assert_eq!(point(&telemetry, "response.body.size"), response_size, "{row}");
            assert_eq!(telemetry.points_of("call.duration").len(), 1, "{row}");
        }
    }
}

/// Calls the service once, and reads the response to its end.
fn exchange<S, B>(mut service: S, request: Request<Script>)
where
    S: Service<Request<Script>, Response = Response<B>, Error = io::Error>,
    B: Body,
{
    let response = service.call(request).now_or_never().unwrap().unwrap();
    assert!(response.into_body().collect().now_or_never().unwrap().is_ok());
}

/// A proxy forwards the extensions of a request, but its client's layer doesn't count for its server's.
#[test]
fn a_slot_is_used_once() {
    let telemetry = Telemetry::new();
    let client = ServiceBuilder::new()
        .layer(telemetry.stack(Convention::client()))
        .layer(RequestBodyLayer::new())
        .service(service_fn(
            |request: Request<CountedRequestBody<CountedRequestBody<Script>>>| async move {
                read(&mut request.into_body(), 9).await;
                Ok::<_, io::Error>(Response::new(Script::new(&[])))
            },
        ));
    let server = ServiceBuilder::new()
        .layer(telemetry.stack(Convention::server()).with_counted_body_sizes())
        .layer(RequestBodyLayer::new())
        .service(client);
    let request = Request::post("http://a/").header("content-length", "100");
    exchange(server, request.body(Script::new(&[Data("01234")])).unwrap());
    assert_eq!(point(&telemetry, "http.server.request.body.size"), Some((1, 5.0)));
    assert_eq!(point(&telemetry, "http.client.request.body.size"), Some((1, 100.0)));
}

/// A retry within one exchange: the first attempt counts.
#[test]
fn attempts_within_an_exchange_count_once() {
    let telemetry = Telemetry::new();
    let attempt = RequestBodyLayer::new().layer(service_fn(
        |request: Request<CountedRequestBody<Script>>| async move {
            read(&mut request.into_body(), 9).await;
            Ok::<_, io::Error>(Response::new(Script::new(&[])))
        },
    ));
    let twice = service_fn(move |request: Request<Script>| {
        let mut attempt = attempt.clone();
        async move {
            attempt.call(request.clone()).await?;
            attempt.call(request).await
        }
    });
    let layer = telemetry.stack(Convention::client()).with_counted_body_sizes();
    let request = Request::post("http://a/").body(Script::new(&[Data("01234")])).unwrap();
    exchange(layer.layer(twice), request);
    assert_eq!(point(&telemetry, "request.body.size"), Some((1, 5.0)));
}

#[test]
fn the_counted_body_is_the_body() {
    let mut service = RequestBodyLayer::new().layer(service_fn(
        |request: Request<CountedRequestBody<Script>>| async move {
            let mut body = request.into_body();
            let mut seen = vec![(body.is_end_stream(), body.size_hint().exact())];
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else {
                    seen.push((true, None));
                    break;
                };
                seen.push((frame.is_trailers(), body.size_hint().exact()));
            }
            Ok::<_, io::Error>(seen)
        },
    ));
    let body =
        |steps: &[Step]| Script { knows_end: true, knows_length: true, ..Script::new(steps) };
    type Row<'a> = (&'a [Step], &'a [(bool, Option<u64>)]);
    let rows: [Row<'_>; 3] = [
        (&[], &[(true, Some(0))]),
        (
            &[Data("12"), Data("3"), Trailers],
            &[(false, Some(3)), (false, Some(1)), (false, Some(0)), (true, Some(0))],
        ),
        (&[Data("12"), Error], &[(false, Some(2)), (false, Some(0)), (true, None)]),
    ];
    for (steps, expected) in rows {
        let request = Request::new(body(steps));
        assert_eq!(service.call(request).now_or_never().unwrap().unwrap(), expected, "{steps:?}");
    }
}

/// The head of the response takes this long, and so does each poll of its body.
const STEP: Duration = Duration::from_millis(3);

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn the_time_to_the_first_byte() {
    expect_panics();
    // The steps of the response body, its headers, and after how many steps of time the first byte is
    // there: one for the head, one for each poll of the body.
    type Row<'a> = (&'a [Step], &'a [(&'a str, &'a str)], Option<u32>);
    let events: &[_] = &[("content-type", "text/event-stream")];
    let rows: [Row<'_>; 15] = [
        (&[Data("a")], &[], Some(2)),
        (&[Data("a"), Data("b"), Data("c")], &[], Some(2)),
        (&[Data(""), Data("b")], &[], Some(3)),
        (&[Data("")], &[], Some(1)),
        (&[Data("a"), Error], &[], Some(2)),
        (&[Data("a"), Panic], &[], Some(2)),
        (&[Data("a"), Pending], &[], Some(2)),
        (&[], &[], Some(1)),
        (&[Trailers], &[], Some(1)),
        (&[Error], &[], None),
        (&[Panic], &[], None),
        (&[Pending], &[], None),
        (&[Pending], events, None),
        (&[Data("a"), Pending], events, Some(2)),
        (&[], events, None),
    ];
    let kinds: [(&[(&str, &str)], &str); 2] =
        [(&[], "request.time_to_first_byte"), (CALL, "call.time_to_first_byte")];
    for side in sides() {
        for (kind, name) in kinds {
            for (steps, headers, at) in rows {
                if kind == CALL && headers == events {
                    continue;
                }
                let telemetry = Telemetry::new();
                let layer = telemetry.stack(side.clone()).with_time_to_first_byte();
                let (first_byte, whole, polls) =
                    timed(layer, steps, kind, headers, &telemetry, name);
                let row = format!("{side:?} {kind:?} {steps:?} {headers:?}");
                assert_eq!(first_byte.is_some(), at.is_some(), "{row}");
                let (Some((count, seconds)), Some(at)) = (first_byte, at) else { continue };
                let at_least = STEP.as_secs_f64() * f64::from(at);
                assert_eq!(count, 1, "{row}");
                assert!(seconds >= at_least && seconds <= whole, "{row}: {seconds} {whole}");
                // An earlier moment would be more steps before the end.
                let later = STEP.as_secs_f64() * f64::from(polls + 1 - at);
                assert!(seconds <= whole - later, "{row}: {seconds} {whole} {later}");
            }
        }
    }
}

/// Sends a request whose response takes its time. Returns the time to the first byte, the duration, and
/// how often the body was polled.
fn timed(
    layer: TelemetryLayer,
    steps: &[Step],
    kind: &[(&str, &str)],
    headers: &[(&str, &str)],
    telemetry: &Telemetry,
    name: &str,
) -> (Option<(u64, f64)>, f64, u32) {
    let mut answer = Response::builder();
    for (name, value) in kind.iter().chain(headers) {
        answer = answer.header(*name, *value);
    }
    let mut answer = Some(answer.body(Script::new(steps)).unwrap());
    let service = service_fn(move |_: Request<String>| {
        spin(STEP);
        std::future::ready(Ok::<_, io::Error>(answer.take().unwrap()))
    });
    let mut request = Request::post("http://a/shop.Orders/Place");
    for (name, value) in kind {
        request = request.header(*name, *value);
    }
    let mut service = layer.layer(service);
    let call = service.call(request.body(String::new()).unwrap());
    let mut body = pin!(call.now_or_never().unwrap().unwrap().into_body());
    let mut cx = Context::from_waker(Waker::noop());
    let mut polls = 0;
    let poll = std::panic::AssertUnwindSafe(|| {
        loop {
            spin(STEP);
            polls += 1;
            match body.as_mut().poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) if !frame.is_trailers() => {}
                _ => break,
            }
        }
    });
    let _ = std::panic::catch_unwind(poll);
    body.set(tower_telemetry::observe::ResponseBody::default());
    let whole = telemetry.points_of(name.replace("time_to_first_byte", "duration").as_str());
    (point(telemetry, name), whole[0].sum, polls)
}

#[test]
fn without_the_options_there_are_no_instruments() {
    let telemetry = Telemetry::new();
    let mut service = telemetry.stack(Convention::server()).layer(service_fn(hello::<String>));
    let response = service.call(crate::support::get("/")).now_or_never().unwrap().unwrap();
    assert!(response.into_body().collect().now_or_never().unwrap().is_ok());
    let mut names: Vec<_> = telemetry.points().into_iter().map(|point| point.name).collect();
    names.sort();
    let expected = [
        "http.server.active_requests",
        "http.server.request.body.size",
        "http.server.request.duration",
        "http.server.response.body.size",
    ];
    assert_eq!(names, expected);
}
