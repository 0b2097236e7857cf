//! Errors of sqlx as they are recorded.

use std::error::Error as StdError;

use sqlx::Error;

use crate::{
    convention::{io_kind, names::OTHER},
    database::Outcome,
};

/// Returns the outcome of an operation that failed with an error of sqlx: the code of the database,
/// else the kind of the error.
pub(super) fn outcome_of(error: &(dyn StdError + 'static)) -> Option<Outcome> {
    let error = error.downcast_ref::<Error>()?;
    let code = error.as_database_error().and_then(|error| error.code());
    Some(match code {
        Some(code) => Outcome::status(code.into_owned()),
        None => Outcome::error(error_type(error)),
    })
}

/// Returns the `error.type` of an error without a code of the database.
pub(super) fn error_type(error: &Error) -> &'static str {
    match error {
        Error::Configuration(_) => "configuration",
        Error::InvalidArgument(_) => "invalid_argument",
        Error::Database(_) => "database",
        Error::Io(error) => io_kind(error.kind()).unwrap_or("io"),
        Error::Tls(_) => "tls",
        Error::Protocol(_) => "protocol",
        Error::RowNotFound => "row_not_found",
        Error::TypeNotFound { .. } => "type_not_found",
        Error::ColumnIndexOutOfBounds { .. } => "column_index_out_of_bounds",
        Error::ColumnNotFound(_) => "column_not_found",
        Error::ColumnDecode { .. } | Error::Decode(_) => "decode",
        Error::Encode(_) => "encode",
        Error::AnyDriverError(_) => "driver",
        Error::PoolTimedOut => "pool_timed_out",
        Error::PoolClosed => "pool_closed",
        Error::WorkerCrashed => "worker_crashed",
        Error::InvalidSavePointStatement => "invalid_save_point",
        Error::BeginFailed => "begin_failed",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn errors_without_a_code_have_a_kind_and_no_message() {
        let rows = [
            (Error::PoolTimedOut, "pool_timed_out"),
            (Error::PoolClosed, "pool_closed"),
            (Error::WorkerCrashed, "worker_crashed"),
            (Error::Protocol("user 7".into()), "protocol"),
            (Error::Io(io::ErrorKind::ConnectionReset.into()), "connection_reset"),
            (Error::Io(io::Error::other("user 7")), "io"),
            (Error::Encode("user 7".into()), "encode"),
        ];
        for (error, expected) in rows {
            assert_eq!(outcome_of(&error), Some(Outcome::error(expected)), "{error:?}");
        }
        assert_eq!(outcome_of(&io::Error::other("not of sqlx")), None);
    }
}
