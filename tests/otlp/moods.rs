//! The fate of telemetry, and the notices that the operator reads, for each mood of a receiver, by each protocol
//! and for each signal.

use std::{
    io::Read,
    net::{SocketAddr, TcpListener},
    thread,
};

use tonic::Code;

use crate::{
    ENDPOINT, PROTOCOL, each_protocol, notes, one_of_each,
    receiver::{Mood, Receiver, nowhere},
    shutdown, telemetry,
};

const KEY: (&str, &str) = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret-key");
const SIGNALS: [(&str, &str); 3] =
    [("traces", "1 span"), ("metrics", "N data points"), ("logs", "1 log record")];

/// Returns the URL of a signal as notices show it.
fn shown(base: &str, protocol: &str, signal: &str) -> String {
    if protocol == "grpc" { base.to_owned() } else { format!("{base}/v1/{signal}") }
}

/// Replaces the number of data points, which depends on the exporter's own metrics.
fn without_data_points(notice: &str) -> String {
    let words: Vec<_> = notice.split(' ').collect();
    let is_count = |at: usize| words.get(at + 1).is_some_and(|word| word.starts_with("data"));
    let words = words.iter().enumerate();
    let words: Vec<_> = words.map(|(at, word)| if is_count(at) { "N" } else { word }).collect();
    words
        .join(" ")
        .replace("N data point.", "N data points.")
        .replace("data point:", "data points:")
}

/// Waits for the first notice about each signal, and compares it word for word.
#[track_caller]
fn expect(base: &str, protocol: &str, starts: &str, expected: impl Fn(&str, &str, &str) -> String) {
    for (signal, items) in SIGNALS {
        let url = shown(base, protocol, signal);
        let start = starts.replace("{signal}", signal).replace("{url}", &url);
        let notice = notes::wait_for(&start);
        assert_eq!(without_data_points(&notice), expected(signal, &url, items), "{protocol}");
    }
}

/// Answers that forbid another attempt: the batch is lost, and the notice says so at once.
#[test]
fn refusals() {
    type Row = (u16, Code, [&'static str; 2], [&'static str; 2]);
    const KEY_HINT: &str = " Check the key in OTEL_EXPORTER_OTLP_HEADERS.";
    const PROTOCOL_HINT: &str =
        " Check OTEL_EXPORTER_OTLP_PROTOCOL, and whether the receiver takes this signal.";
    const SIZE_HINT: &str =
        " Lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE or OTEL_BLRP_MAX_EXPORT_BATCH_SIZE.";
    let rows: [Row; 7] = [
        (400, Code::InvalidArgument, ["HTTP 400 Bad Request", ""], ["gRPC INVALID_ARGUMENT", ""]),
        (
            401,
            Code::Unauthenticated,
            ["HTTP 401 Unauthorized", KEY_HINT],
            ["gRPC UNAUTHENTICATED", KEY_HINT],
        ),
        (
            403,
            Code::PermissionDenied,
            ["HTTP 403 Forbidden", KEY_HINT],
            ["gRPC PERMISSION_DENIED", KEY_HINT],
        ),
        (
            404,
            Code::Unimplemented,
            ["HTTP 404 Not Found", " Check the path of the endpoint."],
            ["gRPC UNIMPLEMENTED", PROTOCOL_HINT],
        ),
        (
            413,
            Code::ResourceExhausted,
            ["HTTP 413 Payload Too Large", SIZE_HINT],
            ["gRPC RESOURCE_EXHAUSTED", ""],
        ),
        (500, Code::Internal, ["HTTP 500 Internal Server Error", ""], ["gRPC INTERNAL", ""]),
        (501, Code::Unknown, ["HTTP 501 Not Implemented", ""], ["gRPC UNKNOWN", ""]),
    ];
    each_protocol(|protocol| {
        for (status, code, of_http, of_grpc) in rows {
            let receiver = Receiver::start();
            receiver.set(Mood::Fails(status, code, None));
            let telemetry = telemetry(&[KEY, (ENDPOINT, &receiver.url()), (PROTOCOL, protocol)]);
            one_of_each(&telemetry);
            let [failure, hint] = if protocol == "grpc" { of_grpc } else { of_http };
            let start = "{signal} are refused by {url}: ";
            expect(&receiver.url(), protocol, start, |signal, url, items| {
                let next = match signal {
                    "metrics" => " The next export contains their measurements, too.",
                    _ => "",
                };
                format!(
                    "{signal} are refused by {url}: {failure} \"not with ***\".{hint} Dropped without \
                     another attempt: {items}.{next} A notice follows when they arrive"
                )
            });
            receiver.set(Mood::Takes);
            one_of_each(&telemetry);
            receiver.wait_for("new items", |received| {
                !received.spans().is_empty()
                    && !received.log_records().is_empty()
                    && !received.metrics("orders").is_empty()
            });
            // The losses are old news, so they are no failure of the shutdown.
            assert_eq!(shutdown(&telemetry, 20_000), Ok(()), "{protocol}, {status}");
            let received = receiver.received();
            assert_eq!((received.spans().len(), received.log_records().len()), (1, 1));
            expect(
                &receiver.url(),
                protocol,
                "{signal} arrive at {url} again",
                |signal, url, _| {
                    let notice = notes::wait_for(&format!("{signal} arrive at {url} again"));
                    without_data_points(&notice)
                },
            );
        }
    });
}

