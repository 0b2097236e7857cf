//! Products and orders in a database. The SQL is for SQLite and PostgreSQL.

use sqlx::{Any, any::AnyPoolOptions, migrate::Migrator};
use tower_telemetry::integrations::sqlx::Pool;

use crate::{
    Error,
    inventory::{PlaceOrderRequest, Product},
};

#[derive(Clone)]
pub(super) struct Store {
    pool: Pool<Any>,
}

impl Store {
    /// Connects to the database, and creates the tables that are missing.
    pub(super) async fn connect(url: &str) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        // A database in memory lives as long as its connections.
        let options = AnyPoolOptions::new().idle_timeout(None).max_lifetime(None);
        let pool = options.min_connections(1).max_connections(8).connect(url).await?;
        MIGRATIONS.run(&pool).await?;
        Ok(Self { pool: Pool::builder(pool).with_name("shop").build() })
    }

    pub(super) async fn product(&self, id: i64) -> Result<Option<Product>, sqlx::Error> {
        let product = sqlx::query_as("SELECT name, cents, stock FROM products WHERE id = $1");
        let product = product.bind(id).fetch_optional(&self.pool).await?;
        Ok(product.map(|(name, cents, stock)| Product { id, name, cents, stock }))
    }

    /// Returns false if there are not enough in stock.
    pub(super) async fn place_order(&self, order: &PlaceOrderRequest) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let taken =
            sqlx::query("UPDATE products SET stock = stock - $1 WHERE id = $2 AND stock >= $1");
        let taken = taken.bind(order.quantity).bind(order.product);
        if taken.execute(&mut *transaction).await?.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        sqlx::query("INSERT INTO orders (reservation, product, quantity) VALUES ($1, $2, $3)")
            .bind(order.reservation)
            .bind(order.product)
            .bind(order.quantity)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Fills up products that are nearly sold out, and returns how many.
    pub(super) async fn restock(&self) -> Result<u64, sqlx::Error> {
        let filled = sqlx::query("UPDATE products SET stock = 40 WHERE stock < 10");
        Ok(filled.execute(&self.pool).await?.rows_affected())
    }
}

static MIGRATIONS: Migrator = sqlx::migrate!();
