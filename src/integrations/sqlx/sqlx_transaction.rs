//! Transactions that are instrumented.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use sqlx::{Database, Error, SqlStr};
use sqlx_core::transaction::TransactionManager;

use super::{Connection, PoolConnection};
use crate::contain::contain;

/// A transaction or a savepoint. `BEGIN`, `COMMIT` and `ROLLBACK` are operations of their own.
///
/// It dereferences to [`Connection`]: pass `&mut *transaction` to a query, as with sqlx's own. If it
/// is dropped before [`commit`](Self::commit), it is rolled back: the driver sends the `ROLLBACK`
/// when the connection is used or returned next.
pub struct Transaction<'c, DB: Database> {
    connection: Held<'c, DB>,
    /// Zero for a transaction, more for a savepoint.
    level: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The `BEGIN` was not answered. It may have been sent, so a drop rolls back.
    Beginning,
    Open,
    Ended,
}

enum Held<'c, DB: Database> {
    Pooled(PoolConnection<DB>),
    Borrowed(&'c mut Connection<DB>),
}

impl<'c, DB: Database> Transaction<'c, DB> {
    pub(super) async fn of_pooled(
        connection: PoolConnection<DB>,
        statement: Option<SqlStr>,
    ) -> Result<Self, Error> {
        Self::begin_on(Held::Pooled(connection), statement).await
    }

    pub(super) async fn of_borrowed(
        connection: &'c mut Connection<DB>,
        statement: Option<SqlStr>,
    ) -> Result<Self, Error> {
        Self::begin_on(Held::Borrowed(connection), statement).await
    }

    async fn begin_on(connection: Held<'c, DB>, statement: Option<SqlStr>) -> Result<Self, Error> {
        let mut this = Self { connection, level: 0, state: State::Beginning };
        this.level = this.depth;
        this.depth += 1;
        let database = this.database().clone();
        let operation = match &statement {
            Some(statement) => database.query(statement.as_str()),
            None => database.operation(this.either("BEGIN", "SAVEPOINT")),
        };
        let begin = DB::TransactionManager::begin(this.inner_mut(), statement.clone());
        operation.instrument(begin).await?;
        this.state = State::Open;
        Ok(this)
    }

    /// Commits the transaction, or releases the savepoint.
    ///
    /// # Errors
    ///
    /// Returns the error of the statement.
    pub async fn commit(mut self) -> Result<(), Error> {
        let database = self.database().clone();
        let name = self.either("COMMIT", "RELEASE SAVEPOINT");
        let commit = DB::TransactionManager::commit(self.inner_mut());
        database.operation(name).instrument(commit).await?;
        self.state = State::Ended;
        Ok(())
    }

    /// Rolls the transaction back, to the savepoint if it is one.
    ///
    /// # Errors
    ///
    /// Returns the error of the statement.
    pub async fn rollback(mut self) -> Result<(), Error> {
        let database = self.database().clone();
        let name = self.rollback_name();
        let rollback = DB::TransactionManager::rollback(self.inner_mut());
        database.operation(name).instrument(rollback).await?;
        self.state = State::Ended;
        Ok(())
    }

    fn rollback_name(&self) -> &'static str {
        self.either("ROLLBACK", "ROLLBACK TO SAVEPOINT")
    }

    fn either(&self, of_transaction: &'static str, of_savepoint: &'static str) -> &'static str {
        if self.level == 0 { of_transaction } else { of_savepoint }
    }
}

impl<DB: Database> Drop for Transaction<'_, DB> {
    fn drop(&mut self) {
        self.depth = self.level;
        if self.state == State::Open {
            // The moment as a span. There is no duration, because the driver only remembers to send
            // the statement later.
            contain(|| self.database().operation(self.rollback_name()).start().finish_unmeasured());
        }
        if self.state != State::Ended {
            DB::TransactionManager::start_rollback(self.inner_mut());
        }
    }
}

impl<DB: Database> Deref for Transaction<'_, DB> {
    type Target = Connection<DB>;

    fn deref(&self) -> &Connection<DB> {
        match &self.connection {
            Held::Pooled(connection) => connection,
            Held::Borrowed(connection) => connection,
        }
    }
}

impl<DB: Database> DerefMut for Transaction<'_, DB> {
    fn deref_mut(&mut self) -> &mut Connection<DB> {
        match &mut self.connection {
            Held::Pooled(connection) => connection,
            Held::Borrowed(connection) => connection,
        }
    }
}

impl<DB: Database> AsMut<Connection<DB>> for Transaction<'_, DB> {
    fn as_mut(&mut self) -> &mut Connection<DB> {
        self
    }
}

impl<DB: Database> fmt::Debug for Transaction<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("state", &self.state).finish_non_exhaustive()
    }
}
