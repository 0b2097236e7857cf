//! Callers that go away: while they wait, while a query runs, while rows are read.

use futures_util::{StreamExt, TryStreamExt};
use sqlx::{Executor, postgres::PgPoolOptions, sqlite::SqlitePoolOptions};

use crate::support::{poll_once, postgres, sqlite};

#[tokio::test]
async fn a_cancelled_wait_is_no_longer_pending() {
    let shop = sqlite(SqlitePoolOptions::new().max_connections(1)).await;
    let held = shop.pool.acquire().await.unwrap();
    shop.telemetry.spans();
    let mut waits = [
        Box::pin(async { drop(shop.pool.acquire().await) })
            as futures_util::future::BoxFuture<'_, _>,
        Box::pin(async { drop(shop.pool.begin().await) }),
        Box::pin(async { drop(sqlx::query("SELECT 1").execute(&shop.pool).await) }),
        Box::pin(async { drop(sqlx::query("SELECT 1").fetch(&shop.pool).next().await) }),
        Box::pin(async { drop(sqlx::query("SELECT 1").fetch_optional(&shop.pool).await) }),
    ];
    for (n, wait) in waits.iter_mut().enumerate() {
        poll_once(wait).await;
        assert_eq!(shop.pool_metric("pending_requests"), n as f64 + 1.0);
    }
    let cancelled = waits.len();
    drop(waits);
    let metrics = shop.pool_metrics();
    assert_eq!((metrics["pending_requests"], metrics["timeouts"]), (0.0, 0.0));
    assert_eq!(metrics["wait_time"], 1.0, "only the one that has got a connection");
    // No query has begun.
    assert_eq!(shop.spans(), vec!["wait for connection: cancelled"; cancelled]);
    drop(held);
    sqlx::query("SELECT 1").execute(&shop.pool).await.unwrap();
}

#[tokio::test]
async fn a_future_that_is_never_polled_records_nothing() {
    let shop = sqlite(SqlitePoolOptions::new().max_connections(1)).await;
    let mut connection = shop.pool.acquire().await.unwrap();
    shop.telemetry.spans();
    drop(shop.pool.acquire());
    drop(sqlx::query("SELECT 1").execute(&shop.pool));
    drop(sqlx::query("SELECT 1").fetch(&shop.pool));
    drop((&mut *connection).fetch_optional("SELECT 1"));
    drop((&mut *connection).fetch_many("SELECT 1"));
    drop((&mut *connection).execute("SELECT 1"));
    drop(connection.begin());
    assert_eq!(shop.spans(), [""; 0]);
    assert_eq!(shop.durations(&[]), 0);
    assert_eq!(shop.pool_metric("pending_requests"), 0.0);
}

#[tokio::test]
async fn a_cancelled_query_has_its_duration() {
    let shop = postgres(PgPoolOptions::new().max_connections(1)).await;
    let mut connection = shop.pool.acquire().await.unwrap();
    shop.telemetry.spans();
    let mut query = Box::pin(sqlx::query("SELECT pg_sleep(0.01)").execute(&mut *connection));
    poll_once(&mut query).await;
    drop(query);
    assert_eq!(shop.spans(), ["SELECT: cancelled"]);
    assert_eq!(shop.durations(&["error.type=cancelled"]), 1);
    // The driver reads the rest of the answer first.
    sqlx::query("SELECT 1").execute(&mut *connection).await.unwrap();
    assert_eq!(shop.spans(), ["SELECT: ok"]);
}

#[tokio::test]
async fn a_stream_lasts_until_it_ends_or_is_dropped() {
    let shop = postgres(PgPoolOptions::new().max_connections(1)).await;
    let rows = || sqlx::query("SELECT * FROM generate_series(1, 3)");

    let mut connection = shop.pool.acquire().await.unwrap();
    shop.telemetry.spans();
    let mut stream = rows().fetch(&mut *connection);
    for _ in 0..3 {
        stream.try_next().await.unwrap().unwrap();
        assert_eq!(shop.spans(), [""; 0], "it goes on");
    }
    assert!(stream.try_next().await.unwrap().is_none());
    assert_eq!(shop.spans(), ["SELECT: ok"]);
    drop(stream);
    let mut stream = rows().fetch(&mut *connection);
    stream.try_next().await.unwrap().unwrap();
    drop(stream);
    assert_eq!(shop.spans(), ["SELECT: cancelled"]);
    drop(connection);
    shop.settled().await;

    // By the pool, the connection returns with the end of the stream.
    let mut stream = rows().fetch(&shop.pool);
    for _ in 0..3 {
        stream.try_next().await.unwrap().unwrap();
        assert_eq!(shop.pool_metric("used"), 1.0);
    }
    assert!(stream.try_next().await.unwrap().is_none());
    assert!(stream.try_next().await.unwrap().is_none(), "it stays at its end");
    shop.settled().await;
    assert_eq!(shop.pool_metric("used"), 0.0);
    assert_eq!(shop.spans().pop().unwrap(), "SELECT: ok");
    drop(stream);
    let mut stream = rows().fetch(&shop.pool);
    stream.try_next().await.unwrap().unwrap();
    drop(stream);
    shop.settled().await;
    assert_eq!(shop.spans().pop().unwrap(), "SELECT: cancelled");
    assert_eq!(shop.pool_metric("used"), 0.0);
    assert_eq!(shop.pool_metric("use_time"), 3.0, "one for each use");

    // An error ends the operation, not the stream.
    let mut stream = sqlx::raw_sql("SELECT 1 / 0").fetch_many(&shop.pool);
    stream.next().await.unwrap().unwrap_err();
    assert_eq!(shop.spans().pop().unwrap(), "SELECT: 22012");
}

/// Cancels a transaction at each point where it waits.
#[tokio::test]
async fn a_transaction_can_be_cancelled_anywhere() {
    let shop = postgres(PgPoolOptions::new().max_connections(1)).await;
    for polls in 0.. {
        let mut transfer = Box::pin(async {
            let mut transaction = shop.pool.begin().await?;
            let insert = sqlx::query("INSERT INTO songs VALUES (1, 'a')");
            insert.execute(&mut *transaction).await?;
            transaction.rollback().await
        });
        let mut done = None;
        for _ in 0..polls {
            // Polls again when there is progress to make.
            done = tokio::select! {
                biased;
                done = &mut transfer => Some(done),
                () = tokio::task::yield_now() => None,
            };
            if done.is_some() {
                break;
            }
        }
        drop(transfer);
        shop.settled().await;
        let metrics = shop.pool_metrics();
        assert_eq!((metrics["pending_requests"], metrics["used"]), (0.0, 0.0), "{polls} polls");
        if let Some(done) = done {
            done.unwrap();
            break;
        }
    }
    let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM songs");
    assert_eq!(count.fetch_one(&shop.pool).await.unwrap(), 0);
}
