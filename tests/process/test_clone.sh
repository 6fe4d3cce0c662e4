#!/usr/bin/env bash
# test_clone.sh BIN TOOLS - a copy of a node's directory runs beside the original, with the same keys, at another address. First one that is as the original was: it takes the slot over,
# and the original writes no more. Then one that lost its last signatures: both sign the same commits, in other batches, which is proof of two histories, and the slot is frozen.
set -uo pipefail
bin=$1
tools=$2
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
declare -A node one

start() { # CLUSTER DIRECTORY
    "$bin/quartetd" --dir "$tmp/$1/$2" --die-with-parent >>"$tmp/$1-$2.log" 2>&1 &
    node[$1$2]=$!
    started+=("$!")
}
logged() { grep -q "$2" "$tmp/$1.log"; } # NAME WHAT
# Three nodes, and in $tmp/CLUSTER/moved.qm a membership of the same number, in which node 2 has another address: its copy's.
begin() { # CLUSTER
    local url k
    "$bin/quartetd" init --dir "$tmp/$1" --nodes 3 --port "$(free_port 3)" --http-port "$(free_port 3)" >/dev/null || die "init"
    cp -r "$tmp/$1" "$tmp/$1-other"
    "$bin/quartetd" member "$tmp/$1" zone 2 west >/dev/null || die "zone"
    "$bin/quartetd" member "$tmp/$1-other" address 2 "127.0.0.1:$(free_port)" "127.0.0.1:$(free_port)" >/dev/null || die "address"
    cp "$tmp/$1-other/member.qm" "$tmp/$1/moved.qm"
    url=$(cat "$tmp/$1/admin.url")
    for k in 0 1 2; do
        cp "$tmp/$1/member.qm" "$tmp/$1/$k/keys/member.qm"
        one[$1$k]=$(only "$url" "$(address "$url" $((k + 1)))")
        start "$1" $k
    done
    one[$1copy]=$(only "$url" "$(address "$(cat "$tmp/$1-other/admin.url")" 3)")
    for k in 0 1 2; do
        until_ok 20 answers "${one[$1$k]}" "SELECT 1" 1 || die "$1: node $k does not answer"
    done
    ask "${one[${1}2]}" "CREATE TABLE keyed (id INTEGER PRIMARY KEY, who TEXT); CREATE TABLE count (id INTEGER PRIMARY KEY, n INTEGER COUNTER); INSERT INTO count VALUES (1, 0)" >"$tmp/out" || die "$1: $(cat "$tmp/out")"
    for k in 1 2 3 4 5; do
        ask "${one[${1}2]}" "INSERT INTO keyed (who) VALUES ('before')" >/dev/null || die "$1: node 2 does not write"
    done
    for k in 0 1; do
        until_ok 20 answers "${one[$1$k]}" "SELECT count(*) FROM keyed" 5 || die "$1: node $k has not heard"
    done
}
copy() { # CLUSTER: as the disk is at this moment
    kill -STOP "${node[${1}2]}"
    cp -r "$tmp/$1/2" "$tmp/$1/copy"
    kill -CONT "${node[${1}2]}"
    cp "$tmp/$1/moved.qm" "$tmp/$1/copy/keys/member.qm"
}
alike() { # URL...: all of them show the same rows
    local first='' out u
    for u in "$@"; do
        out=$(ask "$u" "SELECT id, who FROM keyed ORDER BY id; SELECT n FROM count") || return 1
        [ -z "$first" ] || [ "$out" = "$first" ] || return 1
        first=$out
    done
}

# ---- the copy takes the slot over ----
begin a
copy a
start a copy
until_ok 20 answers "${one[acopy]}" "SELECT count(*) FROM keyed" 5 || die "the copy does not serve"
n=0 # the original goes on, until it hears of the copy
writes() { ask "${one[a2]}&timeout=3000" "INSERT INTO keyed (who) VALUES ('original')" >"$tmp/out" && n=$((n + 1)); }
refuses() { ! writes && grep -q "taken over or restored elsewhere" "$tmp/out"; }
until_ok 40 refuses || die "the original writes on beside its copy: $(cat "$tmp/out")"
logged a-2 "another process runs this node's slot" || fail "the original's log does not say why"
until_ok 20 answers "${one[a0]}" "SELECT count(*) > 0 FROM quartet_closings WHERE slot = 2 AND member = 1" 1 || fail "no chain is closed"
for k in 1 2 3 4 5 6 7 8; do
    ask "${one[acopy]}" "INSERT INTO keyed (who) VALUES ('copy $k'); UPDATE count SET n = n + 1" >"$tmp/out" || fail "the copy does not write: $(cat "$tmp/out")"
