#!/usr/bin/env bash
# test_new_key.sh BIN - a node gets another key while it is written to: no write fails or is lost, whatever it had not told yet; a thief with the old key and all of the old directory is refused, and
# what he signs is taken by nobody.
set -uo pipefail
bin=$1
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

at() { only "$url" "$(address "$url" $(($1 + 1)))"; } # SLOT: the URL of that node alone
well() { timeout 20 "$bin/quartetd" status "$url" >"$tmp/status" 2>&1 && grep -q "^well: $1 of $1 " "$tmp/status"; }
logged() { grep -q "$2" "$tmp/$1.log"; } # NAME WHAT

"$bin/quartetd" init --dir "$tmp/c" --nodes 3 --port "$(free_port 3)" --http-port "$(free_port 3)" >/dev/null || die "init"
url=$(cat "$tmp/c/admin.url")
for k in 0 1 2; do start $k; done
until_ok 20 well 3 || die "three nodes: $(cat "$tmp/status")"
ask "$url" "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)" >/dev/null || die "a table"
until_ok 10 answers "$(at 1)" "SELECT count(*) FROM t" 0 || die "node 1 has no table"
until_ok 10 answers "$(at 2)" "SELECT count(*) FROM t" 0 || die "node 2 has no table"
ask "$(at 1)" "INSERT INTO t VALUES (1, 'by the old key')" >/dev/null || die "node 1 takes no writes"

# ---- a writer that prefers node 1, and goes to others only while that starts anew ----
touch "$tmp/writing"
own="${url/@*\//@$(address "$url" 2),$(address "$url" 1)/}"
(
    n=0
    while [ -e "$tmp/writing" ]; do
        n=$((n + 1))
        timeout 20 "$bin/quartet" "$own" -c "INSERT INTO t VALUES ($((1000 + n)), 'w')" >>"$tmp/writer" 2>&1 && echo "$n" >>"$tmp/written" || echo "write $n failed" >>"$tmp/writer.failed"
    done
) &
writer=$!
touch "$tmp/written"
written() { wc -l <"$tmp/written"; }
writes() { [ "$(written)" -ge "$1" ]; }
until_ok 20 writes 5 || die "the writer does not begin: $(cat "$tmp/writer")"

cp -r "$tmp/c/1" "$tmp/c/thief"
"$bin/quartetd" member "$tmp/c" new-key 1 >"$tmp/member" 2>&1 || die "new-key: $(cat "$tmp/member")"
grep -q "a new key for node 1" "$tmp/member" || fail "new-key says: $(cat "$tmp/member")"
[ "$(stat -c %a "$tmp/c/node-1.key")" = 600 ] || fail "others may read the new key"
mv "$tmp/c/node-1.key" "$tmp/c/1/keys/node.key.next"
old=$(cat "$tmp/c/1/keys/node.key")
give 0
until_ok 30 logged 1 "slot 1 has its new key from now on" || die "node 1 does not take its new key: $(tail -5 "$tmp/1.log")"
until_ok 30 well 3 || die "with the new key: $(cat "$tmp/status" "$tmp/1.log" | tail -20)"
[ -e "$tmp/c/1/keys/node.key.next" ] && fail "the next key is still there"
[ "$(cat "$tmp/c/1/keys/node.key")" != "$old" ] || fail "the old key is still in use"
until_ok 20 writes $(($(written) + 5)) || fail "the writer has stopped"
rm "$tmp/writing"
wait "$writer"
[ ! -e "$tmp/writer.failed" ] || fail "writes failed: $(sort "$tmp/writer.failed" | head -3; grep error "$tmp/writer" | head -3)"
ask "$(at 1)" "INSERT INTO t VALUES (2, 'by the new key')" >/dev/null || fail "node 1 takes no writes with its new key"
all=$(($(written) + 2))
for k in 0 1 2; do until_ok 20 answers "$(at $k)" "SELECT count(*) FROM t" $all || fail "node $k has $(ask "$(at $k)" "SELECT count(*) FROM t") of $all rows"; done

# ---- the thief: the old directory and the old key, at an address that is free for the moment ----
kill -TERM "${node[1]}"
wait "${node[1]}"
start 9 thief
until_ok 20 logged thief "it takes no writes" || fail "nobody tells the thief: $(tail -3 "$tmp/thief.log")"
timeout 20 "$bin/quartet" "$(at 1)&timeout=3000" -c "INSERT INTO t VALUES (3, 'stolen')" >"$tmp/out" 2>&1 && fail "the thief's node takes writes"
kill -KILL "${node[thief]}" 2>/dev/null
wait "${node[thief]}" 2>/dev/null
start 1
until_ok 30 well 3 || die "after the thief: $(cat "$tmp/status")"
for k in 0 1 2; do answers "$(at $k)" "SELECT count(*) FROM t WHERE id = 3" 0 || fail "what the thief wrote is at node $k"; done

# ---- a node of which everything is lost but its new keys gets all of it back, old signatures included ----
kill -TERM "${node[2]}"
wait "${node[2]}"
mkdir "$tmp/c/new" && mv "$tmp/c/2/keys" "$tmp/c/new/keys" && rm -rf "$tmp/c/2" && mv "$tmp/c/new" "$tmp/c/2"
start 2
until_ok 30 answers "$(at 2)" "SELECT count(*) FROM t" $all || fail "an empty node gets $(ask "$(at 2)" "SELECT count(*) FROM t") of $all rows"
kill -TERM "${node[2]}"
wait "${node[2]}"
"$bin/quartet" verify "$tmp/c/2" >"$tmp/out" 2>&1 || fail "verify: $(cat "$tmp/out")"
[ $failed = 0 ] && echo "new key: $all rows, none lost; the old key opens nothing"
exit $failed
