//! The error of a configuration.

use std::{error, fmt, io};

/// The error of [`TelemetryBuilder::build`](crate::setup::TelemetryBuilder::build): names the
/// variable or setting that is wrong, its value, and the accepted values.
///
/// The text is for the operator. It never contains the value of a header, nor credentials, path or
/// query of a URL.
pub struct SetupError(Kind);

enum Kind {
    Variable { name: String, sentence: String },
    Setting { name: &'static str, reason: String },
    Runtime(io::Error),
}

impl SetupError {
    /// The value of an environment variable is invalid.
    pub(crate) fn invalid_value(name: &str, value: &str, expected: impl fmt::Display) -> Self {
        let end = value.char_indices().nth(LONGEST_VALUE).map_or(value.len(), |(end, _)| end);
        let ellipsis = if end < value.len() { "…" } else { "" };
        let value = &value[..end];
        Self::variable(
            name,
            format!("invalid value {value:?}{ellipsis} for {name}: expected {expected}"),
        )
    }

    /// The same for a value that may be a secret.
    pub(crate) fn hidden_value(name: &str, expected: impl fmt::Display) -> Self {
        Self::variable(
            name,
            format!("invalid value for {name}, which may hold a secret: expected {expected}"),
        )
    }

    /// An environment variable is at fault in the way that the sentence says.
    pub(crate) fn variable(name: &str, sentence: String) -> Self {
        Self(Kind::Variable { name: name.to_owned(), sentence })
    }

    /// A setting in code is invalid, or cannot be carried out.
    pub(crate) fn setting(name: &'static str, reason: impl fmt::Display) -> Self {
        Self(Kind::Setting { name, reason: reason.to_string() })
    }

    pub(crate) fn runtime(error: io::Error) -> Self {
        Self(Kind::Runtime(error))
    }

    /// Returns the name of the environment variable that is at fault, if it is one.
    pub fn variable_name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Variable { name, .. } => Some(name),
            Kind::Setting { .. } | Kind::Runtime(_) => None,
        }
    }
}

/// Prints the sentence of `Display` and its source, because `fn main() -> Result<(), _>` prints
/// errors by `Debug`.
impl fmt::Debug for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        error::Error::source(self).map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Variable { sentence, .. } => f.write_str(sentence),
            Kind::Setting { name, reason } => write!(f, "{name}: {reason}"),
            Kind::Runtime(_) => f.write_str("the exporters' runtime could not be started"),
        }
    }
}

impl error::Error for SetupError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Kind::Runtime(error) => Some(error),
            Kind::Variable { .. } | Kind::Setting { .. } => None,
        }
    }
}

/// Longer values are cut in error texts.
const LONGEST_VALUE: usize = 200;
