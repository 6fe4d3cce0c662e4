#!/usr/bin/env bash
# test_route.sh BIN - quartetd route: clients that know one address alone go on while nodes behind it are stopped, killed, silent and drained; transfers of many MB go through it whole.
set -uo pipefail
bin=$1
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

well() { timeout 20 "$bin/quartetd" status "$url" >"$tmp/status" 2>&1; }
slot() { ask "$through" "SHOW CLUSTER" | sed -n 's/^\([0-9]\)|.*(this node).*/\1/p'; }
"$bin/quartetd" init --dir "$tmp/c" --nodes 3 --port "$(free_port 3)" --http-port "$(free_port 3)" >/dev/null || die "init"
url=$(cat "$tmp/c/admin.url")
for k in 0 1 2; do start $k; done
until_ok 20 well || die "three nodes: $(cat "$tmp/status")"
front=127.0.0.1:$(free_port)
"$bin/quartetd" route --listen "$front" --die-with-parent "$url" >"$tmp/route.out" 2>"$tmp/route.log" &
router=$!
started+=("$router")
until_ok 10 grep -q "^ready $front" "$tmp/route.out" || die "it does not begin: $(cat "$tmp/route.log")"
through=$(only "$url" "$front")

ask "$through" "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)" >"$tmp/out" || die "through it: $(cat "$tmp/out")"
ask "$through" "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i, hex(randomblob(1000)) FROM n" >"$tmp/out" || die "a load: $(cat "$tmp/out")"
one=$(ask "$(only "$url" "$(address "$url" 1)")" "SELECT count(*) FROM t")
has() { [ "$(ask "$(only "$url" "$(address "$url" $(($1 + 1)))")" "SELECT count(*) FROM t")" = 3000 ]; }
for k in 0 1 2; do until_ok 20 has $k || die "node $k has not all rows ($one)"; done
timeout 60 "$bin/quartet" "$through" --format list -c "SELECT v FROM t ORDER BY id" >"$tmp/a" 2>&1
timeout 60 "$bin/quartet" "$url" --format list -c "SELECT v FROM t ORDER BY id" >"$tmp/b" 2>&1
cmp -s "$tmp/a" "$tmp/b" && [ "$(wc -c <"$tmp/a")" -gt 6000000 ] || fail "6 MB through it are not the same"

# ---- connections spread: a node that this machine did not let answer in time is passed over, so not each need have one ----
for i in 1 2 3; do
    mkfifo "$tmp/in.$i"
    "$bin/quartet" "$through" --format list <"$tmp/in.$i" >"$tmp/on.$i" 2>&1 &
    started+=("$!")
    eval "exec 2$i>\"$tmp/in.$i\""
    eval "echo 'SHOW CLUSTER;' >&2$i"
    until_ok 10 grep -q "(this node)" "$tmp/on.$i" || fail "connection $i: $(cat "$tmp/on.$i")"
done
[ "$(cat "$tmp"/on.[123] | sed -n 's/^\([0-9]\)|.*(this node).*/\1/p' | sort -u | wc -l)" -ge 2 ] || fail "three connections are not spread: $(grep -h "this node" "$tmp"/on.*)"
exec 21>&- 22>&- 23>&-

# ---- nodes fail one after the other; the one address serves on ----
for how in TERM KILL STOP; do
    k=$(slot)
    [ -n "$k" ] || die "nobody serves before $how"
    kill -$how "${node[$k]}"
    wrote() { ask "$through&timeout=5000" "INSERT INTO t (v) VALUES ('$how')" >"$tmp/out"; }
    until_ok 15 wrote || fail "no write after $how of node $k: $(cat "$tmp/out")"
    if [ $how = STOP ]; then
        gone() { grep -q "$(address "$url" $((k + 1))) does not answer" "$tmp/route.log"; }
        until_ok 10 gone || fail "a silent node is not noticed: $(cat "$tmp/route.log")"
        for i in 1 2 3 4; do [ "$(slot)" != "$k" ] || fail "a connection goes to a silent node"; done
        kill -CONT "${node[$k]}"
    else
        wait "${node[$k]}" 2>/dev/null
        start "$k"
    fi
    until_ok 30 well || die "node $k does not come back after $how"
done
kill -TERM "$router"
wait "$router"
[ $? = 0 ] || fail "it does not end in order"
"$bin/quartetd" route --listen nowhere 2>"$tmp/out" && fail "it takes a wrong address"
[ $failed = 0 ] && echo "route: one address served on while nodes were stopped, killed and silent"
exit $failed
