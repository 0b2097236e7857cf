//! JSON, written member by member, straight into the line.
//!
//! `serde_json` would need a tree of the fields of spans, and leaves DEL and the control characters
//! from U+0080 to U+009F as they are.

use std::{
    error::Error,
    fmt::{self, Debug, Write},
};

use tracing::field::{Field, Visit};

use super::format::{is_metadata_of_log, sources};
use crate::stdout::{Escape, Style};

/// An object that is being written.
pub(super) struct Object<'a> {
    line: &'a mut dyn Write,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(super) fn begin(line: &'a mut dyn Write) -> Result<Self, fmt::Error> {
        line.write_char('{')?;
        Ok(Self::within(line))
    }

    /// Writes members without the braces.
    pub(super) fn within(line: &'a mut dyn Write) -> Self {
        Self { line, is_empty: true }
    }

    pub(super) fn end(self) -> fmt::Result {
        self.line.write_char('}')
    }

    pub(super) fn key(&mut self, key: &str) -> fmt::Result {
        self.separate()?;
        self.quoted(|line| Escape::new(line, Style::Json).write_str(key))?;
        self.line.write_char(':')
    }

    pub(super) fn text(&mut self, key: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        self.key(key)?;
        self.string(value)
    }

    /// Writes a number or a Boolean.
    pub(super) fn raw(&mut self, key: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        self.key(key)?;
        self.line.write_fmt(value)
    }

    /// Writes members that are JSON already.
    pub(super) fn members(&mut self, members: &str) -> fmt::Result {
        if members.is_empty() {
            return Ok(());
        }
        self.separate()?;
        self.line.write_str(members)
    }

    /// Writes quotes around something that needs no escapes.
    pub(super) fn quoted(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> fmt::Result,
    ) -> fmt::Result {
        self.line.write_char('"')?;
        write(self.line)?;
        self.line.write_char('"')
    }

    /// Writes an object as the value of the last key.
    pub(super) fn nested(
        &mut self,
        write: impl FnOnce(&mut Object<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut object = Object::begin(self.line)?;
        write(&mut object)?;
        object.end()
    }

    /// Writes an array of objects as the value of the last key.
    pub(super) fn array<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(T, &mut Object<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.line.write_char('[')?;
        for (n, item) in items.enumerate() {
            if n > 0 {
                self.line.write_char(',')?;
            }
            self.nested(|object| write(item, object))?;
        }
        self.line.write_char(']')
    }

    fn string(&mut self, value: fmt::Arguments<'_>) -> fmt::Result {
        self.quoted(|line| Escape::new(line, Style::Json).write_fmt(value))
    }

    fn separate(&mut self) -> fmt::Result {
        match std::mem::replace(&mut self.is_empty, false) {
            true => Ok(()),
            false => self.line.write_char(','),
        }
    }
}

/// Writes fields as members of an object.
pub(super) struct Members<'a, 'o> {
    object: &'a mut Object<'o>,
    pub(super) skips_message: bool,
    /// Skips what a record of the `log` crate has in its metadata, too.
    pub(super) skips_log: bool,
    /// Replaces dots in names by underscores.
    pub(super) replaces_dots: bool,
    result: fmt::Result,
}

impl<'a, 'o> Members<'a, 'o> {
    pub(super) fn new(object: &'a mut Object<'o>) -> Self {
        Self {
            object,
            skips_message: false,
            skips_log: false,
            replaces_dots: false,
            result: Ok(()),
        }
    }

    pub(super) fn end(self) -> fmt::Result {
        self.result
    }

    fn member(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>) -> fmt::Result) {
        let is_skipped = (self.skips_message && name == "message")
            || (self.skips_log && is_metadata_of_log(name));
        if is_skipped || self.result.is_err() {
            return;
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        let key = match self.replaces_dots && name.contains('.') {
            true => self.object.key(&name.replace('.', "_")),
            false => self.object.key(name),
        };
        self.result = key.and_then(|()| write(self.object));
    }
}

impl Visit for Members<'_, '_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field.name(), |object| match value.is_finite() {
            true => write!(object.line, "{value:?}"),
            false => object.line.write_str("null"),
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field.name(), |object| write!(object.line, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field.name(), |object| write!(object.line, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field.name(), |object| write!(object.line, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field.name(), |object| object.string(format_args!("{value}")));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.member(field.name(), |object| object.string(format_args!("{value}")));
        if value.source().is_some() {
            self.member(&format!("{}.sources", field.name()), |object| {
                object.line.write_char('[')?;
                for (n, source) in sources(value).enumerate() {
                    if n > 0 {
                        object.line.write_char(',')?;
                    }
                    object.string(format_args!("{source}"))?;
                }
                object.line.write_char(']')
            });
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(field.name(), |object| object.string(format_args!("{value:?}")));
    }
}

/// Writes what an event has at the top level: its message, and for ECS its first error.
pub(super) struct TopLevel<'a, 'o> {
    object: &'a mut Object<'o>,
    message: &'a str,
    seeks_error: bool,
    result: fmt::Result,
}

impl<'a, 'o> TopLevel<'a, 'o> {
    pub(super) fn new(object: &'a mut Object<'o>, message: &'a str, seeks_error: bool) -> Self {
        Self { object, message, seeks_error, result: Ok(()) }
    }

    pub(super) fn end(self) -> fmt::Result {
        self.result
    }
}

impl Visit for TopLevel<'_, '_> {
    fn record_error(&mut self, _: &Field, value: &(dyn Error + 'static)) {
        if std::mem::take(&mut self.seeks_error) && self.result.is_ok() {
            self.result = self.object.text("error.message", format_args!("{value}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" && self.result.is_ok() {
            self.result = self.object.text(self.message, format_args!("{value:?}"));
        }
    }
}

/// Joins the members of two objects; members of the second replace those of the first.
pub(super) fn without_repeated(former: &str, added: &str) -> String {
    let key = |member: &str| member.split_inclusive("\":").next().map(str::to_owned);
    let keys: Vec<_> = members(added).filter_map(key).collect();
    let kept = members(former).filter(|member| !keys.iter().any(|key| member.starts_with(key)));
    kept.chain((!added.is_empty()).then_some(added)).collect::<Vec<_>>().join(",")
}

/// Splits the members of an object at the commas between them.
fn members(mut rest: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (mut is_quoted, mut is_escaped, mut depth) = (false, false, 0);
        let end = rest.bytes().position(|byte| {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => is_quoted = !is_quoted,
                b'[' if !is_quoted => depth += 1,
                b']' if !is_quoted => depth -= 1,
                b',' => return !is_quoted && depth == 0,
                _ => {}
            }
            false
        });
        let (member, tail) = rest.split_at(end.unwrap_or(rest.len()));
        rest = tail.strip_prefix(',').unwrap_or_default();
        (!member.is_empty()).then_some(member)
    })
}
