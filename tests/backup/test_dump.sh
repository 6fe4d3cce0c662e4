#!/usr/bin/env bash
# test_dump.sh BIN - what `quartet dump` writes: sqlite3 loads it and has the same rows; Quartet loads it and dumps it equally again.
set -uo pipefail
bin=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fail() {
    echo "FAILED: $*"
    failed=1
}
"$bin/quartet" "$tmp/a" <<'SQL' || fail "making the database"
CREATE TABLE kinds (id INTEGER PRIMARY KEY, r REAL, tx TEXT, b BLOB, d DECIMAL(12,2), dt DATE, tm TIME, ts TIMESTAMP, u UUID, j JSON, n INTEGER COUNTER DEFAULT 0, x, bo BOOLEAN);
INSERT INTO kinds VALUES (1, 0.1, 'it''s', x'00ff', 1.50, '2020-01-02', '10:11:12.5', '2020-01-02 10:11:12.25', '123e4567-e89b-12d3-a456-426614174000', '{"a": [1, 2.50]}', 5, 'x', TRUE);
INSERT INTO kinds VALUES (2, 1e300, '', x'', -1.25, '0001-01-02', '00:00:00', '1999-01-02 10:11:12', NULL, '"s"', -7, x'41', FALSE);
INSERT INTO kinds VALUES (-9223372036854775808, 9e999, 'line
two -- no comment', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 1.0, NULL);
INSERT INTO kinds (id, r, tx, x) VALUES (9223372036854775807, 5e-324, 'ä€😀"', 12), (4, 2.2250738585072011e-308, ';', '12'), (5, 1.7976931348623157e308, '/*', 0.30000000000000004);
CREATE TABLE "odd name" ("a""b" TEXT PRIMARY KEY, "select" INTEGER UNIQUE);
INSERT INTO "odd name" VALUES ('x', 1), ('y', NULL);
CREATE TABLE parent (id INTEGER PRIMARY KEY, title TEXT COLLATE NOCASE NOT NULL);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent (id) ON DELETE CASCADE, CHECK (id > 0));
ALTER TABLE child ADD COLUMN late TEXT DEFAULT 'none';
CREATE INDEX child_parent ON child (parent DESC);
CREATE VIEW zz AS SELECT title, count(*) AS n FROM parent JOIN child ON child.parent = parent.id GROUP BY title;
CREATE VIEW aa AS SELECT * FROM zz WHERE n > 1;
INSERT INTO parent VALUES (1, 'One'), (2, 'Two');
INSERT INTO child (id, parent) VALUES (1, 1), (2, 1), (3, 2);
CREATE TRIGGER grow AFTER INSERT ON child BEGIN UPDATE parent SET title = title || '!' WHERE id = new.parent; END;
SQL
"$bin/quartet" "$tmp/a" -c "CREATE TABLE many (id INTEGER PRIMARY KEY, v TEXT)" -c "INSERT INTO many SELECT a.id * 1000 + b.id * 31 + c.id, hex(randomblob(12)) FROM child a, child b, child c WHERE a.id > 0" || fail "many"
"$bin/quartet" dump "$tmp/a" >"$tmp/a.sql" || fail "dump"

# Quartet: the same again.
"$bin/quartet" "$tmp/b" -f "$tmp/a.sql" || fail "Quartet does not load its dump"
"$bin/quartet" dump "$tmp/b" | cmp - "$tmp/a.sql" || fail "the dump of the loaded dump differs"
[ "$("$bin/quartet" "$tmp/b" -c "SELECT title FROM parent WHERE id = 1")" = One ] || fail "a trigger saw the rows go in"
[ "$("$bin/quartet" "$tmp/b" -c "SELECT n FROM aa")" = 2 ] || fail "views"
[ "$("$bin/quartet" "$tmp/b" -c "UPDATE kinds SET n = n + 1 WHERE id = 1; SELECT n, d, typeof(d), typeof(dt) FROM kinds WHERE id = 1")" = '6|1.50|decimal|date' ] || fail "types"

# SQLite: every row of every table, as text; numbers of DECIMAL and of REAL columns as numbers.
sqlite3 "$tmp/s.db" <"$tmp/a.sql" || fail "sqlite3 does not load the dump"
[ "$(sqlite3 "$tmp/s.db" 'PRAGMA integrity_check')" = ok ] || fail "integrity_check"
for q in 'SELECT id, tx, hex(b), dt, tm, ts, u, j, n, bo FROM kinds ORDER BY id' 'SELECT id, r = 0.1, r = 1e300, r = 9e999, r = 5e-324, r = 2.2250738585072011e-308, r = 1.7976931348623157e308 FROM kinds ORDER BY id' \
    'SELECT id, CAST(d * 100 AS INTEGER) FROM kinds ORDER BY id' 'SELECT id, typeof(x), x = 12, x = 1.0, x = 0.30000000000000004, hex(x) FROM kinds WHERE typeof(x) <> '"'real'"' ORDER BY id' \
    'SELECT * FROM "odd name" ORDER BY 1' 'SELECT * FROM parent ORDER BY 1' 'SELECT * FROM child ORDER BY 1' 'SELECT * FROM many ORDER BY 1' 'SELECT * FROM aa' 'SELECT * FROM zz ORDER BY 1'; do
    "$bin/quartet" "$tmp/a" -c "$q" >"$tmp/1"
    sqlite3 "$tmp/s.db" "$q" >"$tmp/2"
    cmp -s "$tmp/1" "$tmp/2" || fail "SQLite differs: $q: $(diff "$tmp/1" "$tmp/2" | head -n 6)"
done

# Some tables only, and what is wrong is told.
"$bin/quartet" dump "$tmp/a" child >"$tmp/c.sql" || fail "one table"
grep -q 'CREATE TABLE child' "$tmp/c.sql" && grep -q child_parent "$tmp/c.sql" && grep -q 'TRIGGER grow' "$tmp/c.sql" && ! grep -q 'kinds\|CREATE VIEW' "$tmp/c.sql" || fail "the tables asked for"
"$bin/quartet" dump "$tmp/a" nothing >/dev/null 2>"$tmp/err" && fail "a table that is none"
grep -q 'no such table: nothing' "$tmp/err" || fail "the error: $(cat "$tmp/err")"
exit "$failed"
