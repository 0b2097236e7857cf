//! What can be wrong with a configuration.

use std::{error, fmt, io};

/// Why telemetry could not be set up: which variable or setting, its value, and what is allowed.
///
/// The text is for the operator. It never holds the value of a header, nor credentials in a URL.
pub struct SetupError(Kind);

enum Kind {
    Variable { name: String, value: String, allowed: String },
    Setting { name: &'static str, reason: String },
    Runtime(io::Error),
}

impl SetupError {
    /// The value of an environment variable can't be meant.
    pub(crate) fn variable(name: &str, value: &str, allowed: impl Into<String>) -> Self {
        Self(Kind::Variable {
            name: name.to_owned(),
            value: format!("{value:?}"),
            allowed: allowed.into(),
        })
    }

    /// The same for a variable whose values are secrets.
    pub(crate) fn secret_variable(name: &str, allowed: impl Into<String>) -> Self {
        Self(Kind::Variable {
            name: name.to_owned(),
            value: "a value that is not shown".to_owned(),
            allowed: allowed.into(),
        })
    }

    /// Something set in code can't be meant, or can't be done.
    pub(crate) fn setting(name: &'static str, reason: impl fmt::Display) -> Self {
        Self(Kind::Setting { name, reason: reason.to_string() })
    }

    pub(crate) fn runtime(error: io::Error) -> Self {
        Self(Kind::Runtime(error))
    }

    /// The environment variable that is at fault, if it is one.
    pub fn variable_name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Variable { name, .. } => Some(name),
            _ => None,
        }
    }
}

/// Prints the sentence of `Display` and its source, because `fn main() -> Result<(), _>` prints errors
/// by `Debug`.
impl fmt::Debug for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        error::Error::source(self).map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Variable { name, value, allowed } => {
                write!(f, "{name} is {value}; allowed: {allowed}")
            }
            Kind::Setting { name, reason } => write!(f, "{name}: {reason}"),
            Kind::Runtime(_) => f.write_str("the runtime of the exporters could not be started"),
        }
    }
}

impl error::Error for SetupError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Kind::Runtime(error) => Some(error),
            _ => None,
        }
    }
}
