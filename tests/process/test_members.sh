#!/usr/bin/env bash
# test_members.sh BIN - a cluster that grows while it is written to: two nodes, a third and a fourth one join, a fifth is refused; a node moves to another port; clients come and go.
set -uo pipefail
bin=$1
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

at() { only "$(cat "$tmp/c/admin.url")" "$1"; } # ADDRESS: the URL of that node alone
well() { timeout 20 "$bin/quartetd" status "$(cat "$tmp/c/admin.url")" >"$tmp/status" 2>&1 && grep -q "^well: $1 of $1 " "$tmp/status"; }

"$bin/quartetd" init --dir "$tmp/c" --nodes 2 --port "$(free_port 2)" --http-port "$(free_port 2)" >/dev/null || die "init"
start 0
start 1
until_ok 20 well 2 || die "two nodes: $(cat "$tmp/status")"
url=$(cat "$tmp/c/admin.url")
ask "$url" "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i, 'row ' || i FROM n" >"$tmp/out" || die "load: $(cat "$tmp/out")"

# ---- a writer that never stops: nothing of what follows may fail a write ----
touch "$tmp/writing"
(
    n=0
    while [ -e "$tmp/writing" ]; do
        n=$((n + 1))
        timeout 20 "$bin/quartet" "$url" -c "INSERT INTO t VALUES ($((1000000 + n)), 'w')" >>"$tmp/writer" 2>&1 && echo "$n" >"$tmp/written" || echo "write $n failed" >>"$tmp/writer.failed"
    done
) &
writer=$!

# ---- two more nodes, one after the other ----
for slot in 2 3; do
    member add-node "127.0.0.1:$(free_port)" "127.0.0.1:$(free_port)"
    give $((slot % 2))
    start "$slot"
    until_ok 30 well $((slot + 1)) || die "node $slot does not join: $(cat "$tmp/status" "$tmp/member" "$tmp"/*.log | tail -40)"
done
for k in 0 1 2 3; do
    [ "$(cmp "$tmp/c/member.qm" "$tmp/c/$k/keys/member.qm" 2>&1)" = "" ] || die "node $k has another membership"
done
out=$("$bin/quartetd" member "$tmp/c" add-node 127.0.0.1:1 2>&1)
[ $? = 1 ] && grep -q "at most 4 nodes" <<<"$out" || die "a fifth node: $out"
third=$(at "$(address "$(cat "$tmp/c/admin.url")" 3)")
until_ok 10 answers "$third" "SELECT count(*) FROM t WHERE id <= 5000" 5000 || die "node 2 has not all rows: $(ask "$third" "SELECT count(*) FROM t")"
ask "$third" "INSERT INTO t VALUES (2000000, 'by the third')" >/dev/null || die "node 2 takes no writes"

# ---- a node moves ----
old=$(address "$(cat "$tmp/c/admin.url")" 2)
new=127.0.0.1:$(free_port)
member address 1 "$new" "127.0.0.1:$(free_port)"
give 1
until_ok 30 well 4 || die "after node 1 moved: $(cat "$tmp/status" "$tmp/1.log" | tail -30)"
grep -q "$new" "$tmp/status" || die "status does not know the new address: $(cat "$tmp/status")"
until_ok 10 answers "$(at "$new")" "SELECT v FROM t WHERE id = 2000000" 'by the third' || die "node 1 at its new address"
ask "$(at "$old")&timeout=300" "SELECT 1" >/dev/null && die "node 1 still answers at its old address"

# ---- clients come and go ----
member zone 0 west
member add-client anna
anna=$(cat "$tmp/c/anna.url") && [ -n "$anna" ] || die "no URL of the new client"
give 0
until_ok 20 answers "$anna" "SELECT count(*) FROM t WHERE id = 2000000" 1 || die "the new client: $(ask "$anna" "SELECT 1")"
member remove-client anna
give 3
refused() { ! ask "$anna&timeout=300" "SELECT 1" >"$tmp/out" && grep -q "unknown client key" "$tmp/out"; }
until_ok 20 refused || die "a removed client is let in: $(cat "$tmp/out")"
"$bin/quartetd" member "$tmp/c" remove-client admin >/dev/null 2>&1 && die "admin was removed"
"$bin/quartetd" member "$tmp/c" zone 9 x >/dev/null 2>&1
[ $? = 64 ] || die "slot 9 is no usage error"

# ---- the writer saw nothing of all this ----
rm "$tmp/writing"
wait "$writer"
[ -s "$tmp/written" ] && [ ! -e "$tmp/writer.failed" ] || die "writes failed: $(cat "$tmp/writer.failed" "$tmp/writer" 2>/dev/null | tail -5)"
until_ok 20 well 4 || die "at the end: $(cat "$tmp/status")"
written=$(cat "$tmp/written")
until_ok 10 answers "$(at "$new")" "SELECT count(*) FROM t WHERE id > 1000000 AND id < 2000000" "$written" || die "of $written writes node 1 has $(ask "$(at "$new")" "SELECT count(*) FROM t WHERE id > 1000000 AND id < 2000000")"
echo "members: two nodes became four, one moved, clients came and went; $written writes meanwhile, none failed"
