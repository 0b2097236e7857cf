//! The operations of a connection.

use std::future::Future;

use sqlx::{Database, Error, SqlStr};

use super::taken_query::TakenQuery;
use crate::database::{self, Running};

/// The description of a database, shared by a pool and its connections.
#[derive(Debug, Clone)]
pub(super) struct Operations {
    pub(super) database: database::Database,
    /// True if the number of returned rows is recorded.
    pub(super) counts_rows: bool,
}

impl Operations {
    /// Describes the operation of a query.
    pub(super) fn query<DB: Database>(&self, query: &TakenQuery<DB>) -> QueryOperation {
        let (sql, is_parameterized) = (query.text(), query.is_parameterized());
        QueryOperation { operations: self.clone(), sql, is_parameterized }
    }

    /// Runs `prepare` as an operation.
    pub(super) async fn prepare<T>(
        self,
        sql: SqlStr,
        prepare: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        // Without the summary of the SQL, which would mix with the durations of its executions.
        let operation = self.database.query(sql.as_str()).with_name("PREPARE");
        operation.with_summary("PREPARE").instrument(prepare).await
    }
}

/// The operation of a query that hasn't started yet.
pub(super) struct QueryOperation {
    operations: Operations,
    sql: SqlStr,
    is_parameterized: bool,
}

impl QueryOperation {
    pub(super) fn start(&self) -> Running {
        self.operation().start()
    }

    pub(super) fn counts_rows(&self) -> bool {
        self.operations.counts_rows
    }

    /// Runs a query that returns one row at most.
    pub(super) async fn instrument<Row>(
        self,
        query: impl Future<Output = Result<Option<Row>, Error>>,
    ) -> Result<Option<Row>, Error> {
        let counts_rows = self.counts_rows();
        let rows = |row: &Option<Row>| counts_rows.then_some(u64::from(row.is_some()));
        self.operation().instrument_rows(query, rows).await
    }

    fn operation(&self) -> database::Operation<'_> {
        let operation = self.operations.database.query(self.sql.as_str());
        match self.is_parameterized {
            true => operation.parameterized(),
            false => operation,
        }
    }
}
