//! Transactions and savepoints.

use sqlx::{Database, postgres::PgPoolOptions, sqlite::SqlitePoolOptions};

use crate::support::{Shop, postgres, sqlite};

/// Names of spans, in order, and how many songs are there in the end.
fn check<DB: Database>(shop: &Shop<DB>, what: &str, expected: &[&str], songs: i64, count: i64) {
    assert_eq!(shop.spans(), expected, "{what}");
    assert_eq!(count, songs, "{what}");
}

/// A macro, because the transactions of each database are of another type.
macro_rules! every_way {
    ($shop:expr, $namespace:expr, $begin:literal) => {{
        let shop = $shop;
        let of = |name: &str| format!("{name} {}: ok", $namespace);
        let [begin, commit, rollback, savepoint, release, back] = [
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT",
            "RELEASE SAVEPOINT",
            "ROLLBACK TO SAVEPOINT",
        ]
        .map(of);
        let insert = || sqlx::query("INSERT INTO songs SELECT count(*), 'x' FROM songs");
        let one = "INSERT songs SELECT songs: ok";
        let count = async || {
            let query = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM songs");
            query.fetch_one(shop.pool.inner()).await.unwrap()
        };

        let mut transaction = shop.pool.begin().await.unwrap();
        insert().execute(&mut *transaction).await.unwrap();
        assert!(transaction.is_in_transaction());
        transaction.commit().await.unwrap();
        check(&shop, "committed", &[&begin, one, &commit], 1, count().await);

        let mut transaction = shop.pool.begin().await.unwrap();
        insert().execute(&mut *transaction).await.unwrap();
        transaction.rollback().await.unwrap();
        check(&shop, "rolled back", &[&begin, one, &rollback], 1, count().await);

        let mut transaction = shop.pool.begin().await.unwrap();
        insert().execute(&mut *transaction).await.unwrap();
        drop(transaction);
        check(&shop, "dropped", &[&begin, one, &rollback], 1, count().await);
        let measured = shop.durations(&["db.operation.name=ROLLBACK"]);
        assert_eq!(measured, 1, "the one by drop has no duration");

        let mut transaction = shop.pool.begin_with($begin).await.unwrap();
        insert().execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        check(&shop, "begin_with", &["BEGIN: ok", one, &commit], 2, count().await);

        let mut transaction = shop.pool.begin().await.unwrap();
        let mut inner = transaction.begin().await.unwrap();
        insert().execute(&mut *inner).await.unwrap();
        inner.commit().await.unwrap();
        let mut inner = transaction.begin().await.unwrap();
        insert().execute(&mut *inner).await.unwrap();
        inner.rollback().await.unwrap();
        let mut inner = transaction.begin().await.unwrap();
        insert().execute(&mut *inner).await.unwrap();
        drop(inner);
        transaction.commit().await.unwrap();
        let spans = [
            &*begin, &savepoint, one, &release, &savepoint, one, &back, &savepoint, one, &back,
            &commit,
        ];
        check(&shop, "savepoints", &spans, 3, count().await);
        assert_eq!(shop.durations(&["db.operation.name=ROLLBACK TO SAVEPOINT"]), 1);

        let mut transaction = shop.pool.begin().await.unwrap();
        let refused = transaction.begin_with($begin).await.map(drop);
        assert!(matches!(refused, Err(sqlx::Error::InvalidSavePointStatement)));
        drop(transaction);
        assert!(shop.spans().contains(&"BEGIN: invalid_save_point".to_owned()));
        shop.settled().await;

        let mut connection = shop.pool.acquire().await.unwrap();
        shop.spans();
        let before = count().await;
        let mut transaction = connection.begin().await.unwrap();
        insert().execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        let done = connection.transaction(|transaction| {
            Box::pin(async move { insert().execute(&mut **transaction).await })
        });
        done.await.unwrap();
        let failed = connection.transaction(|transaction| {
            Box::pin(async move {
                insert().execute(&mut **transaction).await?;
                Err::<(), _>(sqlx::Error::RowNotFound)
            })
        });
        assert!(failed.await.is_err());
        assert!(!connection.is_in_transaction());
        let spans = [&begin, one, &commit, &begin, one, &commit, &begin, one, &rollback];
        check(&shop, "by a connection", &spans, before + 2, count().await);
        drop(connection);
        shop.settled().await;

        let before = count().await;
        let mut transaction = shop.pool.try_begin().await.unwrap().unwrap();
        insert().execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        shop.settled().await;
        let transaction = shop.pool.try_begin_with($begin).await.unwrap().unwrap();
        transaction.commit().await.unwrap();
        let spans = [&begin, one, &commit, "BEGIN: ok", &commit];
        check(&shop, "try_begin", &spans, before + 1, count().await);
    }};
}

#[tokio::test]
async fn every_step_of_sqlite_is_an_operation() {
    every_way!(sqlite(SqlitePoolOptions::new()).await, ":memory:", "BEGIN IMMEDIATE");
}

#[tokio::test]
async fn every_step_of_postgresql_is_an_operation() {
    let shop = postgres(PgPoolOptions::new()).await;
    let database = shop.pool.connect_options().get_database().unwrap().to_owned();
    every_way!(shop, database, "BEGIN ISOLATION LEVEL SERIALIZABLE");
}
