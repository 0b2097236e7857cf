//! Many operations at once, of which many are cancelled.

use std::sync::Arc;

use futures_util::{FutureExt, TryStreamExt, future::BoxFuture};
use sqlx::{Database, Executor, IntoArguments, postgres::PgPoolOptions, sqlite::SqlitePoolOptions};
use tower_telemetry::integrations::sqlx::Pool;

use crate::support::{Shop, postgres, sqlite};

const TASKS: u64 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_sqlite_leaves_nothing_behind() {
    let options = SqlitePoolOptions::new().max_connections(4).test_before_acquire(false);
    storm(sqlite(options).await, 100_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_postgresql_leaves_nothing_behind() {
    storm(postgres(PgPoolOptions::new().max_connections(4)).await, 5_000).await;
}

async fn storm<DB>(shop: Shop<DB>, operations: u64)
where
    DB: Database<Arguments: IntoArguments<DB>>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    let shop = Arc::new(shop);
    let tasks = (0..TASKS).map(|task| {
        let pool = shop.pool.clone();
        tokio::spawn(run(pool, task, operations / TASKS))
    });
    let mut cancelled = 0;
    for task in tasks.collect::<Vec<_>>() {
        cancelled += task.await.unwrap();
    }
    let share = cancelled as f64 / operations as f64;
    assert!((0.2..0.4).contains(&share), "{share} of the operations were cancelled");
    shop.settled().await;
    let metrics = shop.pool_metrics();
    assert_eq!(metrics["pending_requests"], 0.0);
    assert_eq!(metrics["used"], 0.0);
    assert_eq!(metrics["idle"], f64::from(shop.pool.size()));
    assert!(metrics["use_time"] <= metrics["wait_time"], "one for each connection that was given");
    // The pool is as good as before.
    sqlx::query("SELECT 1").execute(&shop.pool).await.unwrap();
}

/// Runs operations of several shapes, and cancels some of them at some point. Returns how many.
async fn run<DB>(pool: Pool<DB>, task: u64, operations: u64) -> u64
where
    DB: Database<Arguments: IntoArguments<DB>>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    let mut random = task * 0x9e37_79b9 + 1;
    let mut cancelled = 0;
    for _ in 0..operations {
        // xorshift: the same numbers in each run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut operation = operation(&pool, random % 4);
        if random % 10 < 6 {
            operation.await;
            continue;
        }
        // Half of them, or some more, end before so many polls.
        let mut is_done = false;
        for _ in 0..random / 16 % 4 {
            is_done |= (&mut operation).now_or_never().is_some();
            if is_done {
                break;
            }
            tokio::task::yield_now().await;
        }
        cancelled += u64::from(!is_done);
    }
    cancelled
}

fn operation<DB>(pool: &Pool<DB>, shape: u64) -> BoxFuture<'_, ()>
where
    DB: Database<Arguments: IntoArguments<DB>>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    let one = "SELECT 1";
    match shape {
        0 => Box::pin(async move { drop(sqlx::query(one).fetch_all(pool).await.unwrap()) }),
        1 => Box::pin(async move { drop(sqlx::query(one).fetch_optional(pool).await.unwrap()) }),
        2 => Box::pin(async move {
            let rows = sqlx::query(one).fetch(pool);
            drop(rows.try_collect::<Vec<_>>().await.unwrap());
        }),
        _ => Box::pin(async move {
            let mut transaction = pool.begin().await.unwrap();
            sqlx::query(one).execute(&mut *transaction).await.unwrap();
            transaction.commit().await.unwrap();
        }),
    }
}
