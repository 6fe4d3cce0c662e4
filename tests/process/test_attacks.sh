#!/usr/bin/env bash
# test_attacks.sh BIN - what a client with a valid key may try at a real node, and what lies in a backup: statements that want all memory or all time, names and paths that lead
# elsewhere, text that steers a terminal or forges a log line, a flood of connections beside commits. docs/SECURITY.md lists which test stands for which attack.
set -uo pipefail
bin=$1
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$bin/quartetd" init --dir "$tmp/c" --nodes 2 --port "$(free_port 2)" --http-port "$(free_port 2)" >/dev/null || die "init"
mkdir "$tmp/backups"
url=$(cat "$tmp/c/admin.url")
declare -A node
for k in 0 1; do
    "$bin/quartetd" --dir "$tmp/c/$k" --backup-dir "$tmp/backups" --die-with-parent >>"$tmp/$k.log" 2>&1 &
    node[$k]=$!
    started+=("$!")
done
well() { timeout 20 "$bin/quartetd" status "$url" >"$tmp/status" 2>&1; }
until_ok 20 well || die "the nodes do not come up: $(cat "$tmp/status")"
first=$(only "$url" "$(address "$url" 1)")
ask "$first" "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i, 'row ' || i FROM n" >/dev/null || die "load"
find "$tmp" -not -path "$tmp/c/?/*" | sort >"$tmp/before.files" # what a statement must add nothing to

rss() { sed -n 's/^VmRSS:[ \t]*\([0-9]*\) kB/\1/p' "/proc/${node[0]}/status"; }
refused() { # WHAT TEXT SQL: it fails, and says this
    local out
    out=$(timeout 60 "$bin/quartet" "$first" --format list -c "$3" 2>&1) && { fail "$1 succeeded: ${out:0:200}"; return; }
    grep -qiE -- "$2" <<<"$out" || fail "$1: ${out:0:300}"
}

# ---- all memory, all time ----
at_first=$(rss)
limits="SET memory_limit = 16; SET statement_timeout = 3000;"
refused "a recursion without end" "memory|timeout|time" "$limits WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
refused "a sort of everything by everything" "memory|timeout|time" "$limits SELECT a.v || b.v || c.v AS x FROM t a, t b, t c ORDER BY x"
refused "a text that doubles itself" "memory|limit|long|large|timeout" "$limits WITH RECURSIVE n(i, x) AS (SELECT 1, 'x' UNION ALL SELECT i + 1, x || x FROM n WHERE i < 60) SELECT max(length(x)) FROM n"
refused "group_concat of a product" "memory|limit|long|large|timeout|time" "$limits SELECT length(group_concat(a.v || b.v || c.v)) FROM t a, t b, t c"
started_at=$(date +%s%3N)
refused "a regular expression that looks back without end" "step|limit|match|complex|timeout" "$limits SELECT repeat('a', 40) || 'b' REGEXP '^(a+)+\$'"
ask "$first" "$limits SELECT replace(hex(zeroblob(20000)), '00', 'ab') LIKE '%a%a%a%a%a%a%a%a%a%a%a%a%c'" >/dev/null # may answer, may be cut off; not: take for ever
[ $(($(date +%s%3N) - started_at)) -lt 20000 ] || fail "patterns took $(($(date +%s%3N) - started_at)) ms"
deep=$(printf '(%.0s' $(seq 20000))1$(printf ')%.0s' $(seq 20000))
refused "20,000 parentheses" "depth|deep|nest|stack|complex" "SELECT $deep"
nots=$(printf 'NOT %.0s' $(seq 20000))
refused "20,000 NOT" "depth|deep|nest|stack|complex" "SELECT ${nots}1"
json=$(printf '[%.0s' $(seq 50000))
ask "$first" "SELECT json_valid('$json')" | grep -q '^[01]$' || ask "$first" "SELECT json_valid('$json')" | grep -qiE "depth|deep|nest" || fail "50,000 brackets: $(ask "$first" "SELECT json_valid('$json')" | cut -c1-200)"
grown=$(($(rss) - at_first))
[ "$grown" -lt 131072 ] || fail "the node holds $grown KiB more than at first"

# ---- names and paths that lead elsewhere ----
for name in "../x" "/tmp/x" ".." "a/b" "" "x\\y"; do
    refused "BACKUP TO '$name'" "name|path|director" "BACKUP TO '$name'"
done
refused "ATTACH" "not|support|syntax|near" "ATTACH DATABASE '$tmp/x' AS x"
refused "a COPY that the node would run" "COPY|file|such" "COPY t FROM '/nonexistent/x'"
ask "$first" "CREATE TABLE \"../../x\" (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO \"../../x\" VALUES (1, 'a'); CREATE INDEX \"/tmp/y\" ON \"../../x\" (v)" >"$tmp/out" || fail "a table named as a path: $(cat "$tmp/out")"
[ "$(ask "$first" "SELECT v FROM \"../../x\"")" = a ] || fail "a table named as a path cannot be read"
for name in quartet_objects quartet_closings quartet_forks quartet_settings; do
    refused "INSERT INTO $name" "system|read|cannot|such|not" "INSERT INTO $name VALUES (1, 2, 3)"
    refused "DROP TABLE $name" "system|cannot|such|not" "DROP TABLE $name"
    refused "DELETE FROM $name" "system|read|cannot|such|not" "DELETE FROM $name"
