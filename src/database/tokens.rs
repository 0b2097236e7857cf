//! SQL, cut into tokens: as much of its grammar as tells names from values.

use super::dialect::Dialect;

/// A piece of SQL. White space and comments are no tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// The offset of its first byte in the statement.
    pub(super) start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name.
    Word,
    /// A name in double quotes, backticks or brackets.
    QuotedName,
    /// A string or a number.
    Literal,
    /// `$1`, `?`, `:name`, `@name`.
    Placeholder,
    Symbol,
}

/// The tokens of a statement.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    sql: &'a str,
    at: usize,
    dialect: Dialect,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(sql: &'a str, dialect: Dialect) -> Self {
        Self { sql, at: 0, dialect }
    }

    /// The byte `ahead` of the current one, or 0 after the end.
    fn peek(&self, ahead: usize) -> u8 {
        self.sql.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip_while(&mut self, is_part: impl Fn(u8) -> bool) {
        let rest = &self.sql.as_bytes()[self.at..];
        self.at += rest.iter().position(|byte| !is_part(*byte)).unwrap_or(rest.len());
    }

    /// Skips to behind `end`, or to the end of the statement.
    fn skip_past(&mut self, end: &str) {
        let rest = &self.sql[self.at..];
        self.at += rest.find(end).map_or(rest.len(), |found| found + end.len());
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            self.skip_while(|byte| byte.is_ascii_whitespace());
            match (self.peek(0), self.peek(1)) {
                (b'-', b'-') => self.skip_past("\n"),
                (b'#', _) if self.dialect.has_hash_comments => self.skip_past("\n"),
                (b'/', b'*') => self.skip_comment(),
                _ => return,
            }
        }
    }

    /// Skips a comment, in which others may be nested.
    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ if self.at >= self.sql.len() => return,
                _ => self.at += 1,
            }
        }
    }

    /// Skips a quoted text, of which `at` is the first quote. A doubled quote is one in the text.
    fn skip_quoted(&mut self, quote: u8, backslash_escapes: Option<bool>) {
        let is_tripled = self.peek(1) == quote && self.peek(2) == quote;
        if is_tripled && backslash_escapes.is_none() {
            // It has another end in some dialects, and the dialect isn't known.
            self.at = self.sql.len();
            return;
        }
        self.at += 1;
        loop {
            match self.peek(0) {
                0 if self.at >= self.sql.len() => return,
                b'\\' if backslash_escapes == Some(true) => self.at += 2,
                // Either the end of the string or a quote in it: to take the rest for the string
                // reveals nothing.
                b'\\' if backslash_escapes.is_none() && self.peek(1) == quote => {
                    self.at = self.sql.len();
                    return;
                }
                byte if byte == quote && self.peek(1) == quote => self.at += 2,
                byte if byte == quote => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
    }

    fn string(&mut self, backslash_escapes: Option<bool>) -> Kind {
        self.skip_quoted(b'\'', backslash_escapes);
        Kind::Literal
    }

    /// Oracle's `q'[it's]'`, of which `at` is the quote.
    fn oracle_string(&mut self) -> Kind {
        self.at += 1;
        let close = match self.sql[self.at..].chars().next() {
            Some('[') => "]'".to_owned(),
            Some('(') => ")'".to_owned(),
            Some('{') => "}'".to_owned(),
            Some('<') => ">'".to_owned(),
            Some(delimiter) => format!("{delimiter}'"),
            None => return Kind::Literal,
        };
        self.skip_past(&close);
        Kind::Literal
    }

    fn quoted_name(&mut self, quote: u8) -> Kind {
        // MySQL's strings may have double quotes, and escapes then.
        let escapes = if quote == b'"' && !self.dialect.has_quoted_names {
            self.dialect.backslash_escapes
        } else {
            Some(false)
        };
        self.skip_quoted(quote, escapes);
        Kind::QuotedName
    }

    /// A word, or a string with a prefix as `E'..'`, `N'..'`, `x'..'`, `_utf8'..'`.
    fn word(&mut self) -> Kind {
        let start = self.at;
        self.skip_while(is_word);
        let prefix = &self.sql[start..self.at];
        let is_prefix = prefix.len() <= 2 || prefix.starts_with('_');
        if self.peek(0) != b'\'' || !is_prefix {
            return Kind::Word;
        }
        if ["q", "nq"].iter().any(|oracle| prefix.eq_ignore_ascii_case(oracle)) {
            return self.oracle_string();
        }
        let escapes = if prefix.eq_ignore_ascii_case("e") {
            Some(true)
        } else {
            self.dialect.backslash_escapes
        };
        self.string(escapes)
    }

    /// `$tag$ .. $tag$`, `$1`, or a sign.
    fn dollar(&mut self) -> Kind {
        let start = self.at;
        self.at += 1;
        self.skip_while(|byte| is_word(byte) && byte != b'$');
        let is_quote = self.peek(0) == b'$' && !self.sql.as_bytes()[start + 1].is_ascii_digit();
        if !is_quote {
            return if self.at == start + 1 { Kind::Symbol } else { Kind::Placeholder };
        }
        self.at += 1;
        let tag = &self.sql[start..self.at];
        self.skip_past(tag);
        Kind::Literal
    }

    /// A number, with whatever letters follow it, as in `0xff` and `1e9`.
    fn number(&mut self) -> Kind {
        loop {
            self.skip_while(|byte| is_word(byte) || byte == b'.');
            let is_exponent = self.sql[..self.at].ends_with(['e', 'E'])
                && matches!(self.peek(0), b'+' | b'-')
                && self.peek(1).is_ascii_digit();
            if !is_exponent {
                return Kind::Literal;
            }
            self.at += 1;
        }
    }

    fn bracket(&mut self) -> Kind {
        // `[name]`, not `a[1]`.
        if is_word(self.peek(1)) && !self.peek(1).is_ascii_digit() {
            self.skip_past("]");
            Kind::QuotedName
        } else {
            self.at += 1;
            Kind::Symbol
        }
    }

    fn sign(&mut self) -> Kind {
        let (first, second) = (self.peek(0), self.peek(1));
        self.at += 1;
        match first {
            b'?' => Kind::Placeholder,
            b':' if second == b':' => {
                self.at += 1;
                Kind::Symbol
            }
            b':' | b'@' if is_word(second) || second == b'@' => {
                self.skip_while(|byte| is_word(byte) || byte == b'@');
                Kind::Placeholder
            }
            _ => Kind::Symbol,
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks_and_comments();
        let start = self.at;
        if start >= self.sql.len() {
            return None;
        }
        let kind = match self.peek(0) {
            b'\'' => self.string(self.dialect.backslash_escapes),
            quote @ (b'"' | b'`') => self.quoted_name(quote),
            b'[' => self.bracket(),
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() => self.number(),
            byte if is_word(byte) => self.word(),
            _ => self.sign(),
        };
        // An escape before the end goes beyond it, or into the middle of a character.
        self.at = ceil_char_boundary(self.sql, self.at);
        Some(Token { kind, text: &self.sql[start..self.at], start })
    }
}

/// Returns true if the byte may be part of a name. All bytes of characters beyond ASCII are.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

fn ceil_char_boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_by_dialect() {
        let rows = [
            ("postgresql", "a1 \"b c\" 'd''e'", "w:a1 q:\"b c\" l:'d''e'"),
            ("postgresql", "a -- b\n/* c /* d */ e */ f", "w:a w:f"),
            ("postgresql", "'a\\' b", "l:'a\\' w:b"),
            ("postgresql", "E'a\\' b' c", "l:E'a\\' b' w:c"),
            ("postgresql", "$1 $$a$b$$ $t$c$$d$t$ e", "p:$1 l:$$a$b$$ l:$t$c$$d$t$ w:e"),
            ("postgresql", "a::b :c ?", "w:a s::: w:b p::c p:?"),
            ("postgresql", "a # b", "w:a s:# w:b"),
            ("postgresql", "a[1] - -2.5e-3+0xff", "w:a s:[ l:1 s:] s:- s:- l:2.5e-3 s:+ l:0xff"),
            ("postgresql", "x'ff' N'a' date '1' .5", "l:x'ff' l:N'a' w:date l:'1' l:.5"),
            ("postgresql", "naïve.größe", "w:naïve s:. w:größe"),
            ("mysql", "'a\\' b' c", "l:'a\\' b' w:c"),
            ("mysql", "a # b\n c `d``e`", "w:a w:c q:`d``e`"),
            ("mysql", "\"a\\\" b\" @c @@d", "q:\"a\\\" b\" p:@c p:@@d"),
            ("microsoft.sql_server", "[a b].[c]", "q:[a b] s:. q:[c]"),
            ("unknown", "'a\\' b' c", "l:'a\\' b' c"),
            ("unknown", "'' a '''b'c''' d", "l:'' w:a l:'''b'c''' d"),
            ("oracle.db", "q'[a'b]' nQ'!a'b!' c", "l:q'[a'b]' l:nQ'!a'b!' w:c"),
            ("oracle.db", "q'", "l:q'"),
            // Unterminated tokens reach to the end.
            ("postgresql", "a 'b c", "w:a l:'b c"),
            ("postgresql", "a $$b c", "w:a l:$$b c"),
            ("postgresql", "a \"b c", "w:a q:\"b c"),
            ("postgresql", "a /* b", "w:a"),
            ("mysql", "'a\\", "l:'a\\"),
            ("mysql", "'a\\ß", "l:'a\\ß"),
        ];
        for (system, sql, expected) in rows {
            let text = |token: Token<'_>| {
                let kind = match token.kind {
                    Kind::Word => 'w',
                    Kind::QuotedName => 'q',
                    Kind::Literal => 'l',
                    Kind::Placeholder => 'p',
                    Kind::Symbol => 's',
                };
                format!("{kind}:{}", token.text)
            };
            let tokens: Vec<_> = Tokens::new(sql, Dialect::of(system)).map(text).collect();
            assert_eq!(tokens.join(" "), expected, "{system}: {sql}");
        }
    }
}
