//! Statements and their summaries, which name the spans.

use tower_telemetry::database::Outcome;

use crate::support::Telemetry;

/// The name of a span without a summary.
const NONE: &str = "-";

#[test]
fn summaries_of_postgresql() {
    check(
        "postgresql",
        &[
            // The examples of the conventions.
            ("SELECT *\nFROM wuser_table\nWHERE username = ?", "SELECT wuser_table"),
            (
                "INSERT INTO shipping_details (order_id, address)
                 SELECT order_id, address FROM orders WHERE order_id = ?",
                "INSERT shipping_details SELECT orders",
            ),
            (
                "SELECT * FROM songs, artists WHERE songs.artist_id == artists.id",
                "SELECT songs artists",
            ),
            (
                "SELECT order_date FROM (SELECT * FROM orders o JOIN customers c
                 ON o.customer_id = c.customer_id)",
                "SELECT SELECT orders customers",
            ),
            ("SELECT * FROM \"song list\", artists", "SELECT \"song list\" artists"),
            ("{call some_stored_procedure}", "call some_stored_procedure"),
            // Names.
            ("select a from b", "select b"),
            ("SELECT 1", "SELECT"),
            ("SELECT a FROM shop.public.songs", "SELECT shop.public.songs"),
            ("SELECT a FROM shop . \"my songs\" s", "SELECT shop.\"my songs\""),
            ("SELECT a FROM größe", "SELECT größe"),
            ("SELECT a FROM $1", "SELECT"),
            ("SELECT a FROM 'artists'", "SELECT"),
            ("SELECT a FROM true", "SELECT"),
            // Lists and joins.
            ("SELECT * FROM a x, b AS y, c WHERE x.i IN (1, 2)", "SELECT a b c"),
            ("SELECT * FROM a LEFT JOIN b USING (id) CROSS JOIN c ORDER BY d, e", "SELECT a b c"),
            ("SELECT * FROM (a JOIN b ON a.i = b.i), c", "SELECT a b c"),
            ("SELECT * FROM a, LATERAL (SELECT * FROM b) x, ONLY c", "SELECT a SELECT b c"),
            ("SELECT * FROM generate_series(1, 10) g, a", "SELECT a"),
            ("SELECT a FROM b GROUP BY c, d HAVING count(*) > 1 LIMIT 5", "SELECT b"),
            // Words that are no operations or begin no table where they stand.
            ("SELECT a FROM b FOR UPDATE", "SELECT b"),
            ("SELECT extract(epoch FROM a), trim(both 'x' FROM b) FROM c", "SELECT c"),
            ("SELECT a IS DISTINCT FROM b FROM c", "SELECT c"),
            ("SELECT upper(replace(a, 'b', 'c')) FROM d", "SELECT d"),
            // Sub-selects.
            ("SELECT (SELECT max(a) FROM b), c FROM d", "SELECT SELECT b d"),
            ("SELECT a FROM b WHERE c IN (SELECT d FROM e) AND f = 1", "SELECT b SELECT e"),
            ("SELECT a FROM b UNION ALL SELECT c FROM d", "SELECT b SELECT d"),
            ("(SELECT a FROM b) EXCEPT (SELECT c FROM d)", "SELECT b SELECT d"),
            // Queries with names.
            ("WITH a AS (SELECT * FROM b) SELECT * FROM a, c", "SELECT b SELECT c"),
            (
                "WITH RECURSIVE a (x) AS (VALUES (1) UNION SELECT x FROM a), \"b\" AS
                 MATERIALIZED (SELECT * FROM c) SELECT * FROM a JOIN \"b\" ON true",
                "SELECT SELECT c SELECT",
            ),
            (
                "WITH a AS (DELETE FROM b RETURNING *) INSERT INTO c SELECT * FROM a",
                "DELETE b INSERT c SELECT",
            ),
            ("WITH a AS (SELECT 1) UPDATE b SET c = 2", "SELECT UPDATE b"),
            // Changes.
            ("INSERT INTO a (b, c) VALUES ($1, $2), ($3, $4)", "INSERT a"),
            ("INSERT INTO a VALUES (1) ON CONFLICT (b) DO UPDATE SET c = excluded.c", "INSERT a"),
            ("UPDATE ONLY a SET b = 1, c = 2 WHERE d = 3", "UPDATE a"),
            ("UPDATE a SET b = c.b FROM c WHERE a.i = c.i", "UPDATE a c"),
            ("UPDATE a SET b = (SELECT c FROM d)", "UPDATE a SELECT d"),
            ("DELETE FROM a WHERE b = 'x'", "DELETE a"),
            ("DELETE FROM a USING b, c WHERE a.i = b.i", "DELETE a b c"),
            (
                "MERGE INTO a USING b ON a.i = b.i WHEN MATCHED THEN UPDATE SET c = 1
                 WHEN NOT MATCHED THEN INSERT (c) VALUES (2)",
                "MERGE a b",
            ),
            ("TRUNCATE TABLE a, b CASCADE", "TRUNCATE a b"),
            ("COPY a (b, c) FROM STDIN", "COPY a"),
            ("COPY (SELECT * FROM a) TO STDOUT", "COPY SELECT a"),
            // Definitions.
            ("CREATE TABLE IF NOT EXISTS a (b int, c text DEFAULT 'd')", "CREATE TABLE a"),
            ("CREATE TEMP TABLE a AS SELECT * FROM b", "CREATE TABLE a SELECT b"),
            ("CREATE UNIQUE INDEX CONCURRENTLY a ON b (c, d)", "CREATE INDEX a b"),
            ("CREATE OR REPLACE FUNCTION a() RETURNS int AS $$ SELECT 'b' $$", "CREATE FUNCTION a"),
            (
                "CREATE TRIGGER a AFTER INSERT OR UPDATE ON b EXECUTE FUNCTION c()",
                "CREATE TRIGGER a b",
            ),
            ("CREATE POLICY a ON b FOR SELECT USING (true)", "CREATE POLICY a"),
            ("ALTER TABLE a ADD COLUMN b int, ADD COLUMN c int", "ALTER TABLE a"),
            ("DROP MATERIALIZED VIEW IF EXISTS a, b", "DROP VIEW a b"),
            ("REFRESH MATERIALIZED VIEW a", "REFRESH VIEW a"),
            ("GRANT SELECT ON a TO b", "GRANT"),
            // Sessions.
            ("BEGIN", "BEGIN"),
            ("SAVEPOINT _sqlx_savepoint_1", "SAVEPOINT"),
            ("SET search_path TO 'a'", "SET"),
            ("CALL a($1)", "CALL a"),
            ("EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM a", "EXPLAIN SELECT a"),
            ("EXPLAIN ANALYZE DELETE FROM a", "EXPLAIN DELETE a"),
            ("DECLARE a CURSOR FOR SELECT * FROM b", "DECLARE SELECT b"),
            ("PREPARE a (int) AS UPDATE b SET c = $1", "PREPARE UPDATE b"),
            ("begin; update a set b = 1; commit;", "begin update a commit"),
            // Comments and strings that look like SQL.
            ("-- FROM x\n/* SELECT /* y */ */ SELECT a FROM b -- , c", "SELECT b"),
            ("SELECT 'a FROM b', E'\\' FROM c', $t$ FROM d $t$ FROM e", "SELECT e"),
            // No SQL, or not all of it.
            ("", NONE),
            ("GET user:17", NONE),
            ("SELECT * FROM", "SELECT"),
            ("SELECT a FROM b WHERE c = 'never ends", "SELECT b"),
            (")))) SELECT a FROM b", "SELECT b"),
            ("\u{0}\u{1f600} FROM 'x'", NONE),
        ],
    );
}

