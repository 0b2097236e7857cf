//! The end of an operation.

use opentelemetry::StringValue;

/// The recorded end of a database operation.
///
/// Don't pass values of rows or messages of errors: a message may quote values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    pub(super) status_code: Option<StringValue>,
    pub(super) error_type: Option<StringValue>,
    pub(super) returned_rows: Option<u64>,
}

impl Outcome {
    /// Creates the outcome of an operation that succeeded.
    pub fn success() -> Self {
        Self::default()
    }

    /// Creates the outcome of an operation that failed without a status code of the database.
    ///
    /// `error_type` is of low cardinality, such as `timeout` or the name of a type.
    pub fn error(error_type: impl Into<StringValue>) -> Self {
        Self { error_type: Some(error_type.into()), ..Self::default() }
    }

    /// Creates the outcome of an operation that failed with this status code of the database, which
    /// is the error type, too.
    pub fn status(code: impl Into<StringValue>) -> Self {
        let code = code.into();
        Self { status_code: Some(code.clone()), ..Self::error(code) }
    }

    /// Creates the outcome that a SQLSTATE tells.
    ///
    /// The classes `00` (success) and `01` (warning) are no errors. All others are, and the
    /// SQLSTATE is the error type, too.
    pub fn sql_state(code: &str) -> Self {
        let outcome = Self::status(code.to_owned());
        match code.get(..2) {
            Some("00" | "01") => Self { error_type: None, ..outcome },
            _ => outcome,
        }
    }

    /// Sets the status code of the database, without a change of the error type.
    #[must_use]
    pub fn with_status_code(self, code: impl Into<StringValue>) -> Self {
        Self { status_code: Some(code.into()), ..self }
    }

    /// Sets the number of rows that were returned. Only spans have it.
    #[must_use]
    pub fn with_returned_rows(self, rows: u64) -> Self {
        Self { returned_rows: Some(rows), ..self }
    }

    /// Returns true if the operation failed.
    pub fn is_error(&self) -> bool {
        self.error_type.is_some()
    }
}
