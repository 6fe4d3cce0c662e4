#!/usr/bin/env bash
# test_shell.sh QUARTET - how the shell behaves: formats, exit statuses, error texts, .import, .read, pipes, and inputs that are wrong.
set -uo pipefail
quartet=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
failed=0
count=0

# expect NAME STATUS STDOUT STDERR_PATTERN COMMAND...: standard input is that of the call.
expect() {
    local name=$1 status=$2 out=$3 pattern=$4 got rc
    shift 4
    count=$((count + 1))
    timeout 30 "$@" >"$tmp/.out" 2>"$tmp/.err"
    rc=$?
    printf '%s' "$out" >"$tmp/.expected"
    if [ "$rc" != "$status" ] || ! cmp -s "$tmp/.expected" "$tmp/.out" || ! grep -qE -- "$pattern" <<<"$(cat "$tmp/.err")"; then
        failed=$((failed + 1))
        echo "FAILED: $name: status $rc (expected $status)"
        diff "$tmp/.expected" "$tmp/.out" | head -n 20
        echo "   standard error (expected /$pattern/):"
        head -n 10 "$tmp/.err"
    fi
}
q() { "$quartet" "$@"; }
nl=$'\n'
data="CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, x REAL, b BLOB);
INSERT INTO t VALUES (1, 'plain', 1.5, NULL), (2, 'comma, \"quote\"', NULL, x'00ff'), (3, '日本|x', -2.0, NULL);"

# ---- formats ----
all="SELECT id, name, x, b FROM t ORDER BY id"
expect list 0 "1|plain|1.5|
2|comma, \"quote\"||00ff
3|日本|x|-2.0|
" '^$' "$quartet" -c "$data" -c "$all"
expect 'list with headers and nulls' 0 "id|x
1|1.5
2|nil
3|-2.0
" '^$' "$quartet" --headers --nulls nil -c "$data" -c 'SELECT id, x FROM t ORDER BY id'
expect csv 0 $'id,name,x,b\r\n1,plain,1.5,\r\n2,"comma, ""quote""",,00ff\r\n3,日本|x,-2.0,\r\n' '^$' \
    "$quartet" --format csv --headers -c "$data" -c "$all"
expect 'csv of an empty text' 0 $'"",\r\n' '^$' "$quartet" --format csv -c "SELECT '', NULL"
expect json 0 '[{"id": 1, "name": "plain", "x": 1.5, "b": null},
 {"id": 2, "name": "comma, \"quote\"", "x": null, "b": "00ff"},
 {"id": 3, "name": "日本|x", "x": -2.0, "b": null}]
' '^$' "$quartet" --format json -c "$data" -c "$all"
expect 'json of no rows' 0 "[]$nl" '^$' "$quartet" --format json -c "$data" -c 'SELECT id FROM t WHERE id > 9'
expect jsonl 0 '{"id": 1, "name": "plain"}
{"id": 2, "name": "comma, \"quote\""}
' '^$' "$quartet" --format jsonl -c "$data" -c 'SELECT id, name FROM t WHERE id < 3 ORDER BY id'
expect table 0 '┌────┬────────────────┬──────┐
│ id │ name           │ x    │
├────┼────────────────┼──────┤
│  1 │ plain          │  1.5 │
│  2 │ comma, "quote" │      │
│  3 │ 日本|x         │ -2.0 │
└────┴────────────────┴──────┘
' '^$' "$quartet" --format table -c "$data" -c 'SELECT id, name, x FROM t ORDER BY id'
expect markdown 0 '| id | name   |
|----|--------|
|  3 | 日本\|x |
' '^$' "$quartet" --format markdown -c "$data" -c 'SELECT id, name FROM t WHERE id = 3'
expect line 0 "  id = 1
name = plain

  id = 2
name = comma, \"quote\"
" '^$' "$quartet" --format line -c "$data" -c 'SELECT id, name FROM t WHERE id < 3 ORDER BY id'
expect 'unknown format' 64 '' 'no such format: xml' "$quartet" --format xml -c 'SELECT 1'
expect 'unknown option' 64 '' 'no such option: --nonsense' "$quartet" --nonsense
expect 'option without value' 64 '' '-c needs a value' "$quartet" -c
expect version 0 "$("$quartet" --version)$nl" '^$' "$quartet" --version
grep -qE '^quartet [0-9]+\.[0-9]+' <<<"$("$quartet" --version)" || { echo "FAILED: --version"; failed=$((failed + 1)); }

