#!/usr/bin/env bash
# test_members.sh BIN - a cluster that grows while it is written to: two nodes, a third and a fourth one join, a fifth is refused; a node moves to another port; clients come and go.
set -uo pipefail
bin=$1
tmp=$(mktemp -d)
pids=()
declare -A node

cleanup() {
    local pid
    for pid in "${pids[@]}"; do
        kill -KILL "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
fail() { # the next steps would fail for the same reason
    echo "FAILED: $*"
    tail -n 15 "$tmp"/*.log
    exit 1
}
until_ok() { # SECONDS COMMAND...: try until it succeeds
    local end=$(($(date +%s%3N) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(date +%s%3N)" -lt "$end" ] || return 1
        read -r -t 0.05 <> <(:)
    done
    return 0
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
start() { # SLOT
    "$bin/quartetd" --dir "$tmp/c/$1" --die-with-parent >>"$tmp/$1.log" 2>&1 &
    node[$1]=$!
    pids+=($!)
}
ask() { timeout 20 "$bin/quartet" "$1" -c "$2" 2>&1; }
answers() { [ "$(ask "$1" "$2")" = "$3" ]; }
only() { sed "s|@[^/]*/|@$1/|" "$tmp/c/admin.url"; } # the URL of one node, by its address
well() { timeout 20 "$bin/quartetd" status "$(cat "$tmp/c/admin.url")" >"$tmp/status" 2>&1 && grep -q "^well: $1 of $1 " "$tmp/status"; }
give() { # SLOT: the new membership to one running node
    cp "$tmp/c/member.qm" "$tmp/c/$1/keys/member.qm.new" && mv "$tmp/c/$1/keys/member.qm.new" "$tmp/c/$1/keys/member.qm" && kill -HUP "${node[$1]}"
}
member() { "$bin/quartetd" member "$tmp/c" "$@" >"$tmp/member" 2>&1 || fail "member $*: $(cat "$tmp/member")"; }

python3 - "$bin" "$tmp" <<'P' || exit 1
import subprocess, sys, socket
bin, tmp = sys.argv[1:]
# init gives ports in a row: find two pairs that are free
for port in range(20000, 60000, 7):
    try:
        held = [socket.socket() for _ in range(4)]
        for s, p in zip(held, (port, port + 1, port + 2, port + 3)):
            s.bind(("127.0.0.1", p))
        for s in held: s.close()
        break
    except OSError:
        for s in held: s.close()
subprocess.run([bin + "/quartetd", "init", "--dir", tmp + "/c", "--nodes", "2", "--port", str(port), "--http-port", str(port + 2)], check=True, stdout=subprocess.DEVNULL)
P
start 0
start 1
until_ok 20 well 2 || { fail "two nodes: $(cat "$tmp/status" "$tmp"/*.log)" ; }
url=$(cat "$tmp/c/admin.url")
ask "$url" "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i, 'row ' || i FROM n" >"$tmp/out" || fail "load: $(cat "$tmp/out")"

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
    until_ok 30 well $((slot + 1)) || fail "node $slot does not join: $(cat "$tmp/status" "$tmp/member" "$tmp"/*.log | tail -40)"
done
for k in 0 1 2 3; do
    [ "$(cmp "$tmp/c/member.qm" "$tmp/c/$k/keys/member.qm" 2>&1)" = "" ] || fail "node $k has another membership"
done
out=$("$bin/quartetd" member "$tmp/c" add-node 127.0.0.1:1 2>&1)
[ $? = 1 ] && grep -q "at most 4 nodes" <<<"$out" || fail "a fifth node: $out"
third=$(only "$(sed -n 's/.*@\([^/]*\).*/\1/p' "$tmp/c/admin.url" | cut -d, -f3)")
until_ok 10 answers "$third" "SELECT count(*) FROM t WHERE id <= 5000" 5000 || fail "node 2 has not all rows: $(ask "$third" "SELECT count(*) FROM t")"
ask "$third" "INSERT INTO t VALUES (2000000, 'by the third')" >/dev/null || fail "node 2 takes no writes"

# ---- a node moves ----
old=$(sed -n 's/.*@\([^/]*\).*/\1/p' "$tmp/c/admin.url" | cut -d, -f2)
new=127.0.0.1:$(free_port)
member address 1 "$new" "127.0.0.1:$(free_port)"
give 1
until_ok 30 well 4 || fail "after node 1 moved: $(cat "$tmp/status" "$tmp/1.log" | tail -30)"
grep -q "$new" "$tmp/status" || fail "status does not know the new address: $(cat "$tmp/status")"
until_ok 10 answers "$(only "$new")" "SELECT v FROM t WHERE id = 2000000" 'by the third' || fail "node 1 at its new address"
ask "$(only "$old")&timeout=300" "SELECT 1" >/dev/null && fail "node 1 still answers at its old address"

# ---- clients come and go ----
member zone 0 west
member add-client anna
give 0
until_ok 20 answers "$(cat "$tmp/c/anna.url")" "SELECT count(*) FROM t WHERE id = 2000000" 1 || fail "the new client: $(ask "$(cat "$tmp/c/anna.url")" "SELECT 1")"
member remove-client anna
give 3
refused() { ! ask "$(cat "$tmp/c/anna.url")&timeout=300" "SELECT 1" >"$tmp/out" && grep -q "unknown client key" "$tmp/out"; }
until_ok 20 refused || fail "a removed client is let in: $(cat "$tmp/out")"
"$bin/quartetd" member "$tmp/c" remove-client admin >/dev/null 2>&1 && fail "admin was removed"
"$bin/quartetd" member "$tmp/c" zone 9 x >/dev/null 2>&1
[ $? = 64 ] || fail "slot 9 is no usage error"

# ---- the writer saw nothing of all this ----
rm "$tmp/writing"
wait "$writer"
[ -s "$tmp/written" ] && [ ! -e "$tmp/writer.failed" ] || fail "writes failed: $(cat "$tmp/writer.failed" "$tmp/writer" 2>/dev/null | tail -5)"
until_ok 20 well 4 || fail "at the end: $(cat "$tmp/status")"
written=$(cat "$tmp/written")
until_ok 10 answers "$(only "$new")" "SELECT count(*) FROM t WHERE id > 1000000 AND id < 2000000" "$written" || fail "of $written writes node 1 has $(ask "$(only "$new")" "SELECT count(*) FROM t WHERE id > 1000000 AND id < 2000000")"
echo "members: two nodes became four, one moved, clients came and went; $written writes meanwhile, none failed"
