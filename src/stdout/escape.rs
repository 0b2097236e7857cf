//! Control characters, escaped so that a value cannot forge a line or steer a terminal.

use std::fmt::{self, Display, Write};

/// Writes text into a line.
pub(crate) struct Escape<'a> {
    line: &'a mut dyn Write,
    style: Style,
}

/// Styles of escaping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Control characters, as Rust writes them: `\n`, `\u{1b}`.
    Text,
    /// Control characters, quotes and backslashes, as JSON writes them: `\n`, `\u001b`, `\"`.
    #[cfg(feature = "logs")]
    Json,
}

impl<'a> Escape<'a> {
    pub(crate) fn new(line: &'a mut dyn Write, style: Style) -> Self {
        Self { line, style }
    }

    fn escape(&mut self, c: char) -> fmt::Result {
        match (c, self.style) {
            ('\n', _) => self.line.write_str("\\n"),
            ('\r', _) => self.line.write_str("\\r"),
            ('\t', _) => self.line.write_str("\\t"),
            (c, Style::Text) => write!(self.line, "\\u{{{:x}}}", u32::from(c)),
            #[cfg(feature = "logs")]
            ('"', Style::Json) => self.line.write_str("\\\""),
            #[cfg(feature = "logs")]
            ('\\', Style::Json) => self.line.write_str("\\\\"),
            // All characters that are escaped fit into 16 bits.
            #[cfg(feature = "logs")]
            (c, Style::Json) => write!(self.line, "\\u{:04x}", u32::from(c)),
        }
    }

    fn is_plain(&self, c: char) -> bool {
        match c {
            '"' | '\\' => self.style == Style::Text,
            ' '..='~' => true,
            // Line separators, and characters that reverse the order of what is displayed.
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
            c => !c.is_control(),
        }
    }
}

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|c| !self.is_plain(c)) {
            let (plain, special) = rest.split_at(at);
            self.line.write_str(plain)?;
            let mut chars = special.chars();
            if let Some(c) = chars.next() {
                self.escape(c)?;
            }
            rest = chars.as_str();
        }
        self.line.write_str(rest)
    }
}

/// Displays a value with its control characters escaped.
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escape::new(f, Style::Text), "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        for (text, expected) in [
            ("plain, \"quoted\" \\ and äöü 日本", "plain, \"quoted\" \\ and äöü 日本"),
            ("two\nlines\r\n", r"two\nlines\r\n"),
            ("\u{1b}[2J\u{7}\u{8}\u{7f}\0", r"\u{1b}[2J\u{7}\u{8}\u{7f}\u{0}"),
            ("\u{85}\u{9b}31m", r"\u{85}\u{9b}31m"),
            ("\u{2028}\u{202e}\u{2066}", r"\u{2028}\u{202e}\u{2066}"),
            ("a\tb", r"a\tb"),
            ("", ""),
        ] {
            assert_eq!(Escaped(text).to_string(), expected);
        }
    }
}
