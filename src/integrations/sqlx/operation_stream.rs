//! The results of a query, as an operation.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::{Stream, stream::BoxStream};
use sqlx::{Either, Error};

use super::operations::QueryOperation;
use crate::database::{Outcome, Running};

/// A stream of results that starts an operation at its first poll.
///
/// The operation ends with the stream, at the first error, or as cancelled when the stream is
/// dropped.
pub(super) struct OperationStream<'e, Done, Row> {
    // The first field is dropped first, so a clean-up of the driver isn't part of the operation.
    state: State,
    rows: u64,
    inner: BoxStream<'e, Result<Either<Done, Row>, Error>>,
}

enum State {
    Created(QueryOperation),
    Running { running: Running, counts_rows: bool },
    Ended,
}

impl<'e, Done, Row> OperationStream<'e, Done, Row> {
    pub(super) fn new(
        operation: QueryOperation,
        inner: BoxStream<'e, Result<Either<Done, Row>, Error>>,
    ) -> Self {
        Self { state: State::Created(operation), rows: 0, inner }
    }
}

impl<Done, Row> Stream for OperationStream<'_, Done, Row> {
    type Item = Result<Either<Done, Row>, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // On the stack, so that a panic ends the operation while it unwinds.
        let (running, counts_rows) = match mem::replace(&mut this.state, State::Ended) {
            State::Created(operation) => (operation.start(), operation.counts_rows()),
            State::Running { running, counts_rows } => (running, counts_rows),
            State::Ended => return this.inner.as_mut().poll_next(cx),
        };
        let polled = {
            let _attached = running.attach();
            this.inner.as_mut().poll_next(cx)
        };
        match &polled {
            Poll::Ready(None) => {
                let outcome = Outcome::success();
                running.finish(match counts_rows {
                    true => outcome.with_returned_rows(this.rows),
                    false => outcome,
                });
            }
            Poll::Ready(Some(result @ Err(_))) => {
                let outcome = running.outcome_of(result);
                running.finish(outcome);
            }
            Poll::Ready(Some(Ok(result))) => {
                this.rows += u64::from(result.is_right());
                this.state = State::Running { running, counts_rows };
            }
            Poll::Pending => this.state = State::Running { running, counts_rows },
        }
        polled
    }
}
