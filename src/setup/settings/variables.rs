//! Environment variables: looked up, trimmed, and read as what they mean.

use std::{env, fmt, time::Duration};

use super::SetupError;
use crate::percent;

/// Where variables are looked up: the process's environment, or what the user gave in its stead.
pub(crate) struct Variables(Box<LookUp>);

type LookUp = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Variables {
    pub(crate) fn of_the_process() -> Self {
        // What is no Unicode stays visible as U+FFFD, and fails where it is read.
        Self::new(|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    pub(crate) fn new(look_up: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Box::new(look_up))
    }

    /// The value, trimmed; an empty one is none (specification: an empty value is an unset one).
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = (self.0)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// A value that `read` understands.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SetupError> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(SetupError::variable(name, &value, allowed)),
        }
    }

    /// One of the choices, in any case.
    pub(crate) fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, SetupError> {
        self.read(name, &names(choices), |value| choose(value, choices))
    }

    /// Some of the choices, separated by commas, each once and in the order given.
    pub(crate) fn choices<T: Copy + PartialEq>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<Vec<T>>, SetupError> {
        self.read(name, &names(choices), |value| {
            let mut chosen = Vec::new();
            for value in value.split(',') {
                let choice = choose(value.trim(), choices)?;
                if !chosen.contains(&choice) {
                    chosen.push(choice);
                }
            }
            Some(chosen)
        })
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, SetupError> {
        Ok(self.choice(name, &[("true", true), ("false", false)])?.unwrap_or(false))
    }

    /// A time in milliseconds. None has a use for no time at all.
    pub(crate) fn millis(&self, name: &str) -> Result<Option<Duration>, SetupError> {
        self.read(name, "milliseconds, from 1", |value| {
            value.parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis)
        })
    }

    /// How many of something are kept in memory, which is set aside from the start.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, SetupError> {
        self.read(name, "a number from 1 to 1000000", |value| {
            value.parse().ok().filter(|count| (1..=1_000_000).contains(count))
        })
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.write_str("Variables")
    }
}

/// The pairs of a list like `key=value,key2=value2`, whose values are percent-encoded.
///
/// Nothing at all if one of them is none (the specification: on any error, all is discarded).
pub(crate) fn pairs(list: &str) -> Option<Vec<(String, String)>> {
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (key, value) = entry.split_once('=')?;
            let key = key.trim();
            let value = percent::octets(value.trim().as_bytes()).collect();
            (!key.is_empty()).then_some((key.to_owned(), String::from_utf8(value).ok()?))
        })
        .collect()
}

fn choose<T: Copy>(value: &str, choices: &[(&str, T)]) -> Option<T> {
    choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(value)).map(|(_, choice)| *choice)
}

fn names<T>(choices: &[(&str, T)]) -> String {
    choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
