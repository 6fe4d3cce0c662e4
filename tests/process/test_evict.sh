#!/usr/bin/env bash
# test_evict.sh BIN - a node is taken out of a cluster for good: its chains are closed, it takes and gives nothing more, whenever it comes back, and its slot goes to a new node.
set -uo pipefail
bin=$1
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

at() { only "$(cat "$tmp/c/admin.url")" "$1"; } # ADDRESS: the URL of that node alone
well() { timeout 20 "$bin/quartetd" status "$(cat "$tmp/c/admin.url")" >"$tmp/status" 2>&1 && grep -q "^well: $1 of $1 " "$tmp/status"; }
stop() { kill -TERM "${node[$1]}" && wait "${node[$1]}"; }
logged() { grep -q "$2" "$tmp/$1.log"; } # NAME WHAT
alike() { # URL...: all of them show the same rows
    local first='' out u
    for u in "$@"; do
        out=$(ask "$u" "SELECT id, v FROM t ORDER BY id; SELECT id, n, free FROM stock ORDER BY id") || return 1
        [ -z "$first" ] || [ "$out" = "$first" ] || return 1
        first=$out
    done
}
# Chains of slot 2 on which not all of the members (a list of slots) say the same.
open_chains="SELECT count(*) FROM (SELECT incarnation FROM quartet_closings WHERE slot = 2 AND member IN (%s) GROUP BY incarnation HAVING count(*) <> %s OR min(number) <> max(number) OR min(successor) <> max(successor)) AS x"

"$bin/quartetd" init --dir "$tmp/c" --nodes 3 --port "$(free_port 3)" --http-port "$(free_port 3)" >/dev/null || die "init"
url=$(cat "$tmp/c/admin.url")
for k in 0 1 2; do
    start $k
    one[k]=$(at "$(address "$url" $((k + 1)))")
done
until_ok 20 well 3 || die "three nodes: $(cat "$tmp/status")"
ask "${one[0]}" "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0, free INTEGER COUNTER CHECK (free >= 0));
    INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i, 'row ' || i FROM n; INSERT INTO stock VALUES (1, 10, 0)" >"$tmp/out" || die "load: $(cat "$tmp/out")"
until_ok 10 answers "${one[2]}" "SELECT count(*) FROM stock" 1 || die "node 2 has not heard"
ask "${one[2]}" "UPDATE stock SET n = n + 5; INSERT INTO stock VALUES (2, 1, 40)" >/dev/null || die "node 2 does not write" # all the room of row 2 is node 2's
until_ok 10 answers "${one[0]}" "SELECT n FROM stock WHERE id = 1" 15 || die "node 0 has not heard"

# ---- what only node 2 has is lost with it ----
stop 0
stop 1
ask "${one[2]}" "INSERT INTO t VALUES (7000, 'nobody else has this'); UPDATE stock SET n = n + 1000 WHERE id = 1" >/dev/null || die "node 2 alone does not write"
kill -KILL "${node[2]}"
wait "${node[2]}" 2>/dev/null
cp -r "$tmp/c/2" "$tmp/c/copy"
start 0
start 1
until_ok 20 answers "${one[1]}" "SELECT count(*) FROM t" 500 || die "nodes 0 and 1 do not serve"

# ---- it is evicted while it is down ----
member evict 2
grep -q "node 2 is evicted" "$tmp/member" || fail "evict says: $(cat "$tmp/member")"
give 1
until_ok 30 well 2 || die "after the eviction: $(cat "$tmp/status")"
"$bin/quartetd" member "$tmp/c" evict 2 >"$tmp/out" 2>&1 && fail "it was evicted twice"
grep -q "there is no node 2" "$tmp/out" || fail "evicting it again says: $(cat "$tmp/out")"
chains=$(ask "${one[0]}" "SELECT count(DISTINCT incarnation) FROM quartet_closings WHERE slot = 2")
# shellcheck disable=SC2059
until_ok 20 answers "${one[0]}" "$(printf "$open_chains" 0,1 2)" 0 || fail "chains of node 2 stay open: $(ask "${one[0]}" "SELECT * FROM quartet_closings WHERE slot = 2")"
until_ok 20 answers "${one[0]}" "SELECT count(*) >= 1 FROM quartet_closings WHERE slot = 2 AND member = 1" 1 || fail "node 1 says nothing of node 2's chains ($chains)"
ask "${one[0]}" "INSERT INTO t VALUES (501, 'after')" >/dev/null || fail "node 0 takes no writes"
until_ok 10 answers "${one[1]}" "SELECT v FROM t WHERE id = 501" after || fail "node 1 does not hear of node 0"