/// Answers that ask for another attempt: nothing is lost, and the notice says so after five seconds.
#[test]
fn delays() {
    type Row = (Mood, &'static str, &'static str);
    let fails = Mood::Fails;
    let rows: [Row; 6] = [
        (
            fails(429, Code::Unavailable, None),
            "HTTP 429 Too Many Requests \"not with ***\"",
            "gRPC UNAVAILABLE \"not with ***\"",
        ),
        (
            fails(429, Code::ResourceExhausted, Some(1)),
            "HTTP 429 Too Many Requests \"not with ***\"",
            "gRPC RESOURCE_EXHAUSTED \"not with ***\"",
        ),
        (
            fails(502, Code::Aborted, None),
            "HTTP 502 Bad Gateway \"not with ***\"",
            "gRPC ABORTED \"not with ***\"",
        ),
        (
            fails(503, Code::DataLoss, Some(1)),
            "HTTP 503 Service Unavailable \"not with ***\"",
            "gRPC DATA_LOSS \"not with ***\"",
        ),
        (
            fails(504, Code::DeadlineExceeded, None),
            "HTTP 504 Gateway Timeout \"not with ***\"",
            "gRPC DEADLINE_EXCEEDED \"not with ***\"",
        ),
        (Mood::Hangs, "no answer within 1s", "no answer within 1s"),
    ];
    each_protocol(|protocol| {
        thread::scope(|scope| {
            for (mood, of_http, of_grpc) in rows {
                scope.spawn(move || {
                    let receiver = Receiver::start();
                    receiver.set(mood);
                    let timeout = if mood == Mood::Hangs { "1000" } else { "20000" };
                    let telemetry = telemetry(&[
                        KEY,
                        (ENDPOINT, &receiver.url()),
                        (PROTOCOL, protocol),
                        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
                    ]);
                    one_of_each(&telemetry);
                    let failure = if protocol == "grpc" { of_grpc } else { of_http };
                    expect_delay(&receiver.url(), protocol, failure, "");
                    let attempts = receiver.received().requests.len();
                    let is_slow = matches!(mood, Mood::Fails(_, _, Some(_)) | Mood::Hangs);
                    // Pauses that double: 0.25, 0.5, 1, 2, 4 s. Asked pauses: 1 s.
                    let most = if is_slow { 8 } else { 6 };
                    assert!((9..=3 * most).contains(&attempts), "{mood:?}: {attempts}");
                    receiver.set(Mood::Takes);
                    receiver.wait_for("all", |received| {
                        received.spans().len() == 1 && received.log_records().len() == 1
                    });
                    for (signal, _) in SIGNALS {
                        let url = shown(&receiver.url(), protocol, signal);
                        let notice = notes::wait_for(&format!("{signal} arrive at {url} again"));
                        assert_eq!(
                            notice,
                            format!("{signal} arrive at {url} again, none was lost")
                        );
                    }
                    assert_eq!(shutdown(&telemetry, 20_000), Ok(()));
                    let received = receiver.received();
                    assert_eq!((received.spans().len(), received.log_records().len()), (1, 1));
                });
            }
        });
    });
}

#[track_caller]
fn expect_delay(base: &str, protocol: &str, failure: &str, hint: &str) {
    expect(base, protocol, "{signal} don't arrive at {url}: ", |signal, url, _| {
        let kept = match signal {
            "metrics" => "The next export contains their measurements, too",
            _ => {
                "They are kept and sent again until they arrive. 8192 fit into the queue, more are \
                 dropped"
            }
        };
        format!(
            "{signal} don't arrive at {url}: {failure}.{hint} {kept}. A notice follows when they arrive"
        )
    });
}

