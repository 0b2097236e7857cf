//! sqlx's `Executor` for connections and pools.

use std::{future::poll_fn, pin::Pin};

use futures_core::{Stream, future::BoxFuture, stream::BoxStream};
use sqlx::{Database, Describe, Either, Error, Execute, Executor, SqlStr};

use super::{
    Connection, Pool, operation_stream::OperationStream, produced_stream::ProducedStream,
    taken_query::TakenQuery,
};

impl<'c, DB> Executor<'c> for &'c mut Connection<DB>
where
    DB: Database,
    for<'a> &'a mut DB::Connection: Executor<'a, Database = DB>,
{
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<DB::QueryResult, DB::Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let query = TakenQuery::new(query);
        let operation = self.operations.query(&query);
        Box::pin(OperationStream::new(operation, self.inner_mut().fetch_many(query)))
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
        Box::pin(operation.instrument(self.inner_mut().fetch_optional(query)))
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
        let prepare = self.inner_mut().prepare_with(sql.clone(), parameters);
        Box::pin(operations.prepare(sql, prepare))
    }

    // For the macros at build time, which don't come here. So it is no operation.
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        'c: 'e,
    {
        self.inner_mut().describe(sql)
    }
}

/// Waits for a connection first, so that the wait is never part of the query's duration.
impl<'p, DB> Executor<'p> for &Pool<DB>
where
    DB: Database,
    for<'a> &'a mut DB::Connection: Executor<'a, Database = DB>,
{
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<DB::QueryResult, DB::Row>, Error>>
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
