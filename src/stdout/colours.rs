//! The colours of a terminal.

use std::{
    env,
    io::{self, IsTerminal},
};

#[cfg(feature = "logs")]
use tracing::Level;

/// The escape sequences of a terminal, or empty strings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Colours {
    is_on: bool,
}

impl Colours {
    #[cfg(feature = "logs")]
    pub(crate) fn new(is_on: bool) -> Self {
        Self { is_on }
    }

    /// Returns colours if standard output is a terminal and `NO_COLOR` is not set.
    pub(crate) fn of_stdout() -> Self {
        let is_without_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { is_on: io::stdout().is_terminal() && !is_without_colour }
    }

    #[cfg(feature = "logs")]
    pub(crate) fn are_on(self) -> bool {
        self.is_on
    }

    #[cfg(feature = "logs")]
    pub(crate) fn level(self, level: Level) -> &'static str {
        match level {
            Level::ERROR => self.red(),
            Level::WARN => self.code("\u{1b}[33m"),
            Level::INFO => self.green(),
            Level::DEBUG => self.blue(),
            _ => self.code("\u{1b}[35m"),
        }
    }

    pub(crate) fn red(self) -> &'static str {
        self.code("\u{1b}[31m")
    }

    pub(crate) fn green(self) -> &'static str {
        self.code("\u{1b}[32m")
    }

    pub(crate) fn blue(self) -> &'static str {
        self.code("\u{1b}[34m")
    }

    pub(crate) fn bold(self) -> &'static str {
        self.code("\u{1b}[1m")
    }

    pub(crate) fn dim(self) -> &'static str {
        self.code("\u{1b}[2m")
    }

    #[cfg(feature = "logs")]
    pub(crate) fn italic(self) -> &'static str {
        self.code("\u{1b}[3m")
    }

    pub(crate) fn end(self) -> &'static str {
        self.code("\u{1b}[0m")
    }

    fn code(self, code: &'static str) -> &'static str {
        if self.is_on { code } else { "" }
    }
}
