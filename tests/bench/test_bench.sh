#!/usr/bin/env bash
# test_bench.sh PROGRAM - a small run of quartet-bench: it ends well (so both sides gave the same answers), and --json is an array of
# objects with the five members, one for each name, which sqlite3's own JSON reader accepts. No figure is judged.
set -uo pipefail
bench=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fail() {
    echo "FAILED: $*"
    failed=1
}
TMPDIR=$tmp timeout 120 "$bench" --json --rows 1000 --runs 1 --seconds 0.05 >"$tmp/out" 2>"$tmp/err" || {
    fail "exit status $?"
    tr '\r' '\n' <"$tmp/err"
}
names=$("$bench" --help | sed -n 's/^names: //p')
got=$(sqlite3 :memory: "SELECT json_extract(value, '$.name') FROM json_each(readfile('$tmp/out'))
    WHERE json_type(value, '$.quartet') IN ('integer', 'real') AND json_extract(value, '$.quartet') > 0
      AND json_extract(value, '$.unit') <> ''
      AND (json_type(value, '$.ratio') IN ('integer', 'real') AND json_extract(value, '$.peer') > 0
           OR (json_extract(value, '$.name') LIKE 'visible%' OR json_extract(value, '$.name') LIKE 'meta%' OR json_extract(value, '$.name') = 'recovery') AND json_type(value, '$.ratio') = 'null' AND json_type(value, '$.peer') = 'null')" | tr '\n' ' ')
[ "${got% }" = "$names" ] || fail "names with figures: expected [$names], got [$got]"
TMPDIR=$tmp timeout 60 "$bench" --json --rows 10000 --seconds 0.02 --runs 1 oltp_write_only oltp_read_write_1 2>"$tmp/err" | grep -c '"quartet": [0-9]' | grep -qx 2 || fail "the transactions of oltp give no figures: $(tr '\r' '\n' <"$tmp/err" | tail -5)"
[ -z "$(find "$tmp" -mindepth 1 -name 'quartet-bench-*')" ] || fail "its temporary directory is still there"
TMPDIR=$tmp timeout 60 "$bench" --json --rows 1000 --runs 1 growth growth_sqlite 2>/dev/null | grep -c '"ratio": [0-9]' | grep -qx 2 || fail "growth gives no figures"
TMPDIR=$tmp timeout 60 "$bench" --json --seconds 0.05 --runs 1 limit_sync limit_group_8 limit_group_32 2>/dev/null | grep -c '"quartet": [0-9]' | grep -qx 3 || fail "the limits give no figures"
TMPDIR=$tmp timeout 100 "$bench" --json --rows 800 --seconds 0.02 --runs 1 visible_busy_p99 hot_rate hot_errors converged_1 converged_4 rejoin_away idle_memory binary_size 2>"$tmp/err" | grep -c '"quartet": [0-9]' | grep -qx 8 || fail "the cluster gives no figures: $(tr '\r' '\n' <"$tmp/err" | tail -5)"
script="CREATE TABLE t (a INTEGER, b TEXT);
-- begin test 1 rows
INSERT INTO t VALUES (1, 'x'), (2, NULL); SELECT a / 3.0, b FROM t;
-- begin test 2 \"quoted\"
SELECT count(*) FROM t;"
for disk in "" --disk; do
    TMPDIR=$tmp "$bench" --json --runs 2 $disk --script - <<<"$script" >"$tmp/script" 2>/dev/null
    sqlite3 :memory: "SELECT count(*) FROM json_each(readfile('$tmp/script')) WHERE json_type(value, '$.quartet') IN ('integer', 'real')" | grep -qx 4 || fail "a script gives no figures $disk"
done
TMPDIR=$tmp "$bench" --runs 1 --script - <<<"SHOW TABLES;" >/dev/null 2>&1 && fail "what one side does not know passed"
"$bench" --runs 0 >/dev/null 2>&1
[ $? = 64 ] || fail "wrong arguments should end with status 64"
"$bench" no_such_name >/dev/null 2>&1
[ $? = 64 ] || fail "an unknown name should end with status 64"
[ "$failed" = 0 ] && echo "bench: all $(wc -w <<<"$names") names give figures"
exit "$failed"