# ---- errors: line, column, caret ----
expect 'syntax error' 1 '' 'line 1.*column 8' "$quartet" -c 'SELECT FROM FROM'
expect 'unknown table' 1 '' 'nosuch' "$quartet" -c 'SELECT * FROM nosuch'
expect 'unknown column, line 3' 1 '' 'line 3' "$quartet" -c "$data" -c $'SELECT id\n  , name\n  , nosuch\nFROM t'
expect 'a caret' 1 '' '^ *\^' "$quartet" -c 'SELECT 1 +'
expect 'a statement after a failed one is not run' 1 "1$nl" 'nosuch' "$quartet" -c 'SELECT 1; SELECT * FROM nosuch; SELECT 2'
expect '--force goes on' 1 "1${nl}2$nl" 'nosuch' "$quartet" --force -c 'SELECT 1; SELECT * FROM nosuch; SELECT 2'
printf 'SELECT 1;\nSELECT 2;\n\nSELECT nosuch;\nSELECT 3;\n' >bad.sql
expect 'a file: its name and line' 1 "1${nl}2$nl" '^bad.sql:4: error:.*nosuch' "$quartet" -f bad.sql
expect 'constraint' 1 '' 'error: .*(NOT NULL|null)' "$quartet" -c 'CREATE TABLE n (a INTEGER PRIMARY KEY, b TEXT NOT NULL)' -c 'INSERT INTO n VALUES (1, NULL)'
expect 'duplicate key' 1 '' 'error: .*[Pp][Rr][Ii][Mm][Aa][Rr][Yy] [Kk][Ee][Yy]|UNIQUE' "$quartet" -c "$data" -c "INSERT INTO t VALUES (1, 'again', 0, NULL)"

# ---- scripts ----
expect 'standard input' 0 "3$nl" '^$' "$quartet" <<<'SELECT 1 +
2;'
expect 'the last statement needs no semicolon' 0 "7$nl" '^$' "$quartet" <<<'SELECT 7'
expect 'comments and blank lines' 0 "5$nl" '^$' "$quartet" <<<'-- one; two
# three;
/* four;
*/ SELECT 5; -- six'
expect 'semicolons in quotes' 0 "a;b$nl" '^$' "$quartet" <<<"SELECT 'a;b';"
printf '.echo hello world\nSELECT 1;\n.read inner.sql\n' >outer.sql
printf 'SELECT 2;\n.format csv\nSELECT 3, 4;\n' >inner.sql
expect '.read' 0 $'hello world\n1\n2\n3,4\r\n' '^$' "$quartet" -f outer.sql
printf '.read self.sql\n' >self.sql
expect '.read of itself ends' 1 '' 'nested more than 16' "$quartet" -f self.sql
expect '.read of nothing' 1 '' 'cannot read nosuch.sql' "$quartet" -c '.read nosuch.sql'
expect 'unknown dot command' 1 '' 'no such command' "$quartet" -c '.nosuch'
expect 'usage of a dot command' 1 '' 'usage: .import FILE TABLE' "$quartet" -c '.import x'
expect '.tables and .schema' 0 "a
b
CREATE TABLE b (x TEXT);
" '^$' "$quartet" -c 'CREATE TABLE b (x TEXT); CREATE TABLE a (y INTEGER)' -c .tables -c '.schema b'
expect '.schema of nothing' 1 '' 'no such table: zz' "$quartet" -c '.schema zz'
expect '.quit' 0 "1$nl" '^$' "$quartet" <<<'SELECT 1;
.quit
SELECT 2;'
expect '.output' 0 '' '^$' "$quartet" -c '.output written.txt' -c 'SELECT 42'
[ "$(cat written.txt 2>/dev/null)" = 42 ] || { echo "FAILED: .output wrote [$(cat written.txt)]"; failed=$((failed + 1)); }
expect 'a transaction over several statements' 0 "2${nl}0$nl" '^$' "$quartet" <<<'CREATE TABLE t (x INTEGER);
BEGIN; INSERT INTO t VALUES (1), (2); SELECT count(*) FROM t; ROLLBACK;
SELECT count(*) FROM t;'
expect 'what is open at the end is rolled back' 0 '' '^$' "$quartet" keep <<<'CREATE TABLE t (x INTEGER); BEGIN; INSERT INTO t VALUES (1);'
expect 'the database is there again' 0 "0$nl" '^$' "$quartet" keep -c 'SELECT count(*) FROM t'

