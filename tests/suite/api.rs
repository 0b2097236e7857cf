//! The options that newcomers use first: an observer of their own, filters and kinds of errors.

use std::{convert::Infallible, io, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use http::{Request, Response, request, response};
use http_body_util::BodyExt;
use opentelemetry::{
    KeyValue,
    metrics::{MeterProvider, UpDownCounter},
    trace::{Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::SdkTracer;
use tower::{Layer, Service, ServiceExt, service_fn, timeout::Timeout};
use tower_telemetry::{
    End, TelemetryLayer, filter,
    observe::{Exchange, Observer},
};

use crate::support::{
    EXPECTED_PANIC, Script,
    Step::{self, *},
    Telemetry, attribute, expect_panics, get, hello,
};

fn layer(telemetry: &Telemetry) -> TelemetryLayer {
    TelemetryLayer::server()
        .with_tracer_provider(&telemetry.tracers)
        .with_meter_provider(&telemetry.meters)
}

/// An observer that records the end of each exchange with providers of its own.
struct Ends {
    tracer: SdkTracer,
    ends: UpDownCounter<i64>,
}

impl Ends {
    fn new(own: &Telemetry) -> Self {
        let ends = own.meters.meter("own").i64_up_down_counter("own.ends").build();
        Self { tracer: own.tracers.tracer("own"), ends }
    }
}

impl Observer for Ends {
    type State = ();

    fn on_request(&self, _: &mut Exchange, _: &mut request::Parts) -> Option<()> {
        Some(())
    }

    fn on_end(&self, _: &Exchange, end: &End<'_>, (): ()) {
        let end = match end {
            End::Complete { trailers: None } => String::from("complete"),
            End::Complete { trailers: Some(trailers) } => format!("complete, {trailers:?}"),
            End::Failed(failure) => {
                let error = failure.error().downcast_ref::<io::Error>().map(io::Error::kind);
                format!("failed, {} {error:?}", failure.type_name())
            }
            End::Dropped => String::from("dropped"),
            End::Panicked => String::from("panicked"),
            other => format!("unknown: {other:?}"),
        };
        drop(self.tracer.start(end.clone()));
        self.ends.add(1, &[KeyValue::new("end", end)]);
    }
}

/// The service's behaviour.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Body(&'static [Step]),
    Error,
    Panic,
    Never,
}

async fn answer(answer: Answer) -> io::Result<Response<Script>> {
    match answer {
        Answer::Body(steps) => Ok(Response::new(Script::new(steps))),
        Answer::Error => Err(io::ErrorKind::ConnectionRefused.into()),
        Answer::Panic => panic!("{EXPECTED_PANIC}"),
        Answer::Never => std::future::pending().await,
    }
}

/// Runs one exchange to the end of the body, as far as it gets. Returns false if it panicked.
fn exchange<S, B>(mut service: S) -> bool
where
    S: Service<Request<String>, Response = Response<B>, Error = io::Error>,
    B: http_body::Body,
{
    let exchange = AssertUnwindSafe(|| {
        if let Some(Ok(response)) = service.call(get("/users/7")).now_or_never() {
            drop(response.into_body().collect().now_or_never());
        }
    });
    std::panic::catch_unwind(exchange).is_ok()
}

#[test]
fn an_observer_beside_the_telemetry_is_told_every_end() {
    expect_panics();
    let io_error = "failed, std::io::error::Error";
    for (behaviour, expected) in [
        (Answer::Body(&[Data("ab")]), String::from("complete")),
        (Answer::Body(&[Data("ab"), Trailers]), String::from("complete, {\"x-checksum\": \"1\"}")),
        (Answer::Body(&[Data("ab"), Error]), format!("{io_error} Some(BrokenPipe)")),
        (Answer::Error, format!("{io_error} Some(ConnectionRefused)")),
        (Answer::Never, String::from("dropped")),
        (Answer::Body(&[Data("ab"), Pending]), String::from("dropped")),
        (Answer::Panic, String::from("panicked")),
        (Answer::Body(&[Data("ab"), Panic]), String::from("panicked")),
    ] {
        let (telemetry, own) = (Telemetry::new(), Telemetry::new());
        let layer = layer(&telemetry).with_observer(Ends::new(&own));
        exchange(layer.layer(service_fn(move |_: Request<String>| answer(behaviour))));

        let names: Vec<_> = own.spans().into_iter().map(|span| span.name).collect();
        assert_eq!(names, [expected.as_str()], "{behaviour:?}");
        let points = own.points();
        assert_eq!(points.len(), 1, "{behaviour:?}: {points:#?}");
        assert_eq!((points[0].name.as_str(), points[0].sum), ("own.ends", 1.0), "{behaviour:?}");
        assert_eq!(points[0].labels["end"], format!("String(({expected:?}))"), "{behaviour:?}");
        // The telemetry is complete, too, and went to the layer's providers only.
        assert_eq!(telemetry.spans().len(), 1, "{behaviour:?}");
        assert_eq!(telemetry.duration().count, 1, "{behaviour:?}");
        assert_eq!(telemetry.active(), 0, "{behaviour:?}");
    }
}

/// The moment at which [`Panicking`] panics.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    Request,
    Response,
    End,
}

struct Panicking(Moment);

impl Panicking {
    fn at(&self, moment: Moment) {
        if self.0 == moment {
            panic!("{EXPECTED_PANIC}");
        }
    }
}

impl Observer for Panicking {
    type State = ();

    fn on_request(&self, _: &mut Exchange, _: &mut request::Parts) -> Option<()> {
        self.at(Moment::Request);
        Some(())
    }

    fn on_response(&self, _: &Exchange, (): &mut (), _: &mut response::Parts) {
        self.at(Moment::Response);
    }

    fn on_end(&self, _: &Exchange, _: &End<'_>, (): ()) {
        self.at(Moment::End);
    }
}

/// A second panic while the first one unwinds would abort this process.
#[test]
fn a_panicking_observer_leaves_no_active_request() {
    expect_panics();
    let complete = Answer::Body(&[Data("ab")]);
    for (moment, behaviour, returns) in [
        (Moment::Request, complete, false),
        (Moment::Response, complete, false),
        (Moment::End, complete, true),
        (Moment::End, Answer::Error, true),
        (Moment::End, Answer::Never, true),
        (Moment::End, Answer::Panic, false),
        (Moment::End, Answer::Body(&[Data("ab"), Panic]), false),
    ] {
        let telemetry = Telemetry::new();
        let row = format!("{moment:?}, {behaviour:?}");
        let layer = layer(&telemetry).with_observer(Panicking(moment));
        let service = layer.layer(service_fn(move |_: Request<String>| answer(behaviour)));
        assert_eq!(exchange(service), returns, "{row}");
        assert_eq!(telemetry.active(), 0, "{row}");
        assert_eq!(telemetry.duration().count, 1, "{row}");
        assert_eq!(telemetry.spans().len(), 1, "{row}");
    }
}

#[tokio::test]
async fn a_layer_with_a_path_filter_records_the_other_paths() {
    let telemetry = Telemetry::new();
    // The order of the options doesn't matter.
    for layer in [
        layer(&telemetry).with_filter(filter::except_paths(["/healthz", "/assets/*"])),
        TelemetryLayer::server()
            .with_filter(filter::except_paths(["/healthz", "/assets/*"]))
            .with_tracer_provider(&telemetry.tracers)
            .with_meter_provider(&telemetry.meters),
    ] {
        let recorded = telemetry.spans().len();
        let service = layer.layer(service_fn(hello));
        for path in ["/healthz", "/assets/app.js", "/users/7", "/healthz?verbose"] {
            service.clone().oneshot(get(path)).await.unwrap();
        }
        let spans = telemetry.spans();
        assert_eq!(spans.len(), recorded + 1);
        assert_eq!(attribute(&spans[recorded], "url.path").as_deref(), Some("/users/7"));
    }
    assert_eq!(telemetry.duration().count, 2);
}

/// Returns the `error.type` of the span and of the metric.
async fn error_type<S>(set: impl FnOnce(TelemetryLayer) -> TelemetryLayer, service: S) -> String
where
    S: Service<Request<String>, Response = Response<String>, Error: 'static>,
{
    let telemetry = Telemetry::new();
    let service = set(layer(&telemetry)).layer(service);
    assert!(service.oneshot(get("/")).await.is_err());
    let kind = attribute(&telemetry.spans()[0], "error.type").unwrap().into_owned();
    assert_eq!(telemetry.duration().labels["error.type"], format!("String(({kind:?}))"));
    kind
}

/// The first assertion is the same with every set of features: a feature that another crate of the
/// program turns on doesn't change `error.type`.
#[tokio::test(start_paused = true)]
async fn tower_timeouts_have_a_kind_only_if_chosen() {
    let never = service_fn(|_: Request<String>| {
        std::future::pending::<Result<Response<String>, Infallible>>()
    });
    let service = Timeout::new(never, Duration::from_secs(1));
    assert_eq!(error_type(|layer| layer, service.clone()).await, "_OTHER");
    #[cfg(feature = "tower")]
    {
        use tower_telemetry::ErrorKinds;
        let set = |layer: TelemetryLayer| layer.with_error_kinds([ErrorKinds::TOWER]);
        assert_eq!(error_type(set, service).await, "timeout");
    }
}

/// Sends a request to a server that closes the connection instead of answering.
async fn hyper_error() -> hyper::Error {
    use hyper_util::rt::TokioIo;
    use tokio::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        // Closing with unread data would reset the connection.
        while stream.try_read(&mut [0; 1024]).is_ok_and(|read| read == 1024) {}
    };
    let request = Request::get("/").body(String::new()).unwrap();
    let (answer, ()) = tokio::join!(sender.send_request(request), server);
    answer.unwrap_err()
}

/// See [`tower_timeouts_have_a_kind_only_if_chosen`].
#[tokio::test]
async fn hyper_errors_have_a_kind_only_if_chosen() {
    let fails = service_fn(|_: Request<String>| async { Err(hyper_error().await) });
    assert_eq!(error_type(|layer| layer, fails).await, "hyper::error::Error");
    #[cfg(feature = "hyper")]
    {
        use tower_telemetry::ErrorKinds;
        let set = |layer: TelemetryLayer| layer.with_error_kinds([ErrorKinds::HYPER]);
        assert_eq!(error_type(set, fails).await, "incomplete_message");
    }
}
