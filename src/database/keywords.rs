//! The words of SQL that matter for a summary.

/// The use of names in a statement, or in a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatementKind {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    /// A kind of object follows, then its name: `CREATE TABLE t`.
    Object,
    /// The same, for several names: `DROP TABLE a, b`.
    Objects,
    /// The name follows: `CALL p`.
    Named,
    /// Names follow: `TRUNCATE a, b`.
    NamedList,
    /// Around another statement: `EXPLAIN SELECT ..`.
    Around,
    /// Without a target of low cardinality: `SAVEPOINT s17`.
    Alone,
    /// Joins in parentheses: `FROM (a JOIN b ON ..)`.
    Joins,
}

/// Returns the operation of a statement that begins with this word.
pub(super) fn statement_kind(word: &str) -> Option<StatementKind> {
    by_upper_case(word, |upper| {
        Some(match upper {
            "SELECT" => StatementKind::Select,
            "INSERT" | "REPLACE" | "UPSERT" => StatementKind::Insert,
            "UPDATE" => StatementKind::Update,
            "DELETE" => StatementKind::Delete,
            "MERGE" => StatementKind::Merge,
            "CREATE" | "ALTER" | "REFRESH" | "REINDEX" | "RENAME" => StatementKind::Object,
            "DROP" => StatementKind::Objects,
            "TRUNCATE" | "LOCK" | "OPTIMIZE" => StatementKind::NamedList,
            "CALL" | "EXEC" | "EXECUTE" | "TABLE" | "USE" | "DESCRIBE" | "DESC" | "PRAGMA"
            | "ANALYZE" | "VACUUM" | "COPY" => StatementKind::Named,
            "EXPLAIN" | "DECLARE" | "PREPARE" => StatementKind::Around,
            "VALUES" | "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT"
            | "SAVEPOINT" | "RELEASE" | "SET" | "RESET" | "SHOW" | "GRANT" | "REVOKE"
            | "COMMENT" | "LISTEN" | "UNLISTEN" | "NOTIFY" | "FETCH" | "MOVE" | "CLOSE"
            | "OPEN" | "DEALLOCATE" | "DISCARD" | "CHECKPOINT" | "CLUSTER" | "DO" | "LOAD"
            | "ATTACH" | "DETACH" | "KILL" | "FLUSH" | "UNLOCK" | "HANDLER" | "REASSIGN"
            | "IMPORT" => StatementKind::Alone,
            _ => return None,
        })
    })
}

/// Returns true if the word is a kind of object that `CREATE` and similar statements name.
pub(super) fn is_object_kind(word: &str) -> bool {
    by_upper_case(word, |upper| {
        matches!(
            upper,
            "TABLE"
                | "VIEW"
                | "INDEX"
                | "SEQUENCE"
                | "SCHEMA"
                | "DATABASE"
                | "FUNCTION"
                | "PROCEDURE"
                | "TRIGGER"
                | "TYPE"
                | "DOMAIN"
                | "EXTENSION"
                | "ROLE"
                | "USER"
                | "POLICY"
                | "RULE"
                | "AGGREGATE"
                | "COLLATION"
                | "TABLESPACE"
                | "SERVER"
                | "PUBLICATION"
                | "SUBSCRIPTION"
                | "SYNONYM"
                | "KEYSPACE"
        )
    })
}

/// Returns true if the word may stand between an operation and its target.
pub(super) fn is_before_target(word: &str) -> bool {
    by_upper_case(word, |upper| {
        matches!(
            upper,
            "FROM"
                | "INTO"
                | "TABLE"
                | "TABLES"
                | "ONLY"
                | "LATERAL"
                | "IF"
                | "NOT"
                | "EXISTS"
                | "CONCURRENTLY"
                | "IGNORE"
                | "LOW_PRIORITY"
                | "HIGH_PRIORITY"
                | "DELAYED"
                | "QUICK"
                | "OVERWRITE"
                | "OR"
                | "REPLACE"
                | "ABORT"
                | "FAIL"
                | "ROLLBACK"
                | "FULL"
                | "FREEZE"
                | "VERBOSE"
                | "ANALYZE"
                | "ANALYSE"
                | "TOP"
        )
    })
}

/// Returns true if the word ends a list of tables, or is a value: never the name of a table.
pub(super) fn ends_tables(word: &str) -> bool {
    by_upper_case(word, |upper| {
        matches!(
            upper,
            "WHERE"
                | "SET"
                | "VALUES"
                | "GROUP"
                | "ORDER"
                | "HAVING"
                | "LIMIT"
                | "OFFSET"
                | "FETCH"
                | "FOR"
                | "WINDOW"
                | "QUALIFY"
                | "PREWHERE"
                | "UNION"
                | "INTERSECT"
                | "EXCEPT"
                | "MINUS"
                | "RETURNING"
                | "OUTPUT"
                | "DEFAULT"
                | "OUTFILE"
                | "DUMPFILE"
                | "IMMEDIATE"
                | "AS"
                | "WHEN"
                | "CONNECT"
                | "TRUE"
                | "FALSE"
                | "NULL"
        )
    })
}

/// Returns true if the word is this keyword, given in capitals.
pub(super) fn is(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

/// Applies `f` to the word in capitals, or to an empty one if it is longer than any keyword.
fn by_upper_case<R>(word: &str, f: impl FnOnce(&str) -> R) -> R {
    let mut upper = [0; LONGEST];
    let upper = match upper.get_mut(..word.len()) {
        Some(upper) if word.is_ascii() => {
            upper.copy_from_slice(word.as_bytes());
            upper.make_ascii_uppercase();
            std::str::from_utf8(upper).unwrap_or_default()
        }
        _ => "",
    };
    f(upper)
}

const LONGEST: usize = 16;