# ---- import ----
printf 'id,name,when,price,code\n1,"a ""b"", c",2024-01-31,1.5,007\n2,,2024-02-01,2,008\n' >in.csv
expect '.import makes a table' 0 "1|a \"b\", c|2024-01-31|1.5|007
2||2024-02-01|2.0|008
1
" '2 rows imported' "$quartet" -c '.import in.csv made' -c 'SELECT * FROM made ORDER BY id' -c 'SELECT count(*) FROM made WHERE name IS NULL'
expect '.import: types and key' 0 'CREATE TABLE made (id INTEGER PRIMARY KEY, name TEXT, "when" DATE, price REAL, code TEXT);
' 'imported' "$quartet" -c '.import in.csv made' -c '.schema made'
expect '.import into a table that is there' 0 "2|008
1|007
" 'imported' "$quartet" -c 'CREATE TABLE made (id INTEGER, name TEXT, "when" TEXT, price TEXT, code TEXT)' -c '.import in.csv made' \
    -c 'SELECT id, code FROM made ORDER BY id DESC'
printf 'id,name\n1,a\n2\n' >short.csv
expect '.import: a short line, nothing is kept' 1 "0$nl" 'short.csv, line 3: 1 fields' "$quartet" --force -c 'CREATE TABLE s (id INTEGER, name TEXT)' \
    -c '.import short.csv s' -c 'SELECT count(*) FROM s'
expect '.import: no such file' 1 '' 'nosuch.csv' "$quartet" -c '.import nosuch.csv t'
seq 1 5000 | awk 'BEGIN { print "id,v" } { print $1 "," $1 * 2 }' >many.csv
expect '.import: many rows' 0 "5000|12502500|25005000$nl" '5000 rows imported' "$quartet" -c '.import many.csv many' -c 'SELECT count(*), sum(id), sum(v) FROM many'

# ---- what is wrong with the world ----
printf 'SELECT 1;\0SELECT 2;' >nul.sql
expect 'NUL bytes' 1 '' 'NUL byte' "$quartet" -f nul.sql
head -c 3000 /dev/urandom | tr -d '\n\0' >noise.sql
timeout 20 "$quartet" -f noise.sql >/dev/null 2>&1
rc=$?
[ "$rc" = 1 ] || { echo "FAILED: noise as SQL: status $rc"; failed=$((failed + 1)); }
expect 'not UTF-8' 1 '' 'UTF-8' "$quartet" <<<$'SELECT \'\xff\xfe\';'
if [ "$(id -u)" != 0 ]; then
    printf 'SELECT 1;' >secret.sql
    chmod 000 secret.sql
    expect 'a file that may not be read' 1 '' 'cannot read secret.sql: Permission denied' "$quartet" -f secret.sql
fi
expect 'a directory as a file' 1 '' 'directory' "$quartet" -f "$tmp"
expect 'a database that cannot be opened' 2 '' 'error' "$quartet" /proc/nosuch/db -c 'SELECT 1'
printf 'not a database\n' >file.db
expect 'a file as a database' 2 '' 'error' "$quartet" file.db -c 'SELECT 1'
expect 'a URL without sense' 2 '' 'error' "$quartet" 'quartet://' -c 'SELECT 1'
timeout 20 "$quartet" --format csv -c 'CREATE TABLE w (x INTEGER)' -c '.import many.csv many' -c 'SELECT a.id, b.id FROM many a JOIN many b ON b.id < a.id' 2>pipe.err | head -n 1 >/dev/null
rc=${PIPESTATUS[0]}
[ "$rc" = 1 ] && grep -q 'cannot write the output' pipe.err || { echo "FAILED: a broken pipe: status $rc, $(head -c 300 pipe.err)"; failed=$((failed + 1)); }
timeout 20 "$quartet" -c 'SELECT 1' >/dev/full 2>full.err
rc=$?
[ "$rc" = 1 ] || { echo "FAILED: output to a full device: status $rc"; failed=$((failed + 1)); }

[ "$failed" = 0 ] && echo "shell: $count cases as expected"
[ "$failed" = 0 ]
