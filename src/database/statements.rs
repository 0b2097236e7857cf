//! Query texts as they are recorded, cached.

use std::sync::Arc;

use opentelemetry::StringValue;

use super::{dialect::Dialect, sanitize::sanitized, summary::summary};
use crate::{convention::values::truncated, hash_trie::HashTrie};

/// A query text as it is recorded.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) text: StringValue,
    /// `None`: no operation is known.
    pub(super) summary: Option<StringValue>,
    /// True if the summary may be an attribute of a metric.
    pub(super) is_label: bool,
}

/// The statements of a database.
///
/// Texts with literals in them are not cached, because each call may have others.
pub(super) struct Statements {
    dialect: Dialect,
    cached: HashTrie<Cached>,
    /// The summaries that may be attributes of a metric.
    labels: HashTrie<Arc<str>>,
}

struct Cached {
    sql: Arc<str>,
    /// With `?` for literals, where there are some.
    sanitized: Option<Arc<str>>,
    summary: Option<Arc<str>>,
    is_label: bool,
}

impl Statements {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, cached: HashTrie::new(MAX_CACHED), labels: HashTrie::new(MAX_LABELS) }
    }

    /// Returns the text itself if its values are parameters, else the text without literals; and
    /// its summary.
    pub(super) fn statement(&self, sql: &str, is_parameterized: bool) -> Statement {
        let sql = truncated(sql, MAX_TEXT);
        if let Some(cached) = self.cached.get(sql, |cached| *cached.sql == *sql) {
            return cached.statement(is_parameterized);
        }
        let parsed = self.parse(sql);
        let statement = parsed.statement(is_parameterized);
        if is_parameterized || parsed.sanitized.is_none() {
            self.cached.get_or_insert(sql, |cached| *cached.sql == *sql, |_| parsed);
        }
        statement
    }

    fn parse(&self, sql: &str) -> Cached {
        let summary = summary(sql, self.dialect);
        let label = self.labels.get_or_insert(
            &*summary,
            |label| **label == *summary,
            |_| (*summary).into(),
        );
        let (is_label, label) = (label.is_some(), label.map(Arc::clone));
        Cached {
            sql: sql.into(),
            sanitized: sanitized(sql, self.dialect).map(Arc::from),
            is_label,
            summary: Some(label.unwrap_or_else(|| summary.into())).filter(|text| !text.is_empty()),
        }
    }
}

impl Cached {
    fn statement(&self, is_parameterized: bool) -> Statement {
        let sanitized = self.sanitized.as_ref().filter(|_| !is_parameterized);
        Statement {
            text: Arc::clone(sanitized.unwrap_or(&self.sql)).into(),
            summary: self.summary.clone().map(StringValue::from),
            is_label: self.is_label,
        }
    }
}

/// Bytes. A batch of rows may be a text of megabytes.
const MAX_TEXT: usize = 8 * 1024;

const MAX_CACHED: usize = 1000;

/// Half of the SDK's default limit of series, divided by some outcomes.
const MAX_LABELS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn statements() -> Statements {
        Statements::new(Dialect::of("postgresql"))
    }

    #[test]
    fn texts_are_cached_once_and_with_literals_not_at_all() {
        let statements = statements();
        for n in 0..3 {
            statements.statement("SELECT a FROM t WHERE b = $1", n % 2 == 0);
            statements.statement(&format!("SELECT a FROM t WHERE b = {n}"), false);
        }
        assert_eq!(statements.cached.len(), 1);
        assert_eq!(statements.labels.len(), 1);
    }

    #[test]
    fn a_cached_text_with_literals_is_only_shown_as_parameterized() {
        let statements = statements();
        for _ in 0..2 {
            let text = |is_parameterized| statements.statement("SELECT 1", is_parameterized).text;
            assert_eq!(text(true).as_str(), "SELECT 1");
            assert_eq!(text(false).as_str(), "SELECT ?");
        }
    }

    #[test]
    fn texts_and_labels_are_bounded() {
        let statements = statements();
        let is_label = |n: usize| {
            let statement = statements.statement(&format!("SELECT a FROM t{n}"), true);
            assert_eq!(statement.summary.unwrap().as_str(), format!("SELECT t{n}"));
            statement.is_label
        };
        let labels = (0..3 * MAX_CACHED).filter(|n| is_label(*n)).count();
        assert_eq!(labels, MAX_LABELS);
        assert_eq!(statements.cached.len(), MAX_CACHED);
        assert!(is_label(0) && !is_label(MAX_LABELS));
        let long = format!("SELECT a FROM t WHERE b IN ({}ß)", "$1, ".repeat(10_000));
        let statement = statements.statement(&long, true);
        assert!(statement.text.as_str().len() <= MAX_TEXT);
        assert_eq!(statement.summary.unwrap().as_str(), "SELECT t");
    }
}
