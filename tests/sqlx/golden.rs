//! The golden telemetry of databases: every span, instrument, unit, boundary and attribute for a
//! fixed set of operations. It is public API, so a change needs a line under *Telemetry* in the
//! changelog.
//!
//! `UPDATE_GOLDEN=1 cargo test --all-features --test sqlx golden` updates it.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use futures_util::StreamExt;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use sqlx::{Executor, IntoArguments, postgres::PgPoolOptions, sqlite::SqlitePoolOptions};
use tower_telemetry::integrations::sqlx::{Driver, Pool};

use crate::{
    database::Telemetry, golden_file, postgres::PostgresServer, resources, support::poll_once,
};

const GOLDEN: &str = "tests/sqlx/golden/telemetry.txt";

#[tokio::test]
async fn telemetry_equals_the_golden_file() {
    let acquire_timeout = Duration::from_millis(20);
    let options = SqlitePoolOptions::new().max_connections(1).acquire_timeout(acquire_timeout);
    let sqlite = options.connect("sqlite::memory:").await.unwrap();
    let mut text = recorded("sqlite", sqlite, |text| text).await;

    let server = PostgresServer::shared();
    let options = server.new_database().await;
    let (port, name) = (options.get_port(), options.get_database().unwrap().to_owned());
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(acquire_timeout);
    let postgres = pool.connect_with(options).await.unwrap();
    let fixed = |text: String| text.replace(&port.to_string(), "PORT").replace(&name, "shop");
    text.push_str(&recorded("postgresql", postgres, fixed).await);

    golden_file::assert_equal(GOLDEN, &text);
}

async fn recorded<DB>(
    system: &str,
    pool: sqlx::Pool<DB>,
    fixed: impl Fn(String) -> String,
) -> String
where
    DB: Driver<Arguments: IntoArguments<DB>>,
    for<'q> i64: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let telemetry = Telemetry::new();
    let pool = Pool::builder(pool)
        .with_tracer_provider(&telemetry.tracers)
        .with_meter_provider(&telemetry.meters)
        .with_returned_rows()
        .build();
    run(&pool).await.unwrap();
    let mut text = String::new();
    writeln!(text, "=== {system} ===\n").unwrap();
    let collected = telemetry.collect();
    let metrics = collected.iter().flat_map(|r| r.scope_metrics()).flat_map(|s| s.metrics());
    let metrics: BTreeMap<_, _> =
        metrics.map(|metric| (metric.name().to_owned(), metric)).collect();
    for metric in metrics.values() {
        writeln!(text, "instrument {} [{}] {}", metric.name(), metric.unit(), metric.description())
            .unwrap();
        if let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() {
            let bounds: Vec<_> = histogram.data_points().next().unwrap().bounds().collect();
            writeln!(text, "    boundaries = {bounds:?}").unwrap();
        }
    }
    text.push('\n');
    for (line, value) in resources::points(&collected) {
        writeln!(text, "{line} = {value}").unwrap();
    }
    text.push('\n');
    // The machine decides whether a wait that succeeds is long enough for a span.
    let is_wait = |line: &String| line.starts_with("wait for connection (internal) | unset");
    for line in telemetry.span_lines().into_iter().filter(|line| !is_wait(line)) {
        writeln!(text, "span {line}").unwrap();
    }
    fixed(text + "\n")
}

/// One operation after the other, so that their order is the same each time.
async fn run<DB>(pool: &Pool<DB>) -> Result<(), sqlx::Error>
where
    DB: Driver<Arguments: IntoArguments<DB>>,
    for<'q> i64: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let mut connection = pool.acquire().await?;
    sqlx::raw_sql("CREATE TABLE songs (id BIGINT PRIMARY KEY); INSERT INTO songs VALUES (1), (2)")
        .execute(&mut *connection)
        .await?;
    let select = || sqlx::query("SELECT * FROM songs WHERE id >= $1").bind(1_i64);
    select().fetch_all(&mut *connection).await?;
    select().fetch_optional(&mut *connection).await?;
    sqlx::query("SELECT * FROM songs WHERE id = 7").fetch_optional(&mut *connection).await?;
    drop(select().fetch(&mut *connection).next().await);
    (&mut *connection).prepare(sqlx::SqlStr::from_static("SELECT id FROM songs")).await?;
    let insert = || sqlx::query("INSERT INTO songs VALUES ($1)");
    let mut transaction = connection.begin().await?;
    insert().bind(3_i64).execute(&mut *transaction).await?;
    let mut savepoint = transaction.begin().await?;
    insert().bind(3_i64).execute(&mut *savepoint).await.map(drop).unwrap_err();
    savepoint.rollback().await?;
    transaction.begin().await?.commit().await?;
    transaction.commit().await?;
    connection.begin().await?.rollback().await?;
    connection.begin_with("BEGIN").await?;
    // The pool has no other connection.
    pool.acquire().await.unwrap_err();
    let mut waiting = Box::pin(pool.acquire());
    poll_once(&mut waiting).await;
    drop(waiting);
    connection.close().await
}
