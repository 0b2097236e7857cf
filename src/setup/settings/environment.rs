//! Reads variables by the specification's types and rules.
//!
//! An invalid value is a warning, and the variable is ignored; in strict mode it is an error. The
//! text of the warning is that of the error, followed by what is done instead.

use std::{cell::RefCell, time::Duration};

use super::{SetupError, variables::Variables};

pub(crate) struct Environment<'a> {
    variables: &'a Variables,
    is_strict: bool,
    /// Reads every variable as unset.
    is_ignored: bool,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Environment<'a> {
    pub(crate) fn new(variables: &'a Variables, is_strict: bool) -> Self {
        Self { variables, is_strict, is_ignored: false, warnings: RefCell::default() }
    }

    /// Reads every variable as unset from here on.
    pub(crate) fn ignored(mut self) -> Self {
        self.is_ignored = true;
        self
    }

    pub(crate) fn into_warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }

    /// Adds a warning, unless the same one was added before: a general variable is read once for
    /// each signal.
    pub(crate) fn warn(&self, text: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Fails with `error` in strict mode. Otherwise adds a warning that says what is done instead.
    pub(crate) fn fault(&self, error: SetupError, instead: &str) -> Result<(), SetupError> {
        if self.is_strict {
            return Err(error);
        }
        self.warn(format!("{error}; {instead}"));
        Ok(())
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        !self.is_ignored && self.variables.text(name).is_some()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        if self.is_ignored { Vec::new() } else { self.variables.names() }
    }

    /// Returns the value without blanks and quotes around it.
    ///
    /// `docker run --env-file` passes quotes on as part of the value.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, SetupError> {
        let Some(value) = self.variables.text(name).filter(|_| !self.is_ignored) else {
            return Ok(None);
        };
        let unquoted = ['"', '\''].into_iter().find_map(|quote| {
            value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote))
        });
        let Some(unquoted) = unquoted else { return Ok(Some(value)) };
        let sentence = format!("the value of {name} is in quotes, which are part of it");
        self.fault(SetupError::variable(name, sentence), "they are removed")?;
        let unquoted = unquoted.trim();
        Ok((!unquoted.is_empty()).then(|| unquoted.to_owned()))
    }

    /// Returns the value that `parse` makes of the text, or `None` if it is unset or invalid.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SetupError> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        let parsed = parse(&value);
        if parsed.is_none() {
            self.fault(SetupError::invalid_value(name, &value, expected), IGNORED)?;
        }
        Ok(parsed)
    }

    /// Reads one of the choices, in any case.
    pub(crate) fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, SetupError> {
        let expected = format!("one of {}", names_of(choices));
        self.read(name, &expected, |value| choose(value, choices))
    }

    /// Reads a list of choices, each of them once and in the order given. Unknown members are
    /// ignored, as is `none` beside other members.
    pub(crate) fn list<T: Copy + PartialEq>(
        &self,
        name: &str,
        choices: &[(&str, T)],
        none: T,
    ) -> Result<Option<Vec<T>>, SetupError> {
        self.list_with_advice(name, choices, none, |_| None)
    }

    /// Does the same, and says what to do in the place of an unknown member.
    pub(crate) fn list_with_advice<T: Copy + PartialEq>(
        &self,
        name: &str,
        choices: &[(&str, T)],
        none: T,
        advice: impl Fn(&str) -> Option<&'static str>,
    ) -> Result<Option<Vec<T>>, SetupError> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        let (mut chosen, mut unknown) = (Vec::new(), Vec::new());
        for member in value.split(',').map(str::trim).filter(|member| !member.is_empty()) {
            match choose(member, choices) {
                Some(choice) if chosen.contains(&choice) => {}
                Some(choice) => chosen.push(choice),
                None => unknown.push(member),
            }
        }
        let advice: Vec<_> = unknown.iter().filter_map(|member| advice(member)).collect();
        if !unknown.is_empty() || chosen.is_empty() {
            let expected = format!("a list of {}", names_of(choices));
            let mut instead = match chosen.is_empty() {
                true => IGNORED.to_owned(),
                false => {
                    let unknown: Vec<_> = unknown.iter().map(|it| format!("{it:?}")).collect();
                    format!("{} is ignored", unknown.join(", "))
                }
            };
            advice.iter().for_each(|advice| instead.extend([". ", advice]));
            self.fault(SetupError::invalid_value(name, &value, expected), &instead)?;
        }
        if chosen.len() > 1 && chosen.contains(&none) {
            let expected = "`none` alone, or other values without it";
            let error = SetupError::invalid_value(name, &value, expected);
            self.fault(error, "\"none\" is ignored")?;
            chosen.retain(|choice| *choice != none);
        }
        Ok((!chosen.is_empty()).then_some(chosen))
    }

    /// Reads a boolean. Every value but `true` is false.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, SetupError> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        let is_true = value.eq_ignore_ascii_case("true");
        if !is_true && !value.eq_ignore_ascii_case("false") {
            let error = SetupError::invalid_value(name, &value, "true or false");
            self.fault(error, "it is read as false")?;
        }
        Ok(Some(is_true))
    }

    /// Reads a duration in milliseconds that is at least `least`.
    pub(crate) fn duration(&self, name: &str, least: u32) -> Result<Option<Duration>, SetupError> {
        let expected = format!("a whole number of milliseconds from {least} to {}", u32::MAX);
        let millis =
            self.read(name, &expected, |value| value.parse().ok().filter(|m| *m >= least))?;
        Ok(millis.map(|millis: u32| Duration::from_millis(millis.into())))
    }

    /// Reads a timeout in milliseconds. Zero means no limit.
    pub(crate) fn timeout(&self, name: &str) -> Result<Option<Duration>, SetupError> {
        let timeout = self.duration(name, 0)?;
        Ok(timeout.map(|timeout| if timeout.is_zero() { NO_LIMIT } else { timeout }))
    }

    /// Reads the capacity of a buffer that is allocated at start.
    pub(crate) fn capacity(&self, name: &str) -> Result<Option<usize>, SetupError> {
        self.read(name, "a whole number from 1 to 1000000", |value| {
            value.parse().ok().filter(|count| (1..=1_000_000).contains(count))
        })
    }
}

fn choose<T: Copy>(value: &str, choices: &[(&str, T)]) -> Option<T> {
    choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(value)).map(|(_, choice)| *choice)
}

fn names_of<T>(choices: &[(&str, T)]) -> String {
    choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

const IGNORED: &str = "the variable is ignored";

/// The longest timeout that can be written, 49 days: adding it to a point in time does not
/// overflow.
pub(crate) const NO_LIMIT: Duration = Duration::from_millis(u32::MAX as u64);
