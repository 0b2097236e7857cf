//! Properties that hold for any text.

use proptest::prelude::*;
use tower_telemetry::database::Outcome;

use crate::support::Telemetry;

/// A text that stands for a value that nobody may see.
const SECRET: &str = "zqsecretqz";

/// Dialects that are known to be read in different ways, and one that isn't known.
const SYSTEMS: [&str; 5] = ["postgresql", "mysql", "sqlite", "microsoft.sql_server", "unknown"];

/// The name, the summary and the text that are recorded of a query.
fn recorded(system: &'static str, sql: &str, is_parameterized: bool) -> (String, String) {
    let telemetry = Telemetry::new();
    let database = telemetry.database(system);
    let query = database.query(sql);
    let query = if is_parameterized { query.parameterized() } else { query };
    query.start().finish(Outcome::success());
    let span = telemetry.spans().remove(0);
    let text = span.attributes.iter().find(|a| a.key.as_str() == "db.query.text").unwrap();
    (span.name.to_string(), text.value.to_string())
}

fn pieces() -> impl Strategy<Value = String> {
    let words = [
        "SELECT",
        "INSERT INTO",
        "UPDATE",
        "DELETE FROM",
        "WITH",
        "FROM",
        "JOIN",
        "INTO",
        "TABLE",
        "CREATE",
        "DROP",
        "CALL",
        "MERGE",
        "USING",
        "AS",
        "VALUES",
        "SET",
        "WHERE",
        "UNION",
        "ON",
        "a",
        "b.c",
        "\"d e\"",
        "`f`",
        "[g]",
        "(",
        ")",
        ",",
        ";",
        ".",
        "*",
        "=",
        "$1",
        "?",
        ":h",
        "--",
        "\n",
        "/*",
        "*/",
        "#",
        "$",
        "$$",
        "'",
        "\"",
        "\\",
        "E'",
        "ß",
        "\u{1f600}",
        "1",
        "-",
    ];
    let piece = prop::sample::select(words.to_vec());
    let separator = prop::sample::select(vec!["", " ", "\n"]);
    prop::collection::vec((piece, separator), 0..60)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, end)| format!("{piece}{end}")).collect())
}

/// A literal with the secret in it, whose end every dialect sees alike.
fn literal() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        format!("'{SECRET}'"),
        format!("'it''s {SECRET}'"),
        format!("' FROM {SECRET} '"),
        format!("N'{SECRET}'"),
        format!("E'{SECRET}'"),
        format!("x'{SECRET}'"),
        format!("q'[it's {SECRET}]'"),
        format!("'; SELECT * FROM {SECRET}; --'"),
        format!("0x7{SECRET}"),
        format!("1{SECRET}"),
    ])
}

/// Statements with literals where values stand, and where they don't.
fn statement_with_secrets() -> impl Strategy<Value = String> {
    let template = prop::sample::select(vec![
        "SELECT a FROM b WHERE c = @",
        "SELECT @, a FROM b WHERE c IN (@, @) ORDER BY @, d",
        "SELECT * FROM @",
        "SELECT * FROM a, @, b JOIN @ ON @ = c",
        "SELECT * FROM a. @ , b",
        "INSERT INTO a (b) VALUES (@), (@)",
        "INSERT INTO @ VALUES (@)",
        "UPDATE a SET b = @ WHERE c = @",
        "UPDATE @ SET b = 1",
        "DELETE FROM a WHERE b = @",
        "WITH a AS (SELECT @) SELECT * FROM a, @",
        "CREATE TABLE a (b text DEFAULT @)",
        "CREATE @ TABLE @",
        "DROP TABLE @, @",
        "CALL a(@)",
        "CALL @",
        "TRUNCATE @",
        "COPY a FROM @",
        "USE @",
        "SET a = @",
        "EXPLAIN SELECT @ FROM b",
        "SELECT a FROM b LIMIT @; DELETE FROM c WHERE d = @",
        "@",
        "@ SELECT @",
    ]);
    (template, prop::collection::vec(literal(), 6)).prop_map(|(template, literals)| {
        let mut literals = literals.into_iter();
        template
            .split_inclusive('@')
            .map(|part| match part.strip_suffix('@') {
                Some(part) => format!("{part}{}", literals.next().unwrap()),
                None => part.to_owned(),
            })
            .collect()
    })
}

fn check_bounds(summary: &str, sql: &str) {
    assert!(summary.chars().count() <= 255, "{sql}");
    assert!(!summary.chars().any(char::is_control), "{sql}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_recorded_and_bounded(sql in "\\PC{0,300}", system in 0..SYSTEMS.len()) {
        check_bounds(&recorded(SYSTEMS[system], &sql, false).0, &sql);
    }

    #[test]
    fn any_mixture_of_sql_is_recorded_and_bounded(sql in pieces(), system in 0..SYSTEMS.len()) {
        let (summary, sanitized) = recorded(SYSTEMS[system], &sql, false);
        check_bounds(&summary, &sql);
        // The rest has no literals to be replaced.
        let again = recorded(SYSTEMS[system], &sanitized, false).1;
        prop_assert_eq!(&again, &sanitized, "{}", sql);
        prop_assert_eq!(&recorded(SYSTEMS[system], &sql, true).1, &sql);
    }

    #[test]
    fn no_literal_is_in_a_summary_or_in_a_text(
        sql in statement_with_secrets(),
        system in 0..SYSTEMS.len(),
    ) {
        let (summary, sanitized) = recorded(SYSTEMS[system], &sql, false);
        prop_assert!(!summary.contains(SECRET), "{sql}: {summary}");
        prop_assert!(!sanitized.contains(SECRET), "{sql}: {sanitized}");
        // A text that is said to be parameterized shows its text, and still no literal in its
        // summary.
        let (summary, _) = recorded(SYSTEMS[system], &sql, true);
        prop_assert!(!summary.contains(SECRET), "{sql}: {summary}");
    }
}
