//! Summaries of SQL: its operations and their targets, in order, and never a value.

use super::{
    dialect::Dialect,
    keywords::{StatementKind, ends_tables, is, is_before_target, is_object_kind, statement_kind},
    tokens::{Kind, Token, Tokens},
};

/// Returns the summary of `sql`, which is empty where no operation is known.
///
/// It has at most 255 characters, and is cut between words.
pub(super) fn summary(sql: &str, dialect: Dialect) -> String {
    let mut summary = Summary::default();
    let mut tokens = Tokens::new(sql, dialect);
    while let Some(token) = tokens.next() {
        summary.read(token, &mut tokens);
        if summary.is_full {
            break;
        }
    }
    summary.text
}

#[derive(Debug, Default)]
struct Summary<'a> {
    text: String,
    /// In characters.
    len: usize,
    is_full: bool,
    /// The parts around the current one, each in parentheses of its own.
    outer: Vec<Part>,
    part: Part,
    /// The names of `WITH`, which are no tables.
    queries: Vec<&'a str>,
    /// The token before, empty at the beginning of a statement.
    previous: &'a str,
}

/// A statement, or what stands in a pair of parentheses.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    operation: Option<StatementKind>,
    expects: Expects,
    /// A comma is followed by another target.
    is_list: bool,
    /// Between `WITH` and the operation.
    is_with: bool,
    /// `ON` is followed by a table.
    is_on_table: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Expects {
    #[default]
    Nothing,
    Target,
    ObjectKind,
    QueryName,
}

impl<'a> Summary<'a> {
    fn read(&mut self, token: Token<'a>, tokens: &mut Tokens<'a>) {
        let mut previous = token.text;
        match (token.kind, token.text) {
            (Kind::Symbol, "(") => self.open(),
            (Kind::Symbol, ")") => self.part = self.outer.pop().unwrap_or(self.part),
            (Kind::Symbol, ";") => {
                self.outer.clear();
                self.queries.clear();
                self.part = Part::default();
                previous = "";
            }
            // The escape of ODBC and JDBC: `{call p(?)}`.
            (Kind::Symbol, "{") => previous = self.previous,
            (Kind::Symbol, ",") => self.go_on(),
            (Kind::Word, word) => self.word(word, token, tokens),
            (Kind::QuotedName, _) if self.part.expects == Expects::Target => {
                self.target(token, tokens);
            }
            (Kind::QuotedName, name) if self.part.expects == Expects::QueryName => self.query(name),
            _ if self.part.expects == Expects::Target => self.part.expects = Expects::Nothing,
            _ => {}
        }
        self.previous = previous;
    }

    fn open(&mut self) {
        let is_joined = self.part.expects == Expects::Target;
        if is_joined {
            self.part.expects = Expects::Nothing;
        }
        // Too deep for a statement that a person or a library writes.
        if self.outer.len() == MAX_DEPTH {
            self.is_full = true;
            return;
        }
        self.outer.push(self.part);
        self.part = Part::default();
        if is_joined {
            self.part.operation = Some(StatementKind::Joins);
            self.part.expects = Expects::Target;
            self.part.is_list = true;
        }
    }

    /// After a comma.
    fn go_on(&mut self) {
        if self.part.is_with {
            self.part.expects = Expects::QueryName;
        } else if self.part.is_list {
            self.part.expects = Expects::Target;
        }
    }

    fn word(&mut self, word: &'a str, token: Token<'a>, tokens: &mut Tokens<'a>) {
        if let Some(operation) = statement_kind(word).filter(|found| self.may_begin(word, *found)) {
            return self.begin(word, operation);
        }
        if is(word, "WITH") && self.is_at_start() {
            self.part.is_with = true;
            self.part.expects = Expects::QueryName;
            return;
        }
        match self.part.expects {
            Expects::QueryName if is(word, "RECURSIVE") => {}
            Expects::QueryName => self.query(word),
            Expects::ObjectKind if is_object_kind(word) => {
                self.push(word);
                self.part.is_on_table = is(word, "INDEX") || is(word, "TRIGGER");
                self.part.expects = Expects::Target;
            }
            Expects::ObjectKind => {}
            Expects::Target if is_before_target(word) => {}
            Expects::Target if !is_clause(word) => self.target(token, tokens),
            Expects::Target | Expects::Nothing => {
                self.part.expects = Expects::Nothing;
                self.clause(word);
            }
        }
    }

    /// The name of a query in `WITH`.
    fn query(&mut self, name: &'a str) {
        self.part.expects = Expects::Nothing;
        if self.queries.len() < MAX_QUERIES {
            self.queries.push(name);
        }
    }