#[test]
fn summaries_of_other_dialects() {
    check(
        "mysql",
        &[
            ("SELECT * FROM `my db`.`a` WHERE b = \"it\\\"s FROM c\"", "SELECT `my db`.`a`"),
            ("INSERT IGNORE INTO a SET b = 1", "INSERT a"),
            ("INSERT INTO a VALUES (1) ON DUPLICATE KEY UPDATE b = 2", "INSERT a"),
            ("REPLACE INTO a VALUES ('it\\'s', 2)", "REPLACE a"),
            ("UPDATE a, b SET a.c = b.c", "UPDATE a b"),
            ("SELECT a # FROM b\nFROM c", "SELECT c"),
            ("LOCK TABLES a READ, b WRITE", "LOCK a b"),
        ],
    );
    check(
        "sqlite",
        &[
            ("INSERT OR REPLACE INTO a VALUES (?1)", "INSERT a"),
            ("PRAGMA table_info('a')", "PRAGMA table_info"),
            ("SELECT * FROM a WHERE b = :b AND c = @c", "SELECT a"),
        ],
    );
    check(
        "microsoft.sql_server",
        &[
            ("SELECT TOP 5 * FROM [my db].dbo.[a] WITH (NOLOCK)", "SELECT [my db].dbo.[a]"),
            ("EXEC sp_a @b = 1", "EXEC sp_a"),
            ("DELETE TOP (10) FROM a", "DELETE a"),
        ],
    );
    // The backslash may be an escape, so the rest may be a string.
    check("other_sql", &[("SELECT a FROM b WHERE c = 'x\\' OR d IN (SELECT 'y')", "SELECT b")]);
}

fn check(system: &'static str, rows: &[(&str, &str)]) {
    let telemetry = Telemetry::new();
    let database = telemetry.database(system);
    // The second time from the cache.
    for _ in 0..2 {
        for (sql, expected) in rows {
            database.query(sql).parameterized().start().finish(Outcome::success());
            let spans = telemetry.spans();
            let name = &*spans[0].name;
            let name = if name == system { NONE } else { name };
            assert_eq!(name, *expected, "{sql}");
        }
    }
}
