//! sqlx's `Executor` for connections and pools.

use std::{future::poll_fn, pin::Pin};

use futures_core::{Stream, future::BoxFuture, stream::BoxStream};
use sqlx::{Describe, Error, Execute, Executor, SqlStr};

use super::{
    Connection, Driver, Pool, StepOf, operation_stream::OperationStream,
    produced_stream::ProducedStream, taken_query::TakenQuery,
};

impl<'c, DB> Executor<'c> for &'c mut Connection<DB>
where
    DB: Driver,
{
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, StepOf<DB>>
    where
        'c: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let query = TakenQuery::new(query);
        let operation = self.operations.query(&query);
        Box::pin(OperationStream::new(operation, DB::fetch_many(self.inner_mut(), query)))
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<DB::Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let query = TakenQuery::new(query);
        let operation = self.operations.query(&query);
        Box::pin(operation.instrument(DB::fetch_optional(self.inner_mut(), query)))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        'c: 'e,
    {
        let operations = self.operations.clone();
        let prepare = DB::prepare_with(self.inner_mut(), sql.clone(), parameters);
        Box::pin(operations.prepare(sql, prepare))
    }

    // For the macros at build time, which don't come here. So it is no operation.
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        'c: 'e,
    {
        DB::describe(self.inner_mut(), sql)
    }
}

/// Waits for a connection first, so that the wait is never part of the query's duration.
impl<'p, DB> Executor<'p> for &Pool<DB>
where
    DB: Driver,
{
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, StepOf<DB>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let acquire = self.acquire();
        Box::pin(ProducedStream::new(|slot| async move {
            let mut connection = match acquire.await {
                Ok(connection) => connection,
                Err(error) => return slot.put(Err(error)).await,
            };
            let mut results = (&mut *connection).fetch_many(query);
            while let Some(result) = next(&mut results).await {
                slot.put(result).await;
            }
        }))
    }

    // The next two would work by `fetch_many`, at the price of the stream.
    fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<DB::QueryResult, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let acquire = self.acquire();
        Box::pin(async move { (&mut *acquire.await?).execute(query).await })
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<DB::Row>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let acquire = self.acquire();
        Box::pin(async move { (&mut *acquire.await?).fetch_all(query).await })
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<DB::Row>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let acquire = self.acquire();
        Box::pin(async move { (&mut *acquire.await?).fetch_optional(query).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        'p: 'e,
    {
        let acquire = self.acquire();
        Box::pin(async move { (&mut *acquire.await?).prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        'p: 'e,
    {
        let acquire = self.acquire();
        Box::pin(async move { (&mut *acquire.await?).describe(sql).await })
    }
}

async fn next<T>(stream: &mut BoxStream<'_, T>) -> Option<T> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}
