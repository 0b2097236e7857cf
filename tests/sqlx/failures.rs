//! Failures are recorded without their messages.

use sqlx::{Executor, postgres::PgPoolOptions, sqlite::SqlitePoolOptions};

use crate::support::{attribute, postgres, sqlite};

/// A value that errors of the databases quote.
const SECRET: &str = "zqsecretqz";

#[tokio::test]
async fn failures_of_postgresql_have_their_sqlstate() {
    let shop = postgres(PgPoolOptions::new().max_connections(1)).await;
    let insert = format!("INSERT INTO songs VALUES (1, '{SECRET}')");
    shop.pool.execute(sqlx::AssertSqlSafe(insert)).await.unwrap();
    shop.pool.execute("CREATE UNIQUE INDEX titles ON songs (title)").await.unwrap();
    shop.telemetry.spans();
    let rows = [
        ("23505", "INSERT INTO songs VALUES ($1, $2)", Some(2)),
        ("23502", "INSERT INTO songs VALUES ($1, nullif($2, $2))", Some(2)),
        ("42P01", "SELECT * FROM zqsecretqz", None),
        ("42601", "SELEC 'zqsecretqz'", None),
        ("22012", "SELECT 1 / 0", None),
        ("22P02", "SELECT 'zqsecretqz'::bigint", None),
        ("25001", "VACUUM", None),
    ];
    let mut transaction = shop.pool.begin().await.unwrap();
    for (code, sql, id) in rows {
        shop.telemetry.spans();
        let mut savepoint = transaction.begin().await.unwrap();
        let query = sqlx::query(sql);
        let query = match id {
            Some(id) => query.bind(id).bind(SECRET),
            None => query,
        };
        query.execute(&mut *savepoint).await.unwrap_err();
        let span = shop.telemetry.spans().pop().unwrap();
        assert_eq!(attribute(&span, "db.response.status_code").as_deref(), Some(code), "{sql}");
        assert_eq!(attribute(&span, "error.type").as_deref(), Some(code), "{sql}");
        let text = format!("{:?} {:?} {:?}", span.attributes, span.status, span.events);
        let quoted = text.replace("SELECT * FROM zqsecretqz", "").replace("SELECT zqsecretqz", "");
        assert!(!quoted.contains(SECRET), "{sql}: {text}");
        let on_metric = [format!("db.response.status_code={code}"), format!("error.type={code}")];
        assert_eq!(shop.durations(&[&on_metric[0], &on_metric[1]]), 1, "{sql}");
        savepoint.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn failures_of_sqlite_have_its_code() {
    let shop = sqlite(SqlitePoolOptions::new().max_connections(1)).await;
    let insert = || sqlx::query("INSERT INTO songs VALUES ($1, $2)").bind(1).bind(SECRET);
    insert().execute(&shop.pool).await.unwrap();
    // SQLITE_CONSTRAINT_PRIMARYKEY; a BIGINT isn't the row's id.
    insert().execute(&shop.pool).await.unwrap_err();
    shop.pool.execute("SELEC 'zqsecretqz'").await.unwrap_err();
    assert_eq!(shop.spans(), ["INSERT songs: ok", "INSERT songs: 1555", ":memory:: 1"]);
    let labels = ["db.query.summary=INSERT songs", "db.response.status_code=1555"];
    assert_eq!(shop.durations(&labels), 1);
    assert_eq!(shop.durations(&[SECRET]), 0);
}

/// A row that can't be decoded is no failure of the database.
#[tokio::test]
async fn errors_of_the_caller_are_no_failures_of_the_operation() {
    let shop = sqlite(SqlitePoolOptions::new().max_connections(1)).await;
    let missing = sqlx::query("SELECT id FROM songs").fetch_one(&shop.pool).await;
    assert!(matches!(missing, Err(sqlx::Error::RowNotFound)));
    let decoded = sqlx::query_scalar::<_, i64>("SELECT 'x'").fetch_one(&shop.pool).await;
    assert!(matches!(decoded, Err(sqlx::Error::ColumnDecode { .. })));
    assert_eq!(shop.spans(), ["SELECT songs: ok", "SELECT: ok"]);
}

/// The server ends the connection of a query that runs.
#[tokio::test]
async fn a_killed_connection_fails_its_query_and_leaves_the_pool() {
    let shop = postgres(PgPoolOptions::new().max_connections(2)).await;
    let mut killed = shop.pool.acquire().await.unwrap();
    let pid: i32 =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *killed).await.unwrap();
    let sleep = sqlx::query("SELECT pg_sleep(600)").execute(&mut *killed);
    let kill = async {
        // The query must run, or it would fail before it is sent.
        let state = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1";
        let is_active = || sqlx::query_scalar::<_, bool>(state).bind(pid);
        while !is_active().fetch_one(shop.pool.inner()).await.unwrap() {}
        let kill = sqlx::query("SELECT pg_terminate_backend($1)").bind(pid);
        kill.execute(shop.pool.inner()).await.unwrap();
    };
    let (slept, ()) = tokio::join!(sleep, kill);
    slept.unwrap_err();
    assert_eq!(shop.spans().pop().unwrap(), "SELECT: 57P01");
    assert_eq!(shop.durations(&["db.response.status_code=57P01"]), 1);
    // Later queries fail with an error of the connection, which has no code.
    sqlx::query("SELECT 1").execute(&mut *killed).await.unwrap_err();
    let after = shop.spans().pop().unwrap();
    assert!(!after.ends_with("ok") && !after.contains("57P01"), "{after}");
    drop(killed);
    shop.settled().await;
    assert_eq!(shop.pool.size(), 1, "the pool has dropped the connection");
    assert_eq!(shop.pool_metric("used"), 0.0);
    assert_eq!(shop.pool_metric("idle"), 1.0);
}

#[tokio::test]
async fn one_of_two_in_a_deadlock_fails() {
    let shop = postgres(PgPoolOptions::new().max_connections(2)).await;
    shop.pool.execute("INSERT INTO songs VALUES (1, 'a'), (2, 'b')").await.unwrap();
    let update = |id: i64| sqlx::query("UPDATE songs SET title = 'c' WHERE id = $1").bind(id);
    let (mut a, mut b) = (shop.pool.begin().await.unwrap(), shop.pool.begin().await.unwrap());
    update(1).execute(&mut *a).await.unwrap();
    update(2).execute(&mut *b).await.unwrap();
    shop.telemetry.spans();
    let (of_a, of_b) = tokio::join!(update(2).execute(&mut *a), update(1).execute(&mut *b));
    assert!(of_a.is_err() != of_b.is_err());
    let mut spans = shop.spans();
    spans.sort();
    assert_eq!(spans, ["UPDATE songs: 40P01", "UPDATE songs: ok"]);
    assert_eq!(shop.durations(&["db.response.status_code=40P01", "error.type=40P01"]), 1);
}

/// The pool tries again until its own timeout, and the error of the operating system is lost.
#[tokio::test]
async fn a_server_that_is_away_is_a_wait_that_timed_out() {
    let shop = postgres(PgPoolOptions::new()).await;
    let away = shop.pool.connect_options().as_ref().clone().host("127.0.0.1").port(1);
    let options = PgPoolOptions::new().acquire_timeout(std::time::Duration::from_millis(50));
    let pool = tower_telemetry::integrations::sqlx::Pool::builder(options.connect_lazy_with(away))
        .with_tracer_provider(&shop.telemetry.tracers)
        .with_meter_provider(&shop.telemetry.meters)
        .build();
    sqlx::query("SELECT 1").execute(&pool).await.unwrap_err();
    assert_eq!(shop.spans(), ["wait for connection: pool_timed_out"]);
}
