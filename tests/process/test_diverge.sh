#!/usr/bin/env bash
# test_diverge.sh BIN ALTER - a row that one of three nodes has otherwise than the others, as a mistake in merging would leave it: found within 10 s while all are written to, table named;
# quartet verify finds the row and no other; nothing is repaired. Before that nobody cries wolf.
set -uo pipefail
bin=$1 alter=$2
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
declare -A node

start() { # SLOT
    "$bin/quartetd" --dir "$tmp/c/$1" --die-with-parent >>"$tmp/$1.log" 2>&1 &
    node[$1]=$!
    started+=("$!")
}
at() { only "$url" "$(address "$url" $(($1 + 1)))"; } # SLOT: the URL of that node alone
well() { timeout 20 "$bin/quartetd" status "$url" >"$tmp/status" 2>&1; }
figure() { ask "$(at "$1")" "SHOW STATUS" | sed -n "s/^$2|//p"; } # SLOT NAME
compared() { [ "$(figure "$1" hash_comparisons)" -ge "$2" ]; }
alarmed() { [ "$(figure "$1" diverged)" = b ]; }

"$bin/quartetd" init --dir "$tmp/c" --nodes 3 --port "$(free_port 3)" --http-port "$(free_port 3)" >/dev/null || die "init"
url=$(cat "$tmp/c/admin.url")
for k in 0 1 2; do start $k; done
until_ok 20 well || die "the nodes do not come up: $(cat "$tmp/status")"
for t in a b c; do
    ask "$url" "CREATE TABLE $t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER COUNTER); INSERT INTO $t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i, 'row ' || i, 0 FROM n" >"$tmp/out" || die "load: $(cat "$tmp/out")"
done

# ---- a writer at each node: the same rows, again and again ----
touch "$tmp/writing"
write() { # SLOT
    local n=0
    while [ -e "$tmp/writing" ]; do
        n=$((n + 1))
        echo "UPDATE a SET v = 'w $1 $n', n = n + 1 WHERE id = $((n % 50 + 1));"
        echo "UPDATE b SET v = 'w $1 $n', n = n + 1 WHERE id BETWEEN $((n % 50 + 1)) AND $((n % 50 + 3));"
        echo "DELETE FROM c WHERE id = $((3000 + n % 7)); INSERT INTO c VALUES ($((3000 + n % 7)), 'again', 1) ON CONFLICT DO NOTHING;"
        [ $((n % 20)) != 0 ] || pause 0.01
    done | timeout 120 "$bin/quartet" "$(at "$1")" >"$tmp/writer.$1" 2>&1
}
for k in 0 1 2; do write $k & done

for k in 0 1 2; do until_ok 30 compared $k 4 || die "node $k compares nothing under load: $(ask "$(at $k)" "SHOW STATUS" | grep hash_)"; done
for k in 0 1 2; do [ "$(figure $k hash_differences)" = 0 ] || fail "node $k cries wolf: $(figure $k diverged)"; done
timeout 60 "$bin/quartet" verify "$url" >"$tmp/out" 2>&1 || fail "verify of equal nodes that are written to: $(cat "$tmp/out")"
grep -q "^3 nodes, 3 tables, as of stamp .*: no row differs$" "$tmp/out" || fail "verify says: $(cat "$tmp/out")"

# ---- one row of one node becomes another ----
kill -TERM "${node[1]}"
wait "${node[1]}"
"$alter" "$tmp/c/1" b 1700 v "not the same" || die "the row cannot be altered"
began=$(date +%s%3N)
start 1
for k in 0 1 2; do until_ok 20 alarmed $k || die "node $k raises no alarm: $(ask "$(at $k)" "SHOW STATUS" | grep -E "hash_|diverged")"; done
took=$(($(date +%s%3N) - began))
[ $took -le 10000 ] || fail "the alarm came after $took ms, start included"
for k in 0 1 2; do
    grep "DIVERGED: this node and node" "$tmp/$k.log" | grep -q "different rows in: b\. " || fail "node $k logs no alarm"
    grep "DIVERGED" "$tmp/$k.log" | grep -vq "rows in: b\. " && fail "node $k names more than is wrong: $(grep DIVERGED "$tmp/$k.log" | head -3)"
done
ask "$(at 0)" "SHOW CLUSTER" | grep "^1|" | grep -q "NO: DIVERGED in b" || fail "SHOW CLUSTER does not say it: $(ask "$(at 0)" "SHOW CLUSTER")"

timeout 60 "$bin/quartet" verify "$url" >"$tmp/out" 2>&1 && fail "verify finds nothing"
grep -q "^table b, key 1700: node 0 has (1700, row 1700, 0); node 1 has (1700, not the same, 0)$" "$tmp/out" || fail "verify: $(cat "$tmp/out")"
[ "$(grep -c "^table" "$tmp/out")" = 1 ] || fail "verify names other rows: $(cat "$tmp/out")"
timeout 60 "$bin/quartet" verify --json "$url" b >"$tmp/out" 2>&1
grep -q '{"table": "b", "nodes": \[0, 1\], "key": \["1700"\], "first": \["1700", "row 1700", "0"\], "second": \["1700", "not the same", "0"\]}' "$tmp/out" || fail "verify --json: $(cat "$tmp/out")"
[ "$(ask "$(at 1)" "SELECT v FROM b WHERE id = 1700")|$(ask "$(at 0)" "SELECT v FROM b WHERE id = 1700")" = "not the same|row 1700" ] || fail "somebody repaired it"

# ---- an operator writes what is right: the alarm ends ----
ask "$(at 1)" "UPDATE b SET v = 'settled' WHERE id = 1700" >/dev/null
calm() { [ "$(figure "$1" diverged_tables)" = 0 ]; }
for k in 0 1 2; do until_ok 20 calm $k || fail "node $k goes on: $(figure $k diverged)"; done
rm "$tmp/writing"
wait $(jobs -p | grep -v -e "${node[0]}" -e "${node[1]}" -e "${node[2]}")
[ $failed = 0 ] && echo "the alarm came $took ms after the start of the altered node"
exit $failed
