//! Metrics of pools.

use std::collections::BTreeMap;

use opentelemetry::KeyValue;
use sqlx::{Sqlite, postgres::PgPoolOptions, sqlite::SqlitePoolOptions};
use tower_telemetry::integrations::sqlx::{Connection, Pool, PoolBuilder};

use crate::{
    database::Telemetry,
    resources,
    support::{postgres, short, sqlite},
};

async fn builder(telemetry: &Telemetry) -> PoolBuilder<Sqlite> {
    let pool = SqlitePoolOptions::new().connect("sqlite::memory:").await.unwrap();
    let builder = Pool::builder(pool).with_tracer_provider(&telemetry.tracers);
    builder.with_meter_provider(&telemetry.meters)
}

/// The names of the pools that are reported.
fn reported(telemetry: &Telemetry) -> Vec<String> {
    let points = resources::points(&telemetry.collect());
    let names = points.keys().filter_map(|line| {
        line.strip_prefix("db.client.connection.limit{db.client.connection.pool.name=")?
            .split('}')
            .next()
    });
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names
}

#[tokio::test]
async fn all_metrics_come_without_a_further_word() {
    let shop = sqlite(SqlitePoolOptions::new().max_connections(3)).await;
    let first = shop.pool.acquire().await.unwrap();
    let second = shop.pool.acquire().await.unwrap();
    drop(second);
    shop.settled_but(1).await;
    let expected = [
        ("idle", 1.0),
        ("idle.min", 1.0),
        ("limit", 3.0),
        ("pending_requests", 0.0),
        ("timeouts", 0.0),
        ("use_time", 1.0),
        ("used", 1.0),
        ("wait_time", 2.0),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(name, value)| (name.to_owned(), value)).into();
    assert_eq!(shop.pool_metrics(), expected);
    // The connection of a transaction is used, too; one that leaves the pool is not.
    let transaction = shop.pool.begin().await.unwrap();
    assert_eq!((shop.pool_metric("used"), shop.pool_metric("idle")), (2.0, 0.0));
    transaction.rollback().await.unwrap();
    first.detach().close().await.unwrap();
    shop.settled().await;
    assert_eq!((shop.pool_metric("used"), shop.pool_metric("idle")), (0.0, 1.0));
}

#[tokio::test]
async fn pools_of_one_database_have_names_of_their_own() {
    let telemetry = Telemetry::new();
    let first = builder(&telemetry).await.with_name("orders").build();
    let second = builder(&telemetry).await.with_name("orders").build();
    assert_eq!(reported(&telemetry), ["orders", "orders#2"]);
    // Clones are the same pool.
    let clone = first.clone();
    drop(first);
    assert_eq!(reported(&telemetry), ["orders", "orders#2"]);
    drop(second);
    assert_eq!(reported(&telemetry), ["orders"]);
    // A connection keeps its pool.
    let connection = clone.acquire().await.unwrap();
    drop(clone);
    assert_eq!(reported(&telemetry), ["orders"]);
    drop(connection);
    assert_eq!(reported(&telemetry), [""; 0]);
    let _again = builder(&telemetry).await.with_name("orders").build();
    assert_eq!(reported(&telemetry), ["orders"]);
}

#[tokio::test]
async fn a_pool_is_named_by_its_server() {
    let shop = postgres(PgPoolOptions::new()).await;
    let options = shop.pool.connect_options();
    let database = options.get_database().unwrap();
    let build = |pool| {
        let builder = Pool::builder(pool).with_tracer_provider(&shop.telemetry.tracers);
        builder.with_meter_provider(&shop.telemetry.meters).build()
    };
    let _by_port = build(PgPoolOptions::new().connect_lazy_with((*options).clone()));
    let socket = shop.server.as_ref().unwrap().socket();
    let options = (*options).clone().socket(socket);
    let by_socket = build(PgPoolOptions::new().connect_with(options.clone()).await.unwrap());
    let socket = socket.display();
    let port = options.get_port();
    let mut names = reported(&shop.telemetry);
    // The pool with a name, which other tests may have, too.
    names.retain(|name| !name.starts_with("shop"));
    assert_eq!(names, [format!("{socket}/{database}"), format!("127.0.0.1:{port}/{database}")]);

    sqlx::query("SELECT 1").execute(&shop.pool).await.unwrap();
    sqlx::query("SELECT 1").execute(&by_socket).await.unwrap();
    let spans =
        shop.telemetry.spans().into_iter().filter(|span| span.name != "wait for connection");
    let attributes: Vec<_> = spans
        .map(|span| {
            let of_server = |a: &&KeyValue| a.key.as_str().starts_with("server.");
            let pairs = span.attributes.iter().filter(of_server).map(|a| a.value.to_string());
            pairs.collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        attributes,
        [vec!["127.0.0.1".to_owned(), port.to_string()], vec![socket.to_string()]]
    );
}

#[tokio::test]
async fn a_connection_of_its_own_needs_no_pool() {
    let telemetry = Telemetry::new();
    let options = "sqlite::memory:".parse().unwrap();
    let connection = Connection::<Sqlite>::connect_with(&options).await.unwrap();
    let mut connection = connection.with_database(|database| {
        let database = database.with_tracer_provider(&telemetry.tracers);
        database.with_meter_provider(&telemetry.meters)
    });
    sqlx::query("SELECT * FROM missing").execute(&mut connection).await.unwrap_err();
    connection.ping().await.unwrap();
    connection.close().await.unwrap();
    let spans: Vec<_> = telemetry.spans().iter().map(short).collect();
    assert_eq!(spans, ["SELECT missing: 1"]);
    let labels = "db.namespace=:memory:, db.query.summary=SELECT missing, \
                  db.response.status_code=1, db.system.name=sqlite, error.type=1";
    assert_eq!(telemetry.durations(), [(labels.to_owned(), 1)]);
}
