//! Query texts without the values in them.

use super::{
    dialect::Dialect,
    tokens::{Kind, Token, Tokens},
};

/// Replaces each literal by `?`, and drops comments, which may carry ids.
///
/// The result isn't longer than the text. `None`: there is nothing to replace.
pub(super) fn sanitized(sql: &str, dialect: Dialect) -> Option<String> {
    let mut sanitized = String::with_capacity(sql.len());
    let mut is_changed = false;
    let mut end = 0;
    for token in Tokens::new(sql, dialect) {
        let between = &sql[end..token.start];
        end = token.start + token.text.len();
        if between.bytes().all(|byte| byte.is_ascii_whitespace()) {
            sanitized.push_str(between);
        } else {
            is_changed = true;
            sanitized.push(' ');
        }
        if is_value(token, dialect) {
            is_changed = true;
            sanitized.push('?');
        } else {
            sanitized.push_str(token.text);
        }
    }
    is_changed |= sql[end..].bytes().any(|byte| !byte.is_ascii_whitespace());
    is_changed.then_some(sanitized)
}

fn is_value(token: Token<'_>, dialect: Dialect) -> bool {
    match token.kind {
        Kind::Literal => true,
        // A string in some databases and modes.
        Kind::QuotedName => token.text.starts_with('"') && !dialect.has_quoted_names,
        Kind::Word => ["true", "false"].iter().any(|word| token.text.eq_ignore_ascii_case(word)),
        Kind::Placeholder | Kind::Symbol => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_replaced() {
        let rows = [
            ("postgresql", "SELECT a FROM t WHERE b = $1", None),
            ("postgresql", "SELECT \"a\" FROM t", None),
            ("postgresql", "SELECT 'x', 1, -1.5, $1", Some("SELECT ?, ?, -?, $1")),
            ("postgresql", "SELECT 'it''s', E'\\'x', $$y$$", Some("SELECT ?, ?, ?")),
            ("postgresql", "SELECT true, FALSE, null", Some("SELECT ?, ?, null")),
            ("postgresql", "SELECT DATE '2020-01-01'::text", Some("SELECT DATE ?::text")),
            ("postgresql", "SELECT a/* user 7 */FROM t", Some("SELECT a FROM t")),
            ("postgresql", "SELECT a -- user 7", Some("SELECT a")),
            ("postgresql", "SELECT t1.a2\n  FROM t1 ", None),
            ("mysql", "SELECT * FROM t WHERE a = \"x\"", Some("SELECT * FROM t WHERE a = ?")),
            ("mysql", "SELECT 'it\\'s', `b`", Some("SELECT ?, `b`")),
            ("sqlite", "SELECT * FROM t WHERE a = \"x\"", Some("SELECT * FROM t WHERE a = ?")),
            ("unknown", "SELECT 'a\\', secret, 'b'", Some("SELECT ?")),
            ("postgresql", "SELECT 'never ends", Some("SELECT ?")),
            ("postgresql", "", None),
        ];
        for (system, sql, expected) in rows {
            let sanitized = sanitized(sql, Dialect::of(system));
            assert_eq!(sanitized.as_deref(), expected, "{system}: {sql}");
        }
    }
}