    /// True if an operation may begin here.
    fn may_begin(&self, word: &str, found: StatementKind) -> bool {
        let around = self.part.operation;
        if around == Some(StatementKind::Alone) {
            return false;
        }
        match found {
            // Reserved everywhere. In `CREATE POLICY .. FOR SELECT` it is none.
            StatementKind::Select => {
                !is(self.previous, "FOR") || around == Some(StatementKind::Around)
            }
            // A function, too.
            StatementKind::Insert if is(word, "REPLACE") => self.previous.is_empty(),
            StatementKind::Insert
            | StatementKind::Update
            | StatementKind::Delete
            | StatementKind::Merge => self.is_at_start(),
            _ => self.previous.is_empty(),
        }
    }

    /// True if a statement that changes data may begin here.
    fn is_at_start(&self) -> bool {
        let previous = self.previous;
        previous.is_empty()
            || previous == "("
            || (previous == ")" && self.part.is_with)
            || self.part.operation == Some(StatementKind::Around)
            || (is(previous, "AS") && self.part.operation == Some(StatementKind::Object))
    }

    fn begin(&mut self, word: &str, operation: StatementKind) {
        self.push(word);
        self.part = Part { operation: Some(operation), ..Part::default() };
        match operation {
            StatementKind::Insert
            | StatementKind::Delete
            | StatementKind::Merge
            | StatementKind::Named => {
                self.part.expects = Expects::Target;
            }
            StatementKind::Update | StatementKind::NamedList => {
                self.part.expects = Expects::Target;
                self.part.is_list = true;
            }
            StatementKind::Object => self.part.expects = Expects::ObjectKind,
            StatementKind::Objects => {
                self.part.expects = Expects::ObjectKind;
                self.part.is_list = true;
            }
            StatementKind::Select
            | StatementKind::Around
            | StatementKind::Alone
            | StatementKind::Joins => {}
        }
    }

    /// A word that is neither an operation nor a target.
    fn clause(&mut self, word: &str) {
        use StatementKind::{Delete, Joins, Merge, Select, Update};
        let Some(operation) = self.part.operation else { return };
        let (expects, is_list) = match operation {
            // `a IS DISTINCT FROM b` names no table.
            Select | Update | Delete if is(word, "FROM") => (!is(self.previous, "DISTINCT"), true),
            Select | Update | Delete | Joins if is_join(word) => (true, self.part.is_list),
            Select if is(word, "INTO") => (true, false),
            Delete | Merge if is(word, "USING") => (true, operation == Delete),
            _ if is(word, "ON") && self.part.is_on_table => (true, false),
            _ if ends_tables(word) && !is(word, "AS") => (false, false),
            _ => return,
        };
        if expects {
            self.part.expects = Expects::Target;
        }
        self.part.is_list = is_list;
    }

    /// A name, with the names that qualify it.
    fn target(&mut self, first: Token<'a>, tokens: &mut Tokens<'a>) {
        self.part.expects = Expects::Nothing;
        let mut name = first.text.to_owned();
        let is_name = |token: Token<'_>| matches!(token.kind, Kind::Word | Kind::QuotedName);
        let mut ahead = tokens.clone();
        while ahead.next().is_some_and(|token| token.text == ".") {
            let Some(part) = ahead.next().filter(|token| is_name(*token)) else { break };
            name.push('.');
            name.push_str(part.text);
            *tokens = ahead.clone();
        }
        let is_called = tokens.clone().next().is_some_and(|token| token.text == "(");
        let is_function = is_called
            && matches!(self.part.operation, Some(StatementKind::Select | StatementKind::Joins));
        let is_query = self.queries.iter().any(|query| is(query, &name));
        if !is_function && !is_query && !name.contains(char::is_control) {
            self.push(&name);
        }
    }

    fn push(&mut self, word: &str) {
        let len = word.chars().count() + usize::from(self.len > 0);
        if self.len + len > MAX_LEN {
            self.is_full = true;
        }
        if self.is_full {
            return;
        }
        if self.len > 0 {
            self.text.push(' ');
        }
        self.text.push_str(word);
        self.len += len;
    }
}

fn is_clause(word: &str) -> bool {
    ends_tables(word) || is(word, "ON") || is(word, "USING") || is_join(word)
}

fn is_join(word: &str) -> bool {
    is(word, "JOIN") || is(word, "STRAIGHT_JOIN")
}

/// Characters (semantic conventions, `db.query.summary`).
const MAX_LEN: usize = 255;

const MAX_DEPTH: usize = 64;

const MAX_QUERIES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_summary_is_cut_between_words() {
        let sql = format!("SELECT * FROM {}", "songs, artists, ".repeat(100));
        let summary = summary(&sql, Dialect::of("postgresql"));
        // 6 + 31 * (1 + 5 + 1 + 7) is 440, so it ends somewhere in between.
        assert!(summary.len() > 240 && summary.len() <= 255, "{summary}");
        assert!(summary.ends_with(" songs") || summary.ends_with(" artists"), "{summary}");
    }
}
