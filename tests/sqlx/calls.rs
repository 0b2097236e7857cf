//! Every call shape of sqlx, by pool, connection and transaction.

use futures_util::TryStreamExt;
use opentelemetry::trace::SpanKind;
use sqlx::{
    Database, Either, Executor, FromRow, QueryBuilder, Row, SqlSafeStr, Statement,
    postgres::PgPoolOptions, sqlite::SqlitePoolOptions,
};
use tower_telemetry::integrations::sqlx::Pool;

use crate::{
    database::Telemetry,
    support::{Shop, attribute, postgres, sqlite},
};

#[derive(Debug, FromRow, PartialEq)]
struct Song {
    id: i64,
    title: String,
}

/// The record of each call: `name: db.query.text`.
const EXPECTED: [(&str, &str); 19] = [
    (
        "raw_sql, several statements",
        "DELETE songs INSERT songs: DELETE FROM songs; INSERT INTO songs VALUES (?, ?) , (?, ?)",
    ),
    ("a text as the query", "UPDATE songs: UPDATE songs SET title = ? WHERE id = ?"),
    ("execute", "UPDATE songs: UPDATE songs SET title = $1 WHERE id = 1"),
    (
        "execute_many",
        "UPDATE songs UPDATE songs: UPDATE songs SET id = id; UPDATE songs SET id = id",
    ),
    ("fetch", "SELECT songs: SELECT * FROM songs WHERE id > $1"),
    ("fetch_many", "SELECT songs SELECT songs: SELECT id FROM songs; SELECT title FROM songs"),
    ("fetch_all", "SELECT songs: SELECT * FROM songs ORDER BY id"),
    ("fetch_one", "SELECT songs: SELECT title FROM songs WHERE id = $1"),
    ("fetch_one without a row", "SELECT songs: SELECT title FROM songs WHERE id = $1"),
    ("fetch_optional with a row", "SELECT songs: SELECT title FROM songs WHERE id = $1"),
    ("fetch_optional without a row", "SELECT songs: SELECT title FROM songs WHERE id = $1"),
    ("query_as", "SELECT songs: SELECT id, title FROM songs ORDER BY id"),
    ("query_as by a stream", "SELECT songs: SELECT id, title FROM songs ORDER BY id"),
    ("query_scalar", "SELECT songs: SELECT count(*) FROM songs"),
    ("map", "SELECT songs: SELECT id FROM songs WHERE id = $1"),
    ("not persistent", "SELECT songs: SELECT id FROM songs WHERE id = $1"),
    // The builder writes the placeholders of the database.
    ("query builder", "INSERT songs: INSERT INTO songs (id, title) VALUES ($1, $2), ($3, $4)"),
    ("prepare", "PREPARE: SELECT title FROM songs WHERE id = $1"),
    ("a prepared statement", "SELECT songs: SELECT title FROM songs WHERE id = $1"),
];