/// No answer: nothing is lost before the shutdown, whose report has the cause.
#[test]
fn obstacles() {
    const SCHEME_HINT: &str = " Check the port, and whether it expects http:// or https://.";
    const CLOSED: &str = "the connection was closed before an answer";
    const NOT_HTTP: &str = "its answer is not HTTP";
    let long = "a".repeat(64);
    each_protocol(|protocol| {
        let plain = Receiver::start();
        let (tls, _) = Receiver::start_with_tls();
        let rows = [
            (format!("http://{}", nowhere()), "connection refused", ""),
            // A label of more than 63 characters is no name, so no name server is asked.
            (format!("http://{long}.example:4318"), "no such host", ""),
            (format!("http://{}", closes()), CLOSED, SCHEME_HINT),
            (format!("https://{}", plain.address), "TLS: the receiver does not speak TLS", ""),
            (
                tls.url().replace("127.0.0.1", "localhost"),
                "TLS: invalid peer certificate: UnknownIssuer",
                "",
            ),
            (tls.url().replace("https", "http"), NOT_HTTP, SCHEME_HINT),
        ];
        thread::scope(|scope| {
            for (url, failure, hint) in rows {
                scope.spawn(move || {
                    let telemetry = telemetry(&[(ENDPOINT, &url), (PROTOCOL, protocol)]);
                    one_of_each(&telemetry);
                    // The receiver sends a TLS alert and ends the connection: HTTP/2 reads one or the
                    // other first.
                    let start =
                        format!("traces don't arrive at {}: ", shown(&url, protocol, "traces"));
                    let first = notes::wait_for(&start);
                    let is_alert = protocol == "grpc" && failure == NOT_HTTP;
                    let is_closed = is_alert && first.contains(CLOSED);
                    if !is_alert {
                        expect_delay(&url, protocol, failure, hint);
                    }
                    let failure = if is_closed { CLOSED } else { failure };
                    assert!(first.starts_with(&format!("{start}{failure}.{hint} They")), "{first}");
                    let undelivered = shutdown(&telemetry, 500).unwrap_err();
                    assert_eq!((undelivered.spans(), undelivered.log_records()), (1, 1), "{url}");
                    assert!(undelivered.metrics());
                    let text = undelivered.to_string();
                    for (signal, _) in SIGNALS {
                        let url = shown(&url, protocol, signal);
                        let tells =
                            |failure| text.contains(&format!("; {signal} to {url}: {failure}"));
                        let tells_alert = is_alert && (tells(CLOSED) || tells(NOT_HTTP));
                        assert!(tells(failure) || tells_alert, "{text}");
                    }
                });
            }
        });
    });
}

/// Returns the address of a server that closes connections in the middle of requests.
fn closes() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the process of the tests.
    thread::spawn(move || {
        for connection in listener.incoming() {
            let _ = connection.unwrap().read(&mut [0; 16]);
        }
    });
    address
}

/// Partial success: the rejected items are lost, and not sent again.
#[test]
fn rejections() {
    each_protocol(|protocol| {
        let receiver = Receiver::start();
        receiver.set(Mood::Rejects(1));
        let url = receiver.url();
        // No metrics, because their number of data points varies.
        let telemetry = telemetry(&[
            (ENDPOINT, &url),
            (PROTOCOL, protocol),
            ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ]);
        crate::spans(&telemetry, 2);
        one_of_each(&telemetry);
        for (signal, items) in [("traces", "3 spans"), ("logs", "1 log record")] {
            let url = shown(&url, protocol, signal);
            let notice = notes::wait_for(&format!("{url} rejected 1 of {items}"));
            assert_eq!(
                notice,
                format!("{url} rejected 1 of {items}: \"too old\". They are not sent again")
            );
        }
        receiver.set(Mood::Rejects(0));
        let ended = shutdown(&telemetry, 20_000);
        assert_eq!(ended, Ok(()), "{protocol}: told before");
        let received = receiver.received();
        assert_eq!((received.spans().len(), received.log_records().len()), (3, 1), "sent once");
        let url = shown(&url, protocol, "metrics");
        let notice = notes::wait_for(&format!("{url} accepts metrics with a warning"));
        assert_eq!(notice, format!("{url} accepts metrics with a warning: \"too old\""));
    });
}
