//! A query whose SQL is read before it runs.

use sqlx::{Arguments, Database, Execute, SqlStr, error::BoxDynError};

/// The parts of a query. sqlx gives out the SQL only when it consumes the query.
pub(super) struct TakenQuery<DB: Database> {
    sql: SqlStr,
    statement: Option<DB::Statement>,
    arguments: Result<Option<DB::Arguments>, BoxDynError>,
    is_persistent: bool,
}

impl<DB: Database> TakenQuery<DB> {
    pub(super) fn new<'q>(mut query: impl Execute<'q, DB>) -> Self {
        let statement = query.statement().cloned();
        let arguments = query.take_arguments();
        let is_persistent = query.persistent();
        Self { sql: query.sql(), statement, arguments, is_persistent }
    }

    pub(super) fn text(&self) -> SqlStr {
        self.sql.clone()
    }

    /// Returns true if values were bound to the query.
    ///
    /// A text without bound values may have them inside.
    pub(super) fn is_parameterized(&self) -> bool {
        matches!(&self.arguments, Ok(Some(arguments)) if arguments.len() > 0)
    }
}

impl<DB: Database> Execute<'_, DB> for TakenQuery<DB> {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&DB::Statement> {
        self.statement.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        std::mem::replace(&mut self.arguments, Ok(None))
    }

    fn persistent(&self) -> bool {
        self.is_persistent
    }
}