/// Makes every call. A macro, because each call consumes its executor, and because the executors
/// have types of their own.
macro_rules! every_call {
    ($DB:ty, $executor:expr, $seen:expr) => {{
        let sql = "DELETE FROM songs; INSERT INTO songs VALUES (1, 'a') , (2, 'b')";
        sqlx::raw_sql(sql).execute($executor).await.unwrap();
        ($seen)("raw_sql, several statements");
        Executor::execute($executor, "UPDATE songs SET title = 'c' WHERE id = 2").await.unwrap();
        ($seen)("a text as the query");
        let update = sqlx::query("UPDATE songs SET title = $1 WHERE id = 1").bind("d");
        assert_eq!(update.execute($executor).await.unwrap().rows_affected(), 1);
        ($seen)("execute");
        let twice = sqlx::raw_sql("UPDATE songs SET id = id; UPDATE songs SET id = id");
        let done: Vec<_> = twice.execute_many($executor).try_collect().await.unwrap();
        assert_eq!(done.iter().map(|done| done.rows_affected()).collect::<Vec<_>>(), [2, 2]);
        ($seen)("execute_many");
        let rows = sqlx::query("SELECT * FROM songs WHERE id > $1").bind(0_i64).fetch($executor);
        assert_eq!(rows.try_collect::<Vec<_>>().await.unwrap().len(), 2);
        ($seen)("fetch");
        let both = sqlx::raw_sql("SELECT id FROM songs; SELECT title FROM songs");
        let both: Vec<_> = both.fetch_many($executor).try_collect().await.unwrap();
        let shape: Vec<_> = both.iter().map(Either::is_right).collect();
        assert_eq!(shape, [true, true, false, true, true, false]);
        ($seen)("fetch_many");
        let all = sqlx::query("SELECT * FROM songs ORDER BY id").fetch_all($executor).await;
        assert_eq!(all.unwrap().len(), 2);
        ($seen)("fetch_all");
        let title = || sqlx::query("SELECT title FROM songs WHERE id = $1");
        let row = title().bind(1_i64).fetch_one($executor).await.unwrap();
        assert_eq!(row.get::<String, _>(0), "d");
        ($seen)("fetch_one");
        let missing = title().bind(7_i64).fetch_one($executor).await;
        assert!(matches!(missing, Err(sqlx::Error::RowNotFound)));
        ($seen)("fetch_one without a row");
        assert!(title().bind(1_i64).fetch_optional($executor).await.unwrap().is_some());
        ($seen)("fetch_optional with a row");
        assert!(title().bind(7_i64).fetch_optional($executor).await.unwrap().is_none());
        ($seen)("fetch_optional without a row");
        let songs = || sqlx::query_as::<$DB, Song>("SELECT id, title FROM songs ORDER BY id");
        let expected = [(1, "d"), (2, "c")].map(|(id, title)| Song { id, title: title.into() });
        assert_eq!(songs().fetch_all($executor).await.unwrap(), expected);
        ($seen)("query_as");
        assert_eq!(songs().fetch($executor).try_collect::<Vec<_>>().await.unwrap(), expected);
        ($seen)("query_as by a stream");
        let count = sqlx::query_scalar::<$DB, i64>("SELECT count(*) FROM songs");
        assert_eq!(count.fetch_one($executor).await.unwrap(), 2);
        ($seen)("query_scalar");
        let id = || sqlx::query("SELECT id FROM songs WHERE id = $1").bind(2_i64);
        let mapped = id().map(|row: <$DB as sqlx::Database>::Row| row.get::<i64, _>(0));
        assert_eq!(mapped.fetch_one($executor).await.unwrap(), 2);
        ($seen)("map");
        assert_eq!(id().persistent(false).fetch_all($executor).await.unwrap().len(), 1);
        ($seen)("not persistent");
        let mut insert = QueryBuilder::<$DB>::new("INSERT INTO songs (id, title) ");
        insert.push_values([(3_i64, "e"), (4, "f")], |mut row, (id, title)| {
            row.push_bind(id).push_bind(title);
        });
        assert_eq!(insert.build().execute($executor).await.unwrap().rows_affected(), 2);
        ($seen)("query builder");
        let sql = "SELECT title FROM songs WHERE id = $1".into_sql_str();
        let statement = $executor.prepare(sql).await.unwrap();
        assert_eq!(statement.columns().len(), 1);
        ($seen)("prepare");
        let row = statement.query().bind(3_i64).fetch_one($executor).await.unwrap();
        assert_eq!(row.get::<String, _>(0), "e");
        ($seen)("a prepared statement");
        let described = $executor.describe("SELECT id FROM songs".into_sql_str()).await.unwrap();
        assert_eq!(described.columns().len(), 1);
    }};
}

macro_rules! every_executor {
    ($DB:ty, $shop:expr) => {{
        let shop = $shop;
        let mut seen = Vec::new();
        every_call!($DB, &shop.pool, |call| seen.push((call, texts(&shop))));
        check("pool", seen);

        let mut seen = Vec::new();
        let mut connection = shop.pool.acquire().await.unwrap();
        every_call!($DB, &mut *connection, |call| seen.push((call, texts(&shop))));
        check("connection", seen);

        let mut seen = Vec::new();
        let mut transaction = shop.pool.begin().await.unwrap();
        shop.telemetry.spans();
        every_call!($DB, &mut *transaction, |call| seen.push((call, texts(&shop))));
        check("transaction", seen);
        transaction.commit().await.unwrap();

        let mut seen = Vec::new();
        let mut own = shop.pool.acquire().await.unwrap().detach();
        shop.telemetry.spans();
        every_call!($DB, &mut own, |call| seen.push((call, texts(&shop))));
        check("connection of its own", seen);
        own.close().await.unwrap();
    }};
}