# ---- it comes back, with the membership that it knew ----
start 2
until_ok 20 logged 2 "was evicted from the cluster by membership 2" || die "node 2 was not told"
until_ok 20 logged 2 "it takes no writes" || die "node 2 does not say that it is out"
ask "${one[2]}&timeout=2000" "INSERT INTO t VALUES (7001, 'too late')" >"$tmp/out" && fail "an evicted node takes writes"
grep -q "was evicted" "$tmp/out" || fail "a refused write says: $(cat "$tmp/out")"
answers "${one[2]}" "SELECT v FROM t WHERE id = 7000" "nobody else has this" || fail "an evicted node cannot be read"
answers "${one[2]}" "SELECT count(*) FROM t WHERE id = 501" 0 || fail "an evicted node hears of what others write"
until_ok 10 logged 0 "it is refused" || until_ok 10 logged 1 "it is refused" || fail "the others say nothing of its return"
stop 2
"$bin/quartetd" --dir "$tmp/c/2" >"$tmp/out" 2>&1 && fail "it starts again as a member"
grep -q "was evicted from the cluster by membership 2" "$tmp/out" || fail "its second start says: $(cat "$tmp/out")"
"$bin/quartet" dump "$tmp/c/2" >"$tmp/dump" 2>&1 && grep -q "nobody else has this" "$tmp/dump" || fail "it cannot be dumped: $(tail -n 3 "$tmp/dump")"

# ---- a new node gets the slot ----
mv "$tmp/c/2" "$tmp/c/evicted"
member add-node "127.0.0.1:$(free_port)" "127.0.0.1:$(free_port)"
grep -q "a new node 2 " "$tmp/member" || fail "the new node gets another slot: $(cat "$tmp/member")"
give 0
start 2
until_ok 40 well 3 || die "the new node 2 does not join: $(cat "$tmp/status")"
one[2]=$(at "$(address "$(cat "$tmp/c/admin.url")" 3)")
until_ok 20 answers "${one[2]}" "SELECT count(*) FROM t" 501 || fail "the new node has $(ask "${one[2]}" "SELECT count(*) FROM t") rows"
answers "${one[2]}" "SELECT n FROM stock WHERE id = 1" 15 || fail "the new node counts $(ask "${one[2]}" "SELECT n FROM stock WHERE id = 1")"
ask "${one[2]}" "INSERT INTO t VALUES (502, 'by the new one'); UPDATE stock SET n = n + 1 WHERE id = 1" >"$tmp/out" || fail "the new node takes no writes: $(cat "$tmp/out")"
until_ok 10 answers "${one[1]}" "SELECT n FROM stock WHERE id = 1" 16 || fail "the new node's change does not count"
# shellcheck disable=SC2059
until_ok 20 answers "${one[0]}" "$(printf "$open_chains" 0,1,2 3)" 0 || fail "chains of the evicted node stay open: $(ask "${one[0]}" "SELECT * FROM quartet_closings WHERE slot = 2")"
spend() { ask "${one[0]}" "UPDATE stock SET free = free - 40 WHERE id = 2" >"$tmp/out"; } # the room that was the evicted node's goes on with its slot
until_ok 20 spend || fail "what the evicted node might have taken is lost: $(cat "$tmp/out")"

# ---- the old one again, from a copy that was never told ----
start 3 copy
until_ok 20 logged copy "was evicted from the cluster by membership 2" || fail "the copy of the evicted node was not told"
until_ok 20 alike "${one[0]}" "${one[1]}" "${one[2]}" || fail "the nodes differ"
answers "${one[0]}" "SELECT count(*) FROM t WHERE id >= 7000" 0 || fail "what an evicted node wrote comes back"
until_ok 20 well 3 || fail "at the end: $(cat "$tmp/status")"

# ---- four is the most; and what an evicted node signed stays valid ----
member add-node "127.0.0.1:$(free_port)"
"$bin/quartetd" member "$tmp/c" add-node 127.0.0.1:1 >"$tmp/out" 2>&1 && fail "a fifth node is taken"
grep -q "at most 4 nodes" "$tmp/out" || fail "a fifth node: $(cat "$tmp/out")"
stop 1
"$bin/quartet" verify "$tmp/c/1" >"$tmp/out" 2>&1 || fail "verify: $(cat "$tmp/out")"
[ "$failed" = 0 ] && echo "evict: a node was taken out, came back twice and was refused; its slot has a new node"
exit "$failed"
