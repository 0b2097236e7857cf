//! Global providers that are installed after the pool was created.

use opentelemetry::global;
use sqlx::Sqlite;
use tower_telemetry::integrations::sqlx::Pool;

use crate::{database::Telemetry, resources};

#[tokio::test]
async fn global_providers_are_found_later() {
    let pool = sqlx::Pool::<Sqlite>::connect("sqlite::memory:").await.unwrap();
    let pool = Pool::builder(pool).with_name("late").build();
    sqlx::query("SELECT 1").execute(&pool).await.unwrap();
    // Every other test of this program brings providers of its own.
    let telemetry = Telemetry::new();
    global::set_tracer_provider(telemetry.tracers.clone());
    global::set_meter_provider(telemetry.meters.clone());
    sqlx::query("SELECT 1").execute(&pool).await.unwrap();
    assert!(telemetry.spans().iter().any(|span| span.name == "SELECT"));
    let points = resources::points(&telemetry.collect());
    let name = "db.client.connection.pool.name=late";
    assert_eq!(
        points[&format!("db.client.connection.limit{{{name}}} up-down {{connection}}")],
        10.0
    );
    assert_eq!(points[&format!("db.client.connection.wait_time{{{name}}} histogram s")], 1.0);
    assert_eq!(telemetry.durations().len(), 1);
}
