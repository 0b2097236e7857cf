//! The source of environment variables: the process's environment, or a look-up in its place.

use std::{env, fmt};

/// Looks up environment variables.
pub(crate) struct Variables {
    look_up: Box<LookUp>,
    /// Only the process's environment can be listed.
    is_process: bool,
}

type LookUp = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Variables {
    pub(crate) fn of_the_process() -> Self {
        // Bytes that are not Unicode become U+FFFD, and the value is then reported as invalid.
        let look_up =
            |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        Self { look_up: Box::new(look_up), is_process: true }
    }

    pub(crate) fn new(look_up: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { look_up: Box::new(look_up), is_process: false }
    }

    /// Returns the trimmed value, or `None` if it is empty: the specification treats an empty value
    /// as an unset one.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = (self.look_up)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Returns the names that are set, or nothing if the source is a look-up.
    pub(crate) fn names(&self) -> Vec<String> {
        if !self.is_process {
            return Vec::new();
        }
        let mut names: Vec<_> =
            env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
        names.sort();
        names
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.write_str("Variables")
    }
}
