#!/usr/bin/env bash
# test_upgrade.sh BIN NEXT - a rolling upgrade. NEXT is a quartetd that plays the version after this one (base/level.h): its operations have other codes, its status has one
# field more. Four nodes of this version are written to without pause and replaced by it one after the other, one goes back in between; no write fails. What only the next version
# knows is written once all four run it, and from then on this version is refused: its directory is not opened, and with an empty one nobody talks to it, and it says why.
set -uo pipefail
bin=$1 next=$2
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

at() { only "$url" "$(address "$url" $(($1 + 1)))"; } # SLOT: the URL of that node alone
well() { timeout 20 "$bin/quartetd" status "$url" >"$tmp/status" 2>&1 && grep -q "^well: $1 of $1 " "$tmp/status"; }
figure() { ask "$(at "$1")" "SHOW STATUS" | sed -n "s/^$2|//p"; } # SLOT NAME
is() { [ "$(figure "$1" "$2")" = "$3" ]; }                        # SLOT NAME VALUE
logged() { grep -q "$2" "$tmp/$1.log"; }                          # NAME WHAT
speaks() { ask "$(at "$1")" "SHOW PEERS" | grep -q "^$2|[^|]*|up|.*|$3|1 to $3|"; } # SLOT PEER LEVEL
start_next() { # SLOT [DIRECTORY]
    "$next" --dir "$tmp/c/${2:-$1}" --die-with-parent >>"$tmp/${2:-$1}.log" 2>&1 &
    node[${2:-$1}]=$!
    started+=("$!")
}
replace() { # SLOT PROGRAM: start or start_next
    kill -TERM "${node[$1]}"
    wait "${node[$1]}" || fail "node $1 ends with status $?"
    "$2" "$1"
    until_ok 20 well 4 || die "node $1, started anew by $2: $(cat "$tmp/status")"
}

"$bin/quartetd" init --dir "$tmp/c" --nodes 4 --port "$(free_port 4)" --http-port "$(free_port 4)" >/dev/null || die "init"
url=$(cat "$tmp/c/admin.url")
for k in 0 1 2 3; do start $k; done
until_ok 20 well 4 || die "four nodes: $(cat "$tmp/status")"
ask "$url" "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER COUNTER DEFAULT 0); INSERT INTO t (id) VALUES (0)" >/dev/null || die "a table"
old_level=$(figure 0 operations_level)
next_level=3
touch "$tmp/old.log"; cp -r "$tmp/c/3" "$tmp/c/old" || die "a copy" # as it was before all this: of a running node, but only its keys are used

# ---- a writer that never stops, of many sessions: each begins with a node by chance ----
touch "$tmp/writing" "$tmp/written"
(
    n=0
    while [ -e "$tmp/writing" ]; do
        n=$((n + 1))
        timeout 20 "$bin/quartet" "${url}&route=random" -c "INSERT INTO t (id, v) VALUES ($n, 'w'); UPDATE t SET n = n + 1 WHERE id = 0" >>"$tmp/writer" 2>&1 && echo "$n" >>"$tmp/written" || echo "write $n failed" >>"$tmp/writer.failed"
    done
) &
writer=$!
writes() { [ "$(wc -l <"$tmp/written")" -ge "$1" ]; }
until_ok 20 writes 5 || die "the writer does not begin: $(cat "$tmp/writer")"

