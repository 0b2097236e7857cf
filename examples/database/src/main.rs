//! axum and sqlx with telemetry, printed on the console. The program answers two requests itself,
//! and ends.
//!
//! ```text
//! cargo run --manifest-path examples/database/Cargo.toml
//! ```
//!
//! The pool has one connection, so the second query of a request waits for the first. The macros
//! read what they know of the database from `.sqlx`. After a change of a query:
//!
//! ```text
//! cd examples/database
//! sqlite3 songs.db < schema.sql
//! DATABASE_URL=sqlite://songs.db SQLX_OFFLINE_DIR=.sqlx cargo check
//! ```

use std::time::Duration;

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::{Request, StatusCode},
    routing::{get, post},
};
use sqlx::{Sqlite, sqlite::SqlitePoolOptions};
use tower::ServiceExt;
use tower_telemetry::{Telemetry, TelemetryLayer, integrations::sqlx::Pool};

// The one line that telemetry takes, instead of `use sqlx::SqlitePool`.
type SqlitePool = Pool<Sqlite>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry =
        Telemetry::builder().with_service_name("songs").with_console_by_default().build()?;
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::raw_sql(include_str!("../schema.sql")).execute(&pool).await?;
    let pool = SqlitePool::from(pool);
    let app = Router::new()
        .route("/songs/since/{year}", get(songs))
        .route("/songs", post(add))
        .layer(TelemetryLayer::server())
        .with_state(pool.clone());

    // Two queries at once, of which one waits for the connection.
    let request = Request::get("/songs/since/1970").body(Body::empty())?;
    let response = app.clone().oneshot(request).await?;
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
    println!("the songs: {}", String::from_utf8_lossy(&body));

    // A transaction that is rolled back, because the song is there already.
    let request = Request::post("/songs").body(Body::empty())?;
    let response = app.oneshot(request).await?;
    println!("the new song: {}", response.status());
    drop(response);

    telemetry.shutdown(Duration::from_secs(5)).await?;
    pool.close().await;
    Ok(())
}

#[derive(serde::Serialize)]
struct Song {
    title: String,
    year: i64,
}

async fn songs(
    State(pool): State<SqlitePool>,
    Path(year): Path<i64>,
) -> Result<Json<(i64, Vec<Song>)>, StatusCode> {
    // Takes some milliseconds.
    let count = sqlx::query_scalar!(
        "WITH RECURSIVE years(year) AS (SELECT 1 UNION ALL SELECT year + 1 FROM years LIMIT 20000)
         SELECT count(*) FROM songs JOIN years ON years.year = songs.year"
    );
    let count = count.fetch_one(&pool);
    let songs = sqlx::query_as!(Song, "SELECT title, year FROM songs WHERE year >= $1", year);
    let both = tokio::try_join!(count, songs.fetch_all(&pool));
    both.map(Json).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn add(State(pool): State<SqlitePool>) -> Result<StatusCode, StatusCode> {
    insert(&pool, "Heroes", 1977).await.map_err(|error| match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    })?;
    Ok(StatusCode::CREATED)
}

async fn insert(pool: &SqlitePool, title: &str, year: i64) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query!("INSERT INTO songs (title, year) VALUES ($1, $2)", title, year)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}
