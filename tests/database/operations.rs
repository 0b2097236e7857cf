use std::{
    error::Error,
    fmt,
    future::{pending, ready},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use futures_util::FutureExt;
use opentelemetry::{
    Context,
    trace::{TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower_telemetry::database::{Database, Operation, Outcome};

use crate::support::Telemetry;

/// An error whose message nobody may see.
#[derive(Debug)]
struct DatabaseError(&'static str);

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("duplicate key value: user 4711")
    }
}

impl Error for DatabaseError {}

#[test]
fn attributes_are_those_given() {
    let telemetry = Telemetry::new();
    let plain = telemetry.database("postgresql");
    let full = plain
        .clone()
        .with_namespace("shop|public")
        .with_server_address("db.internal")
        .with_server_port(6432);
    let redis =
        telemetry.database("redis").with_server_address("cache.internal").with_server_port(6379);
    let textless = plain.clone().without_query_text();
    let rows: Vec<(Operation<'_>, &str, &str)> = vec![
        (
            plain.query("SELECT * FROM songs WHERE id = 7"),
            "SELECT songs | unset | db.query.summary=SELECT songs, \
             db.query.text=SELECT * FROM songs WHERE id = ?, db.system.name=postgresql",
            "db.query.summary=SELECT songs, db.system.name=postgresql",
        ),
        (
            full.query("SELECT * FROM songs LIMIT 10").parameterized(),
            "SELECT songs | unset | db.namespace=shop|public, db.query.summary=SELECT songs, \
             db.query.text=SELECT * FROM songs LIMIT 10, db.system.name=postgresql, \
             server.address=db.internal, server.port=6432",
            "db.namespace=shop|public, db.query.summary=SELECT songs, \
             db.system.name=postgresql, server.address=db.internal, server.port=6432",
        ),
        (
            textless.query("SELECT * FROM songs"),
            "SELECT songs | unset | db.query.summary=SELECT songs, db.system.name=postgresql",
            "db.query.summary=SELECT songs, db.system.name=postgresql",
        ),
        (
            plain.query("SELECT 1").with_summary("ping").with_name("ping"),
            "ping | unset | db.operation.name=ping, db.query.summary=ping, \
             db.query.text=SELECT ?, db.system.name=postgresql",
            "db.operation.name=ping, db.query.summary=ping, db.system.name=postgresql",
        ),
        (
            plain.operation("BATCH INSERT").with_collection("songs").with_batch_size(3),
            "BATCH INSERT songs | unset | db.collection.name=songs, db.operation.batch.size=3, \
             db.operation.name=BATCH INSERT, db.system.name=postgresql",
            "db.collection.name=songs, db.operation.name=BATCH INSERT, \
             db.system.name=postgresql",
        ),
        (
            plain.operation("CALL").with_stored_procedure("p").with_batch_size(1),
            "CALL p | unset | db.operation.name=CALL, db.stored_procedure.name=p, \
             db.system.name=postgresql",
            "db.operation.name=CALL, db.stored_procedure.name=p, db.system.name=postgresql",
        ),
        (
            full.operation("COMMIT").with_namespace("other"),
            "COMMIT other | unset | db.namespace=other, db.operation.name=COMMIT, \
             db.system.name=postgresql, server.address=db.internal, server.port=6432",
            "db.namespace=other, db.operation.name=COMMIT, db.system.name=postgresql, \
             server.address=db.internal, server.port=6432",
        ),
        (
            // The default port.
            redis.operation("HSET").with_text("HSET ? ? ?"),
            "HSET cache.internal | unset | db.operation.name=HSET, db.query.text=HSET ? ? ?, \
             db.system.name=redis, server.address=cache.internal",
            "db.operation.name=HSET, db.system.name=redis, server.address=cache.internal",
        ),
        (
            plain.query("no sql"),
            "postgresql | unset | db.query.text=no sql, db.system.name=postgresql",
            "db.system.name=postgresql",
        ),
    ];
    let mut expected_durations = Vec::new();
    for (operation, span, labels) in rows {
        operation.start().finish(Outcome::success());
        assert_eq!(telemetry.span_lines(), [span]);
        expected_durations.push(labels.to_owned());
    }
    expected_durations.sort();
    expected_durations.dedup();
    let durations: Vec<_> = telemetry.durations().into_iter().map(|(labels, _)| labels).collect();
    assert_eq!(durations, expected_durations);
}

/// The end of a span and of its series: status and attributes that the end adds.
fn end_of(telemetry: &Telemetry) -> String {
    let lines = telemetry.span_lines();
    assert_eq!(lines.len(), 1);
    let durations = telemetry.durations();
    let line = lines[0].strip_prefix("GET | ").unwrap().to_owned();
    assert!(!line.contains("4711"));
    let attributes = line.split(" | ").nth(1).unwrap();
    // The metric has them, too.
    let labels: Vec<_> = attributes.split(", ").filter(|a| !a.contains("returned_rows")).collect();
    assert!(durations.iter().any(|(series, _)| *series == labels.join(", ")), "{durations:?}");
    line.replace("db.operation.name=GET, ", "").replace("db.system.name=redis", "")
}

#[test]
fn ends() {
    let rows: Vec<(Outcome, &str)> = vec![
        (Outcome::success(), "unset | "),
        (Outcome::success().with_returned_rows(3), "unset | db.response.returned_rows=3, "),
        (Outcome::error("timeout"), "error | , error.type=timeout"),
        (
            Outcome::status("WRONGTYPE"),
            "error | db.response.status_code=WRONGTYPE, , error.type=WRONGTYPE",
        ),
        (
            Outcome::error("timeout").with_status_code("57014"),
            "error | db.response.status_code=57014, , error.type=timeout",
        ),
        (Outcome::sql_state("23505"), "error | db.response.status_code=23505, , error.type=23505"),
        (Outcome::sql_state("02000"), "error | db.response.status_code=02000, , error.type=02000"),
        (Outcome::sql_state("00000"), "unset | db.response.status_code=00000, "),
        (Outcome::sql_state("01004"), "unset | db.response.status_code=01004, "),
    ];
    for (outcome, expected) in rows {
        let telemetry = Telemetry::new();
        assert_eq!(outcome.is_error(), expected.starts_with("error"));
        telemetry.database("redis").operation("GET").start().finish(outcome);
        assert_eq!(end_of(&telemetry), expected);
    }
}

#[tokio::test]
async fn ends_of_futures() {
    let telemetry = Telemetry::new();
    let plain = telemetry.database("redis");
    let told = plain.clone().with_error(|error| {
        let error = error.downcast_ref::<DatabaseError>()?;
        (!error.0.is_empty()).then(|| Outcome::sql_state(error.0))
    });

    let value = plain.operation("GET").instrument(async { Ok::<_, io::Error>(7) }).await.unwrap();
    assert_eq!((value, &*end_of(&telemetry)), (7, "unset | "));

    let failed = plain.operation("GET").instrument(ready(Err::<(), _>(DatabaseError("")))).await;
    assert!(failed.is_err());
    assert_eq!(end_of(&telemetry), "error | , error.type=database::operations::DatabaseError");

    let failed =
        told.operation("GET").instrument(ready(Err::<(), _>(DatabaseError("23505")))).await;
    assert!(failed.is_err());
    assert_eq!(end_of(&telemetry), "error | db.response.status_code=23505, , error.type=23505");

    let rows = told
        .operation("GET")
        .instrument_with(ready(5_u64), |rows| Outcome::success().with_returned_rows(*rows))
        .await;
    assert_eq!((rows, &*end_of(&telemetry)), (5, "unset | db.response.returned_rows=5, "));

    let result = told.operation("GET").run(|| Err::<(), _>(DatabaseError("40001")));
    assert!(result.is_err());
    assert_eq!(end_of(&telemetry), "error | db.response.status_code=40001, , error.type=40001");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_operation_is_cancelled_with_its_duration() {
    let telemetry = Telemetry::new();
    let database = telemetry.database("redis");
    // Never polled.
    drop(database.operation("GET").instrument(pending::<Result<(), io::Error>>()));
    assert_eq!(end_of(&telemetry), "error | , error.type=cancelled");
    // Polled, and cancelled by a timeout.
    let get = database.operation("GET").instrument(pending::<Result<(), io::Error>>());
    assert!(tokio::time::timeout(Duration::from_secs(1), get).await.is_err());
    assert_eq!(end_of(&telemetry), "error | , error.type=cancelled");
    // In the form of start and finish.
    drop(database.operation("GET").start());
    assert_eq!(end_of(&telemetry), "error | , error.type=cancelled");
    assert_eq!(telemetry.durations().iter().map(|(_, count)| count).sum::<u64>(), 3);
}

#[tokio::test]
async fn a_panic_is_recorded() {
    let telemetry = Telemetry::new();
    let database = telemetry.database("redis");
    let panics = async { std::panic::resume_unwind(Box::new(())) };
    let get = database.operation("GET").instrument_with(panics, |(): &()| Outcome::success());
    // As a task of tokio does: the future is dropped after the panic.
    assert!(AssertUnwindSafe(get).catch_unwind().await.is_err());
    let run = || {
        let panics = || -> Result<(), io::Error> { std::panic::resume_unwind(Box::new(())) };
        database.operation("GET").run(panics)
    };
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    let lines = telemetry.span_lines();
    assert!(lines.iter().all(|line| line.ends_with("error.type=panic")), "{lines:?}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn span_and_metric_have_one_duration() {
    let telemetry = Telemetry::new();
    let running = telemetry.database("redis").operation("GET").start();
    std::hint::black_box((0..100_000).sum::<u64>());
    running.finish(Outcome::success());
    let span = telemetry.spans().remove(0);
    let of_span = span.end_time.duration_since(span.start_time).unwrap();
    let (_, count, sum) = telemetry.histogram().remove(0);
    assert_eq!((count, Duration::from_secs_f64(sum)), (1, of_span));
}

#[tokio::test]
async fn the_span_is_current_while_the_operation_runs() {
    let telemetry = Telemetry::new();
    let database = telemetry.database("redis");
    let tracer = telemetry.tracers.tracer("test");
    let request = Context::new().with_span(tracer.start("request"));
    let request_id = request.span().span_context().span_id();
    let current = || Context::current().span().span_context().span_id();

    let get = {
        let _attached = request.clone().attach();
        database.operation("GET").instrument(async {
            let before = current();
            tokio::task::yield_now().await;
            assert_eq!(current(), before);
            Ok::<_, io::Error>(before)
        })
    };
    let in_future = get.await.unwrap();
    let in_closure = {
        let _attached = request.attach();
        let in_closure = database.operation("GET").run(|| Ok::<_, io::Error>(current())).unwrap();
        let running = database.operation("GET").start();
        assert_eq!(current(), request_id);
        let in_hook = {
            let _attached = running.attach();
            current()
        };
        assert_eq!(in_hook, running.context().span().span_context().span_id());
        running.finish(Outcome::success());
        assert_eq!(current(), request_id);
        in_closure
    };
    assert!(!Context::current().span().span_context().is_valid());
    let spans = telemetry.spans();
    let ids: Vec<_> = spans.iter().map(|span| span.span_context.span_id()).take(2).collect();
    assert_eq!(ids, [in_future, in_closure]);
    assert!(spans.iter().take(3).all(|span| span.parent_span_id == request_id));
}

/// Threads that run operations to their end, drop them, and let them fail: none is lost, none
/// counted twice.
#[test]
fn a_storm_is_counted_exactly() {
    let telemetry = Telemetry::new();
    let database = Database::new("redis").with_meter_provider(&telemetry.meters);
    let database = database.with_tracer_provider(&SdkTracerProvider::builder().build());
    let (threads, operations) = (4, 25_000);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for n in 0..operations {
                    let get = || database.operation("GET");
                    match n % 10 {
                        0 | 3 => drop(get().start()),
                        6 => drop(get().instrument(pending::<Result<(), io::Error>>())),
                        9 => get().start().finish(Outcome::error("timeout")),
                        _ => get().run(|| Ok::<_, io::Error>(())).unwrap(),
                    }
                }
            });
        }
    });
    let get = "db.operation.name=GET, db.system.name=redis";
    let all = threads * operations;
    let expected = [
        (get.to_owned(), all * 6 / 10),
        (format!("{get}, error.type=cancelled"), all * 3 / 10),
        (format!("{get}, error.type=timeout"), all / 10),
    ];
    assert_eq!(telemetry.durations(), expected);
}

#[test]
fn suppressed_telemetry_is_not_recorded() {
    let telemetry = Telemetry::new();
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    telemetry.database("redis").operation("GET").start().finish(Outcome::success());
    drop(telemetry.database("redis").operation("GET").start());
    assert!(telemetry.spans().is_empty() && telemetry.durations().is_empty());
}

#[test]
fn summaries_on_the_metric_are_bounded() {
    let telemetry = Telemetry::new();
    let database = telemetry.database("postgresql");
    for n in 0..300 {
        database.query(&format!("SELECT * FROM t{n}")).start().finish(Outcome::success());
    }
    let spans = telemetry.spans();
    assert!(spans.iter().enumerate().all(|(n, span)| span.name == format!("SELECT t{n}")));
    let durations = telemetry.durations();
    assert_eq!(durations.len(), 201);
    assert_eq!(durations.last().unwrap(), &("db.system.name=postgresql".to_owned(), 100));
}

#[test]
fn futures_are_send() {
    fn is_send<T: Send>(_: &T) {}
    let database = Telemetry::new().database("redis");
    is_send(&database);
    is_send(&database.operation("GET").instrument(pending::<Result<(), io::Error>>()));
    is_send(&database.operation("GET").start());
}