#[tokio::test]
async fn every_call_of_sqlite_is_one_operation() {
    every_executor!(sqlx::Sqlite, sqlite(SqlitePoolOptions::new()).await);
}

#[tokio::test]
async fn every_call_of_postgresql_is_one_operation() {
    every_executor!(sqlx::Postgres, postgres(PgPoolOptions::new()).await);
}

fn texts<DB: Database>(shop: &Shop<DB>) -> String {
    let spans = shop.telemetry.spans();
    let spans = spans.iter().filter(|span| span.name != "wait for connection");
    let text = |span| {
        assert_eq!(attribute(span, "error.type"), None);
        format!("{}: {}", span.name, attribute(span, "db.query.text").unwrap())
    };
    spans.map(text).collect::<Vec<_>>().join(" + ")
}

fn check(executor: &str, seen: Vec<(&str, String)>) {
    for ((call, seen), expected) in seen.iter().zip(EXPECTED) {
        let seen = seen.replace("(?, ?), (?, ?)", "($1, $2), ($3, $4)");
        assert_eq!((*call, &*seen), expected, "{executor}");
    }
    assert_eq!(seen.len(), EXPECTED.len());
}

/// Statements are cached by connection, so the second use is another path of the driver.
#[tokio::test]
async fn a_repeated_query_is_recorded_each_time() {
    let shop = sqlite(SqlitePoolOptions::new()).await;
    for _ in 0..10 {
        let query = sqlx::query("SELECT title FROM songs WHERE id = $1").bind(1_i64);
        query.fetch_all(&shop.pool).await.unwrap();
    }
    assert_eq!(shop.durations(&["db.query.summary=SELECT songs"]), 10);
}

/// Functions that take any executor or pass one on.
#[tokio::test]
async fn generic_functions_take_pools_and_connections() {
    async fn count<'e, E: sqlx::SqliteExecutor<'e>>(executor: E) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM songs");
        count.fetch_one(executor).await.unwrap()
    }
    async fn any<DB>(pool: &Pool<DB>) -> usize
    where
        DB: Database<Arguments: sqlx::IntoArguments<DB>>,
        for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    {
        sqlx::query("SELECT id FROM songs").fetch_all(pool).await.unwrap().len()
    }
    let shop = sqlite(SqlitePoolOptions::new()).await;
    let mut transaction = shop.pool.begin().await.unwrap();
    assert_eq!(count(&mut *transaction).await, 0);
    assert_eq!(count(transaction.as_mut()).await, 0);
    transaction.commit().await.unwrap();
    // In a task: the futures can be sent to other threads.
    let pool = shop.pool.clone();
    let task = tokio::spawn(async move { count(&pool).await + any(&pool).await as i64 });
    assert_eq!(task.await.unwrap(), 0);
    assert_eq!(shop.durations(&["db.query.summary=SELECT songs"]), 4);
}

#[tokio::test]
async fn rows_are_counted_if_asked_for() {
    let telemetry = Telemetry::new();
    let pool = sqlx::Pool::connect("sqlite::memory:").await.unwrap();
    let pool = Pool::<sqlx::Sqlite>::builder(pool)
        .with_tracer_provider(&telemetry.tracers)
        .with_meter_provider(&telemetry.meters)
        .with_returned_rows()
        .with_name("counted")
        .build();
    let three = "SELECT 1 UNION SELECT 2 UNION SELECT 3";
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query(three).fetch_all(&mut *connection).await.unwrap();
    sqlx::query(three).fetch_optional(&mut *connection).await.unwrap();
    sqlx::query("SELECT 1 WHERE false").fetch_optional(&mut *connection).await.unwrap();
    let rows = telemetry.spans().into_iter().filter(|span| span.span_kind == SpanKind::Client);
    let rows: Vec<_> = rows.map(|span| attribute(&span, "db.response.returned_rows")).collect();
    assert_eq!(rows, ["3", "1", "0"].map(|rows| Some(rows.to_owned())));
}