done

# ---- text that steers a terminal, or forges a line of the log ----
evil=$'\e]0;owned\a\e[2J\r2026-01-01T00:00:00Z ERROR node: forged'
ask "$first" "INSERT INTO t VALUES (5000, '$evil')" >/dev/null || fail "control characters are data"
refused "a message that holds it" "forged|near|such" "SELECT * FROM \"$evil\""
timeout 20 "$bin/quartet" "$first" -c "SELECT * FROM \"$evil\"" >"$tmp/out" 2>&1
grep -q $'\e' "$tmp/out" && fail "the shell writes an escape to the terminal: $(cat -v "$tmp/out")"
timeout 20 "$bin/quartet" verify "$url" nothing >"$tmp/out" 2>&1
timeout 20 "$bin/quartet" "${first/\/\//\/\/$(printf '%s' 'x%1b%5d')}" -c "SELECT 1" >"$tmp/out" 2>&1
grep -q $'\e' "$tmp/0.log" "$tmp/1.log" && fail "an escape got into the log"
grep -q "^2026-01-01T00:00:00Z" "$tmp/0.log" "$tmp/1.log" && fail "a line of the log was forged"

# ---- a flood of connections that say nothing, or a byte a second, beside commits ----
port=${first##*:}
port=${port%%/*}
flood() {
    local n fd
    for n in $(seq 400); do
        { exec {fd}<>"/dev/tcp/127.0.0.1/$port" && printf 'Q' >&"$fd"; } 2>/dev/null || break
    done
    pause 4
}
p99() { sort -n "$1" | awk '{ a[NR] = $1 } END { i = int(NR * 0.99); print a[i < 1 ? 1 : i] }'; }
commits() { # FILE: microseconds of each
    local n t
    for n in $(seq 40); do
        t=$(date +%s%N)
        timeout 20 "$bin/quartet" "$first" -c "UPDATE t SET v = 'c $n' WHERE id = $n" >/dev/null 2>>"$tmp/commit.errors" || echo failed >>"$tmp/commit.errors"
        echo $((($(date +%s%N) - t) / 1000))
    done >"$1"
}
(ulimit -n 1000; flood) &
flooding=$!
commits "$tmp/flooded"
kill -TERM $flooding 2>/dev/null
wait $flooding 2>/dev/null
[ ! -s "$tmp/commit.errors" ] || fail "commits of new sessions failed beside a flood: $(sort "$tmp/commit.errors" | uniq -c | head -3)"
echo "  a new session with a commit beside a flood: p99 $(p99 "$tmp/flooded") us"

# ---- what lies in a backup, and in the database's own files: no key that opens anything ----
ask "$first" "BACKUP TO 'monday'" >"$tmp/out" || fail "backup: $(cat "$tmp/out")"
for file in "$tmp/c/0/keys/node.key" "$tmp/c/admin.key" "$tmp/c/root.key"; do
    for secret in $(sed -n 's/^\(seed\|gate\)[ =:]*\([0-9a-f]\{32,\}\).*/\2/p' "$file"); do
        grep -rqF "$secret" "$tmp/backups" && fail "a backup holds the text of $file"
        raw=$(sed 's/../\\x&/g' <<<"${secret:0:32}")
        LC_ALL=C grep -rqP "$raw" "$tmp/backups" "$tmp/c/0/log" "$tmp/c/0/base.mdb" && fail "a key of $file lies in a backup or beside the data"
        checked=1
    done
done
[ "${checked:-0}" = 1 ] || fail "no secret was found to look for: $(sed 's/[0-9a-f]\{16,\}/.../g' "$tmp/c/0/keys/node.key")"
[ -z "$(find "$tmp/backups" -name 'node.key' -o -name keys)" ] || fail "a backup holds keys/"
for file in "$tmp/c/0/keys/node.key" "$tmp/c/root.key" "$tmp/c/admin.url" "$tmp/c/admin.key"; do
    [ "$(stat -c %a "$file")" = 600 ] || fail "others may read $file: $(stat -c %a "$file")"
done
chmod 644 "$tmp/c/1/keys/node.key"
kill -TERM "${node[1]}"
wait "${node[1]}"
timeout 20 "$bin/quartetd" --dir "$tmp/c/1" --die-with-parent >"$tmp/out" 2>&1 && fail "a node starts with a key that others may read"
grep -qi "others\|rights\|mode\|0600" "$tmp/out" || fail "it does not say why: $(cat "$tmp/out")"

find "$tmp" -not -path "$tmp/c/?/*" -not -path "$tmp/backups/monday*" -not -name '*.files' -not -name out -not -name flooded -not -name commit.errors -not -name status | sort >"$tmp/after.files"
grep -vE '\.files$|/out$|/status$' "$tmp/before.files" | diff - "$tmp/after.files" >"$tmp/out" || fail "files that no statement may make: $(cat "$tmp/out")"
[ "$(ask "$first" "SELECT count(*) FROM t")" = 1001 ] || fail "the node serves no more: $(ask "$first" "SELECT count(*) FROM t")"
[ $failed = 0 ] && echo "attacks: all refused, and served on"
exit $failed
