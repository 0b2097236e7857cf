//! Dialects of SQL, as far as they tell names from values.

/// The rules of a database where the SQL standard leaves a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// True if a backslash escapes a quote in a string. `None` if it is not known.
    pub(super) backslash_escapes: Option<bool>,
    /// True if double quotes always enclose names.
    pub(super) has_quoted_names: bool,
    /// True if `#` begins a comment.
    pub(super) has_hash_comments: bool,
}

impl Dialect {
    /// Returns the dialect of a `db.system.name`.
    pub(super) fn of(system: &str) -> Self {
        match system {
            "mysql" | "mariadb" => Self {
                backslash_escapes: Some(true),
                has_quoted_names: false,
                has_hash_comments: true,
            },
            "clickhouse" => Self {
                backslash_escapes: Some(true),
                has_quoted_names: true,
                has_hash_comments: false,
            },
            "postgresql"
            | "cockroachdb"
            | "oracle.db"
            | "ibm.db2"
            | "microsoft.sql_server"
            | "trino" => Self {
                backslash_escapes: Some(false),
                has_quoted_names: true,
                has_hash_comments: false,
            },
            // SQLite takes double quotes for a string where no column has the name.
            "sqlite" => Self {
                backslash_escapes: Some(false),
                has_quoted_names: false,
                has_hash_comments: false,
            },
            _ => {
                Self { backslash_escapes: None, has_quoted_names: false, has_hash_comments: false }
            }
        }
    }
}