# ---- three of four, one of them back again, then all ----
replace 0 start_next
replace 1 start_next
until_ok 10 speaks 0 1 $next_level || fail "two nodes of the next version speak an older level: $(ask "$(at 0)" "SHOW PEERS")"
own_level() { ask "$(at 0)" "SHOW PEERS" | awk -F'|' -v slot="$1" '$1 == slot { split($9, to, " "); ok = $3 == "up" && $8 == to[3] && $8 < '$next_level' } END { exit !ok }'; } # SLOT
until_ok 10 own_level 2 || fail "a node of this version is not spoken to in its own level: $(ask "$(at 0)" "SHOW PEERS")"
replace 1 start
replace 2 start_next
replace 3 start_next
for k in 0 1 2 3; do is $k operations_level "$old_level" || fail "with node 1 at this version node $k uses level $(figure $k operations_level)"; done
for k in 0 2 3; do ask "$(at $k)" "UPDATE t SET v = 'before' WHERE id = 0" >/dev/null && is $k written_level "$old_level" || fail "node $k writes level $(figure $k written_level) too early"; done
timeout 20 "$bin/quartetd" doctor "$url" >"$tmp/doctor" 2>&1
grep -q "speaks levels up to" "$tmp/doctor" || fail "doctor does not tell of different versions: $(cat "$tmp/doctor")"
for k in 0 2 3; do [ ! -e "$tmp/c/$k/level" ] || fail "node $k has a level file"; done
replace 1 start_next
for k in 0 1 2 3; do until_ok 10 is $k operations_level $next_level || die "node $k does not use the new level: $(tail -5 "$tmp/$k.log")"; done
for k in 0 1 2 3; do
    ask "$(at $k)" "UPDATE t SET v = 'after' WHERE id = 0" >/dev/null && is $k written_level $next_level || fail "node $k does not write the new level"
    [ "$(cat "$tmp/c/$k/level")" = "quartet level $next_level" ] || fail "node $k does not remember it: $(cat "$tmp/c/$k/level")"
done
until_ok 20 writes $(($(wc -l <"$tmp/written") + 5)) || fail "the writer has stopped"
rm "$tmp/writing"
wait "$writer"
[ ! -e "$tmp/writer.failed" ] || fail "writes failed: $(head -3 "$tmp/writer.failed"; grep error "$tmp/writer" | head -3)"
written=$(wc -l <"$tmp/written")
for k in 0 1 2 3; do until_ok 20 answers "$(at $k)" "SELECT count(*) - 1, max(n) FROM t" "$written|$written" || fail "node $k has $(ask "$(at $k)" "SELECT count(*) - 1, max(n) FROM t") of $written writes"; done

# ---- this version again: not in its own directory, and not with an empty one ----
kill -TERM "${node[3]}"
wait "${node[3]}"
"$bin/quartetd" --dir "$tmp/c/3" >"$tmp/out" 2>&1 && fail "an older version opens the directory"
grep -q "holds operations of level $next_level, and this build (version .*) knows those up to" "$tmp/out" || fail "an older version says: $(cat "$tmp/out")"
rm -rf "$tmp/c/old/"[!k]* && ls "$tmp/c/old/keys/node.key" >/dev/null || die "the old keys"
start 3 old
until_ok 20 logged old "this node's version is too old: the cluster uses operations of level $next_level" || fail "the older version does not say why it is alone: $(tail -3 "$tmp/old.log")"
until_ok 20 logged 0 "no link with slot 3: the version of slot 3 is too old" || fail "node 0 does not say why: $(tail -3 "$tmp/0.log")"
answers "$(at 3)" "SELECT count(*) FROM quartet_conflicts" 0 || fail "the older version does not answer its clients"
refused() { ask "$(at 0)" "SHOW PEERS" | grep -q "^3|.*|refused|.*too old"; } # what it shows is looked up every now and then
until_ok 10 refused || fail "SHOW PEERS does not tell: $(ask "$(at 0)" "SHOW PEERS")"
timeout 20 "$bin/quartetd" doctor "$url" >"$tmp/doctor" 2>&1 && fail "doctor finds nothing"
grep -q "WRONG.*node 3.*too old" "$tmp/doctor" || fail "doctor does not tell of the refused node: $(cat "$tmp/doctor")"
grep -q "sent something invalid" "$tmp"/*.log && fail "an older version is taken for a liar: $(grep -h "sent something invalid" "$tmp"/*.log | head -3)"
kill -KILL "${node[old]}" 2>/dev/null
wait "${node[old]}" 2>/dev/null

# ---- an old directory with the new version takes the level over, and what others wrote in it ----
start_next 3 old
until_ok 30 answers "$(at 3)" "SELECT count(*) - 1, max(n) FROM t" "$written|$written" || fail "the new version in an empty directory has $(ask "$(at 3)" "SELECT count(*) - 1, max(n) FROM t")"
is 3 operations_level $next_level || fail "it uses level $(figure 3 operations_level)"
until_ok 20 well 4 || fail "at the end: $(cat "$tmp/status")"
[ $failed = 0 ] && echo "upgrade: $written writes while four nodes were replaced, one of them twice; none failed"
exit $failed
