//! Calls that need sqlx's own pool or connection, as the module's documentation says.

use crate::support::postgres;
use sqlx::{
    Executor, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
    postgres::{PgAdvisoryLock, PgListener, PgPoolOptions},
};

#[tokio::test]
async fn migrations_run_on_the_inner_pool() {
    let shop = postgres(PgPoolOptions::new()).await;
    let sql = "CREATE TABLE artists (id BIGINT)";
    let create =
        Migration::new(1, "artists".into(), MigrationType::Simple, sql.into_sql_str(), false);
    let migrator = Migrator::with_migrations(vec![create]);
    migrator.run(shop.pool.inner()).await.unwrap();
    assert_eq!(shop.spans(), [""; 0]);
    shop.pool.execute("INSERT INTO artists VALUES (1)").await.unwrap();
    assert_eq!(shop.spans(), ["INSERT artists: ok"]);
}

#[tokio::test]
async fn a_listener_listens_on_the_inner_pool() {
    let shop = postgres(PgPoolOptions::new()).await;
    let mut listener = PgListener::connect_with(shop.pool.inner()).await.unwrap();
    listener.listen("orders").await.unwrap();
    shop.pool.execute("NOTIFY orders, '7'").await.unwrap();
    assert_eq!(listener.recv().await.unwrap().payload(), "7");
    // Its connection is one of the pool.
    shop.settled_but(1).await;
    assert_eq!(shop.pool_metric("used"), 1.0);
    drop(listener);
    shop.settled().await;
    assert_eq!(shop.spans(), ["NOTIFY: ok"]);
}

#[tokio::test]
async fn copies_and_locks_use_the_inner_connection() {
    let shop = postgres(PgPoolOptions::new()).await;
    let mut connection = shop.pool.acquire().await.unwrap();
    let sql = "COPY songs FROM STDIN";
    let database = shop.pool.database().clone();
    let copy = async {
        let mut copy = connection.inner_mut().copy_in_raw(sql).await?;
        copy.send("1\ta\n2\tb\n".as_bytes()).await?;
        copy.finish().await
    };
    assert_eq!(database.query(sql).instrument(copy).await.unwrap(), 2);
    assert_eq!(shop.spans(), ["COPY songs: ok"]);

    let lock = PgAdvisoryLock::new("orders");
    let locked = lock.acquire(connection.inner_mut()).await.unwrap();
    locked.release_now().await.unwrap();
    assert_eq!(shop.spans(), [""; 0]);
}