done
ask "${one[a0]}" "INSERT INTO keyed (who) VALUES ('node 0'); UPDATE count SET n = n + 1" >/dev/null || fail "node 0 does not write"
until_ok 20 alike "${one[a0]}" "${one[a1]}" "${one[acopy]}" || fail "a: the nodes differ"
answers "${one[a1]}" "SELECT count(*) FROM keyed WHERE who LIKE 'copy %' OR who IN ('before', 'node 0')" 14 || fail "rows are lost, or two were given one key: $(ask "${one[a1]}" "SELECT * FROM keyed")"
answers "${one[a1]}" "SELECT n FROM count" 9 || fail "the counter is $(ask "${one[a1]}" "SELECT n FROM count")"
has=$(ask "${one[a1]}" "SELECT count(*) FROM keyed WHERE who = 'original'")
[ "$has" -le "$n" ] || fail "of $n rows that the original wrote the others have $has"
logged a-0 "signed two histories" && fail "a copy that signs nothing of the original's is taken for a fork"
refuses || fail "the original writes again: $(cat "$tmp/out")"
answers "${one[a2]}" "SELECT count(*) FROM keyed WHERE who = 'original'" "$n" || fail "the original cannot be read"
until_ok 20 answers "${one[acopy]}" "SELECT count(*) FROM keyed WHERE who LIKE 'copy %'" 8 || fail "the copy lost rows"
for k in 0 1 2 copy; do kill -KILL "${node[a$k]}" && wait "${node[a$k]}" 2>/dev/null; done

# ---- a copy without its last signatures: a fork ----
begin b
copy b
"$tools/process-unsign" "$tmp/b/copy" 3 >"$tmp/out" 2>&1 || die "$(cat "$tmp/out")"
start b copy
for k in 0 1 2 copy; do
    until_ok 40 logged "b-$k" "slot 2 has signed two histories" || fail "node $k does not find the fork"
done
for k in 0 1; do
    until_ok 20 answers "${one[b$k]}" "SELECT count(DISTINCT member) >= 2 FROM quartet_forks WHERE slot = 2" 1 || fail "node $k has not the proof of both members"
    until_ok 20 answers "${one[b$k]}" "SELECT count(*) FROM keyed WHERE who = 'before'" 5 || fail "node $k: what was taken before is gone"
    ask "${one[b$k]}" "SHOW CLUSTER" | grep -q "frozen: signed two histories" || fail "node $k does not show the slot as frozen"
    ask "${one[b$k]}" "INSERT INTO keyed (who) VALUES ('node $k'); UPDATE count SET n = n + 1" >"$tmp/out" || fail "node $k takes no writes: $(cat "$tmp/out")"
done
for k in 2 copy; do
    ask "${one[b$k]}&timeout=3000" "INSERT INTO keyed (who) VALUES ('frozen')" >"$tmp/out" && fail "$k takes writes though its slot is frozen"
    grep -q "slot is frozen" "$tmp/out" || fail "$k refuses a write with: $(cat "$tmp/out")"
done
until_ok 20 alike "${one[b0]}" "${one[b1]}" || fail "b: the nodes differ"
answers "${one[b1]}" "SELECT count(*) FROM keyed WHERE who LIKE 'node %'" 2 || fail "b: rows are lost"
answers "${one[b1]}" "SELECT count(*) FROM keyed WHERE who = 'frozen'" 0 || fail "b: something of a frozen slot is taken"

# ---- the way back: the frozen node is evicted, and its slot given to a new one, with a key of its own ----
give() { # NODE: the new membership
    cp "$tmp/b/member.qm" "$tmp/b/$1/keys/member.qm.new" && mv "$tmp/b/$1/keys/member.qm.new" "$tmp/b/$1/keys/member.qm" && kill -HUP "${node[b$1]}"
}
well() { timeout 20 "$bin/quartetd" status "$(cat "$tmp/b/admin.url")" >"$tmp/status" 2>&1 && grep -q "^well: $1 of $1 " "$tmp/status"; }
for k in 2 copy; do kill -KILL "${node[b$k]}" && wait "${node[b$k]}" 2>/dev/null; done
"$bin/quartetd" member "$tmp/b" evict 2 >/dev/null || die "evict"
give 1
until_ok 40 well 2 || die "after the eviction of the frozen node: $(cat "$tmp/status")"
mv "$tmp/b/2" "$tmp/b/frozen"
"$bin/quartetd" member "$tmp/b" add-node "127.0.0.1:$(free_port)" "127.0.0.1:$(free_port)" >/dev/null || die "add-node"
give 0
start b 2
until_ok 60 well 3 || die "a new node in the frozen slot: $(cat "$tmp/status")"
url=$(cat "$tmp/b/admin.url")
one[b2]=$(only "$url" "$(address "$url" 3)")
until_ok 20 answers "${one[b2]}" "SELECT count(*) FROM keyed" 7 || fail "the new node has $(ask "${one[b2]}" "SELECT count(*) FROM keyed") rows"
ask "${one[b2]}" "INSERT INTO keyed (who) VALUES ('thawed'); UPDATE count SET n = n + 1" >"$tmp/out" || fail "the new node takes no writes: $(cat "$tmp/out")"
until_ok 20 answers "${one[b0]}" "SELECT count(*) FROM keyed WHERE who = 'thawed'" 1 || fail "the others take nothing from the new node"
until_ok 20 alike "${one[b0]}" "${one[b1]}" "${one[b2]}" || fail "b: the nodes differ in the end"
wrote=$(ask "${one[b0]}" "SHOW STATUS" | sed -n 's/^commits|//p')
[ "${wrote:-1000000}" -lt 300 ] || fail "node 0 has committed $wrote times: of a fork it tells once, also when the slot has another key"
[ "$failed" = 0 ] && echo "clone: a copy beside the original took the slot over ($n rows of the original's, $has came to the others); one that had lost its last signatures was found out by all"
exit "$failed"
