/* forms.h - every form of statement that the grammar knows, for the tests of parser, printer and
 * failing memory. */
#ifndef TESTS_UNIT_PARSER_FORMS_H
#define TESTS_UNIT_PARSER_FORMS_H

static const char *const forms[] = {
    /* literals, names, operators */
    "SELECT 1, -1, 1.5, .5, 1., 1e5, 2.5E-3, 0x1F, 'it''s', x'00fF', NULL, TRUE, FALSE",
    "SELECT 9223372036854775807, -9223372036854775808, 9223372036854775808, 1e999, "
    "0xffffffffffffffff",
    "SELECT DATE '2020-01-02', TIME '12:00', TIMESTAMP '2020-01-02 03:04:05', INTERVAL '1' DAY, "
    "INTERVAL 2 hours, N'x'",
    "SELECT a, t.a, main.t.a, \"q a\", [b c], `d``e`, \"x\"\"y\", \xc3\xa4\xc3\xb6 FROM t",
    "SELECT ?, ?5, ?, :name, @name, $name, :name",
    "SELECT -a, - -a, +a, ~a, -(-(a)), NOT a, NOT NOT a FROM t",
    "SELECT a || b, a -> '$.x', a ->> '$[0]' || 'y', (a || b) -> c, a * b / c % d, a - b - c, a - "
    "(b - c), a + b * c, (a + b) * c FROM t",
    "SELECT a << 1, a >> 2, a & b | c, a DIV b, a MOD b, a XOR b FROM t",
    "SELECT a = b, a == b, a <> b, a != b, a < b, a <= b, a > b, a >= b, a <=> b FROM t",
    "SELECT (a = b) = c, a = (b = c), a < (b < c), (a AND b) = c, (NOT a) = b, a = (NOT b), - (a = "
    "b) FROM t",
    "SELECT a IS NULL, a IS NOT NULL, a ISNULL, a NOTNULL, a NOT NULL, a IS b, a IS NOT b, a IS "
    "TRUE, a IS NOT FALSE FROM t",
    "SELECT a IS DISTINCT FROM b, a IS NOT DISTINCT FROM b, a IS NOT DISTINCT FROM NULL FROM t",
    "SELECT a LIKE 'x%', a NOT LIKE b ESCAPE '\\', a GLOB '*', a REGEXP 'x', a NOT RLIKE 'x', a "
    "MATCH 'y', a ILIKE 'z', a SIMILAR TO 'q' FROM t",
    "SELECT a BETWEEN 1 AND 2, a NOT BETWEEN 1 AND 2 AND b, a BETWEEN SYMMETRIC 2 AND 1, a BETWEEN "
    "(b AND c) AND (d = e) FROM t",
    "SELECT a IN (), a IN (1, 2), a NOT IN (1), a IN (SELECT b FROM u), a IN u, a NOT IN main.u, a "
    "IN f(1, 2), (a, b) IN (VALUES (1, 2)) FROM t",
    "SELECT a = ANY (SELECT 1), a < ALL (SELECT 2), a <> SOME (SELECT 3), EXISTS (SELECT 1), NOT "
    "EXISTS (SELECT 1) FROM t",
    "SELECT a AND b AND c OR d OR (e AND (f OR g)), a OR b AND c FROM t",
    "SELECT (1, 2), (a, b) = (SELECT 1, 2), ((1, 2), 3) FROM t",
    "SELECT CASE WHEN a THEN 1 END, CASE a WHEN 1 THEN 'x' WHEN 2 THEN 'y' ELSE 'z' END FROM t",
    "SELECT CAST(a AS INTEGER), CAST(a AS DECIMAL(10, 2)), TRY_CAST(a AS DOUBLE PRECISION), "
    "a::int, a::varchar(5)::text FROM t",
    "SELECT CAST(a AS TIMESTAMP(3) WITH TIME ZONE), CAST(a AS INT(10) UNSIGNED), CAST(a AS "
    "UNSIGNED BIG INT) FROM t",
    "SELECT a COLLATE NOCASE, -a COLLATE nocase, a || b COLLATE nocase, (a || b) COLLATE nocase "
    "FROM t",
    /* functions and windows */
    "SELECT count(*), count(a), count(DISTINCT a), sum(ALL a), f(), f(1, 2), group_concat(a, ',' "
    "ORDER BY b DESC) FROM t",
    "SELECT CURRENT_TIMESTAMP, current_date, date('now'), replace(a, 'x', 'y'), like('a', 'b'), "
    "left(a, 1), right(a, 2), if(a, b, c), mod(a, 2), glob(a, b) FROM t",
    "SELECT substring(a FROM 2 FOR 3), substring(a FROM 2), trim(a), trim('x' FROM a), "
    "trim(LEADING 'x' FROM a), trim(TRAILING FROM a), extract(year FROM a) FROM t",
    "SELECT sum(a) FILTER (WHERE b > 1), percentile_cont(0.5) WITHIN GROUP (ORDER BY a), "
    "first_value(a) IGNORE NULLS OVER w FROM t WINDOW w AS (ORDER BY a)",
    "SELECT sum(a) OVER (), row_number() OVER (PARTITION BY a, b ORDER BY c DESC NULLS LAST), "
    "sum(DISTINCT a ORDER BY b) FROM t",
    "SELECT sum(a) OVER (ORDER BY b ROWS 1 PRECEDING), sum(a) OVER (w RANGE BETWEEN UNBOUNDED "
    "PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM t WINDOW w AS (PARTITION BY a), v AS (w ORDER BY "
    "b)",
    "SELECT sum(a) OVER (ORDER BY b GROUPS BETWEEN 1 PRECEDING AND (a + 1) FOLLOWING EXCLUDE "
    "GROUP), sum(a) OVER (ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW) "
    "FROM t",
    /* queries */
    "SELECT * FROM t",
    "SELECT ALL t.*, main.t.* FROM t",
    "SELECT DISTINCT a AS b, c d, e 'f' FROM t AS x, u y, (SELECT 1) AS z (q)",
    "SELECT DISTINCT ON (a, b) c FROM t",
    "VALUES (1, 2), (3, 4) ORDER BY 1 LIMIT 1",
    "TABLE t",
    "SELECT 1 WHERE 0",
    "SELECT a FROM t WHERE b GROUP BY c, 2 HAVING d ORDER BY e ASC, f DESC NULLS FIRST, g COLLATE "
    "nocase LIMIT 10 OFFSET 20",
    "SELECT a FROM t LIMIT 5, 10",
    "SELECT a FROM t LIMIT ALL OFFSET 3",
    "SELECT a FROM t OFFSET 3 ROWS",
    "SELECT a FROM t OFFSET 3 ROWS FETCH NEXT 2 ROWS ONLY",
    "SELECT a FROM t ORDER BY a FETCH FIRST ROW WITH TIES",
    "SELECT a FROM t ORDER BY a OFFSET ? ROWS FETCH FIRST 3 ROWS WITH TIES",
    "SELECT a FROM t GROUP BY ROLLUP (a, (b, c)), CUBE (d), GROUPING SETS ((a, b), a, ()), ()",
    "SELECT a, count(*) FROM t GROUP BY a WITH ROLLUP",
    "SELECT a, row_number() OVER (ORDER BY a) AS r FROM t QUALIFY r = 1",
    "SELECT a FROM t FOR UPDATE",
    "SELECT * FROM a JOIN b ON a.x = b.x INNER JOIN c USING (x, y) LEFT OUTER JOIN d ON TRUE RIGHT "
    "JOIN e ON 1 FULL OUTER JOIN f USING (z)",
    "SELECT * FROM a CROSS JOIN b NATURAL JOIN c NATURAL LEFT JOIN d, e JOIN f",
    "SELECT * FROM (a CROSS JOIN b) AS x JOIN (c, d) ON 1",
    "SELECT * FROM a, LATERAL (SELECT a.x) AS b, json_each(a.j) AS k, LATERAL generate_series(1, "
    "a.n) AS g (i), main.f()",
    "SELECT * FROM t AS OF '2026-01-01 10:00:00' AS x, u AS OF STAMP 12345",
    "SELECT * FROM t INDEXED BY i, u NOT INDEXED",
    "SELECT * FROM ((SELECT 1)), ((SELECT 2) UNION SELECT 3) AS x",
    "SELECT (SELECT 1), ((SELECT 2)), ((SELECT 3) + 1), (((SELECT 4) LIMIT 1))",
    "SELECT 1 UNION SELECT 2 UNION ALL SELECT 3 EXCEPT SELECT 4 INTERSECT SELECT 5 ORDER BY 1 "
    "LIMIT 2",
    "(SELECT 1 LIMIT 1) UNION (SELECT 2 UNION ALL SELECT 3) EXCEPT ALL VALUES (1) INTERSECT ALL "
    "(SELECT 2 ORDER BY 1)",
    "((SELECT 1))",
    "(SELECT a FROM t ORDER BY a LIMIT 3) ORDER BY 1 LIMIT 1",
    "(SELECT 1) ORDER BY 1",
    "WITH a AS (SELECT 1), b (x, y) AS NOT MATERIALIZED (SELECT 1, 2), c AS MATERIALIZED (TABLE a) "
    "SELECT * FROM a, b, c",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i FROM n",
    "WITH a AS (SELECT 1) (SELECT * FROM a) UNION SELECT 2",
    "SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) AS b",
    "SELECT key, type, date, time, action, comment, name, value, year, first FROM start",
    /* writing */
    "INSERT INTO t VALUES (1, 'a', DEFAULT)",
    "INSERT INTO main.t (a, b) VALUES (1, 2), (3, 4) RETURNING *, a + 1 AS x",
    "INSERT INTO t DEFAULT VALUES",
    "INSERT INTO t (a) SELECT b FROM u WHERE c",
    "INSERT INTO t (SELECT 1)",
    "INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x",
    "INSERT OR REPLACE INTO t VALUES (1)",
    "INSERT OR IGNORE INTO t VALUES (1)",
    "INSERT OR ABORT INTO t VALUES (1)",
    "INSERT OR ROLLBACK INTO t VALUES (1)",
    "INSERT OR FAIL INTO t VALUES (1)",
    "REPLACE INTO t (a) VALUES (1)",
    "INSERT IGNORE INTO t VALUES (1)",
    "INSERT INTO t SET a = 1, b = DEFAULT",
    "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
    "INSERT INTO t AS x VALUES (1) ON CONFLICT (a, b COLLATE nocase) WHERE c DO UPDATE SET a = "
    "excluded.a, (b, c) = (1, 2) WHERE x.d ON CONFLICT DO NOTHING",
    "INSERT INTO t SELECT * FROM u JOIN v ON CONFLICT DO NOTHING",
    "INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT pk DO UPDATE SET a = 1",
    "INSERT INTO t (a, b) VALUES (1, 2) ON DUPLICATE KEY UPDATE b = VALUES(b) + 1, a = b",
    "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
    "UPDATE t SET a = 1",
    "UPDATE OR REPLACE main.t AS x SET a = a + 1, (b, c) = (SELECT 1, 2), x.d = DEFAULT FROM u, v "
    "WHERE x.i = u.i RETURNING x.*",
    "UPDATE t SET a = 1 WHERE b ORDER BY c LIMIT 3 OFFSET 1",
    "WITH x AS (SELECT 1) UPDATE t SET a = 1 WHERE b IN (SELECT * FROM x)",
    "UPDATE t INDEXED BY i SET n = n + 1 WHERE id = ?",
    "DELETE FROM t",
    "DELETE FROM t AS x USING u, v WHERE x.a = u.a RETURNING a",
    "DELETE FROM t WHERE a ORDER BY b LIMIT 1",
    "WITH x AS (SELECT 1) DELETE FROM t",
    "TRUNCATE TABLE t",
    "TRUNCATE t",
    /* tables */
    "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT NOT NULL DEFAULT 'x', c "
    "NUMERIC(10, 2) UNIQUE, d REAL CHECK (d > 0), e)",
    "CREATE TEMP TABLE IF NOT EXISTS main.t (a INT, b NVARCHAR(160), PRIMARY KEY (a, b DESC), "
    "UNIQUE (b), CHECK (a < 5), CONSTRAINT fk FOREIGN KEY (a) REFERENCES u (x) ON DELETE CASCADE "
    "ON UPDATE SET NULL) WITHOUT ROWID, STRICT",
    "CREATE TABLE t (a INTEGER CONSTRAINT pk PRIMARY KEY DESC ON CONFLICT REPLACE, b REFERENCES u "
    "ON DELETE SET DEFAULT DEFERRABLE INITIALLY DEFERRED, c TEXT CONSTRAINT nn NOT NULL ON "
    "CONFLICT IGNORE COLLATE nocase)",
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER COUNTER CHECK (n >= 0), hi REAL MAXIMUM, lo "
    "REAL MINIMUM NOT NULL, tags TEXT SET, note TEXT MULTIVALUE, d DECIMAL(10, 2) COUNTER, x "
    "COUNTER, MERGE TOGETHER (hi, lo)) UPDATES WIN",
    "CREATE TABLE t (a INT, b INT) MERGE TOGETHER (a, b), UPDATES WIN",
    "CREATE TABLE t (a REFERENCES p (id) ON MERGE KEEP PARENT ON DELETE RESTRICT MATCH FULL NOT "
    "DEFERRABLE)",
    "CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a * 2) STORED, c INT AS (a + 1) VIRTUAL, d "
    "INT AS (1), e INT GENERATED ALWAYS AS IDENTITY, f INT GENERATED BY DEFAULT AS IDENTITY)",
    "CREATE TABLE `t` (`id` int(11) unsigned NOT NULL AUTO_INCREMENT, `name` varchar(20) CHARACTER "
    "SET utf8 DEFAULT NULL COMMENT 'the name', ts timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON "
    "UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (`id`), UNIQUE KEY `u` (`name`), INDEX i (ts)) "
    "ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='c' "
    "ROW_FORMAT=DYNAMIC",
    "CREATE TABLE t (a TEXT DEFAULT (lower('X')), b INT DEFAULT -5, c REAL DEFAULT +1.5, d DEFAULT "
    "word, e DEFAULT now(), f DEFAULT CURRENT_TIMESTAMP, g BLOB DEFAULT x'01', h DEFAULT NULL, i "
    "DEFAULT TRUE, j DEFAULT (1 + 2))",
    "CREATE TABLE t (a DOUBLE PRECISION, b UNSIGNED BIG INT, c TIMESTAMP WITH TIME ZONE, d "
    "TIMESTAMP(3) WITHOUT TIME ZONE, e CHARACTER VARYING(20), f [odd-type], g \"set\")",
    "CREATE TABLE t AS SELECT * FROM u",
    "CREATE TABLE t (a, b TEXT) AS SELECT 1, 2",
    "CREATE TABLE t AS SELECT 1 WITH NO DATA",
    "CREATE TABLE t LIKE u",
    "CREATE TABLE IF NOT EXISTS t (LIKE main.u)",
    "CREATE TABLE t (key TEXT, \"select\" INT, [a b] INT, date DATE, time TIME, comment TEXT)",
    "DROP TABLE t",
    "DROP TABLE IF EXISTS a, main.b CASCADE",
    "DROP VIEW v RESTRICT",
    "DROP INDEX i ON t",
    "DROP TRIGGER IF EXISTS g",
    "DROP DATABASE d",
    "ALTER TABLE t ADD COLUMN a INT NOT NULL DEFAULT 0",
    "ALTER TABLE t ADD a INT, DROP COLUMN b, DROP c CASCADE",
    "ALTER TABLE IF EXISTS t RENAME TO u",
    "ALTER TABLE t RENAME a TO b",
    "ALTER TABLE t RENAME COLUMN a TO b",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
    "ALTER TABLE t ADD UNIQUE (a, b)",
    "ALTER TABLE t DROP CONSTRAINT IF EXISTS c",
    "ALTER TABLE t DROP FOREIGN KEY c",
    "ALTER TABLE t ALTER COLUMN a SET DEFAULT 5",
    "ALTER TABLE t ALTER a DROP DEFAULT",
    "ALTER TABLE t ALTER a SET NOT NULL",
    "ALTER TABLE t ALTER a DROP NOT NULL",
    "ALTER TABLE t ALTER a TYPE TEXT",
    "ALTER TABLE t ALTER a SET DATA TYPE VARCHAR(5)",
    "ALTER TABLE t ALTER a SET COUNTER",
    "ALTER TABLE t ALTER a SET SET",
    "ALTER TABLE t ALTER a SET LWW",
    "ALTER TABLE t ADD COLUMN IF NOT EXISTS x INT, ADD MERGE TOGETHER (a, b), UPDATES WIN",
    "ALTER TABLE t UPDATES LOSE",
    /* indexes, views, triggers */
    "CREATE INDEX i ON t (a)",
    "CREATE UNIQUE INDEX IF NOT EXISTS main.i ON t (a DESC, lower(b) COLLATE nocase, c + 1) WHERE "
    "d IS NOT NULL",
    "CREATE INDEX ON t USING btree (a)",
    "CREATE INDEX CONCURRENTLY i ON t (a)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE TEMPORARY VIEW IF NOT EXISTS v (a, b) AS SELECT 1, 2",
    "CREATE OR REPLACE VIEW v AS VALUES (1)",
    "CREATE TRIGGER g UPDATE ON t BEGIN SELECT 1; END",
    "CREATE TEMP TRIGGER IF NOT EXISTS g AFTER UPDATE OF a, b ON t FOR EACH ROW WHEN new.a > old.a "
    "BEGIN UPDATE u SET n = n + 1; INSERT INTO l VALUES (new.a, CASE WHEN 1 THEN 2 END); DELETE "
    "FROM m; END",
    "CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN SELECT RAISE(ABORT, 'no'), RAISE(IGNORE); WITH "
    "x AS (SELECT 1) INSERT INTO t SELECT * FROM x; END",
    "CREATE TRIGGER g BEFORE DELETE ON t BEGIN VALUES (1); END",
    /* transactions, settings, upkeep */
    "BEGIN",
    "BEGIN TRANSACTION",
    "BEGIN IMMEDIATE",
    "BEGIN EXCLUSIVE TRANSACTION READ ONLY",
    "BEGIN DEFERRED",
    "START TRANSACTION READ WRITE",
    "COMMIT",
    "END TRANSACTION",
    "COMMIT WORK",
    "ROLLBACK",
    "SAVEPOINT s",
    "RELEASE SAVEPOINT s",
    "RELEASE s",
    "ROLLBACK TO s",
    "ROLLBACK TRANSACTION TO SAVEPOINT s",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN MERGE UPDATE t SET n = n + 1",
    "EXPLAIN QUERY PLAN DELETE FROM t",
    "SET consistency = 'session'",
    "SET consistency = session, commit_acks = 2",
    "SET SESSION synchronous = full",
    "SET GLOBAL x TO on",
    "SET LOCAL a.b = DEFAULT",
    "SET NAMES utf8",
    "SET memory_limit = 1024 * 1024",
    "PRAGMA foreign_keys",
    "PRAGMA main.cache_size = -2000",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA table_info(t)",
    "PRAGMA synchronous(ON)",
    "SHOW TABLES",
    "SHOW TABLES FROM main LIKE 'a%'",
    "SHOW FULL COLUMNS FROM t WHERE x = 1",
    "SHOW COLUMNS FROM t FROM main",
    "SHOW INDEX FROM t",
    "SHOW CREATE TABLE main.t",
    "SHOW CREATE VIEW v",
    "SHOW CLUSTER",
    "SHOW consistency",
    "DESCRIBE t",
    "DESC t",
    "SHOW TABLE STATUS",
    "VACUUM",
    "VACUUM main INTO 'x.db'",
    "ANALYZE",
    "ANALYZE main.t",
    "REINDEX",
    "REINDEX i",
    "BACKUP TO 'dir'",
    "BACKUP DATABASE TO ?",
    "BACKTRACK DATABASE TO '2026-01-01'",
    "BACKTRACK TABLE main.t TO STAMP 5",
    "COPY t TO 'f.csv'",
    "COPY t (a, b) FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';', NULL '')",
    "COPY (SELECT 1) TO STDOUT (FORMAT jsonl)",
    "SET TIME ZONE 'Europe/Rome'",
    "SET LOCAL TIME ZONE DEFAULT",
    "SELECT at, a at, b AS at, c AT TIME ZONE 'UTC' AT LOCAL || 'x', -d AT TIME ZONE e FROM t AS at",
    "COMMENT ON TABLE t IS 'x'",
    "COMMENT ON COLUMN t.a IS NULL",
    "COMMENT ON COLUMN main.t.a IS 'it''s'",
    "COMMENT ON INDEX i IS 'y'",
    "RESOLVE CONFLICT 5 USING LOSER",
    "RESOLVE CONFLICT :id USING WINNER",
    "USE d",
    "ATTACH 'f' AS x",
    "ATTACH DATABASE 'f' AS x",
    "DETACH x",
    "CREATE DATABASE IF NOT EXISTS d",
    "CREATE SCHEMA s",
};

#define FORMS_COUNT (sizeof forms / sizeof forms[0])

#endif
