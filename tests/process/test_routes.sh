#!/usr/bin/env bash
# test_routes.sh BIN - whom clients choose: drained and standby nodes, and those that come back from it; the nearest one, also where that is a process that is stopped; a node that is named alone.
set -uo pipefail
bin=$1
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

well() { timeout 20 "$bin/quartetd" status "$url" >"$tmp/status" 2>&1; }
serves() { [ "$(ask "$1" "SHOW CLUSTER" | sed -n 's/^\([0-9]\)|.*(this node).*/\1/p')" = "$2" ]; } # URL SLOT
known() { # SLOT WHAT: all nodes show it so
    local k
    for k in 0 1 2; do ask "$(only "$url" "$(address "$url" $((k + 1)))")" "SHOW CLUSTER" | grep "^$1|" | grep -q "$2" || return 1; done
}
get() { # PORT PATH: status and body
    timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/$0; printf "GET %s HTTP/1.0\r\n\r\n" "$1" >&3; cat <&3' "$1" "$2" | tr -d '\r' | sed -n '1p;$p' | tr '\n' ' '
}

http=$(free_port 3)
"$bin/quartetd" init --dir "$tmp/c" --nodes 3 --port "$(free_port 3)" --http-port "$http" >/dev/null || die "init"
url=$(cat "$tmp/c/admin.url")
for k in 0 1 2; do start $k; done
until_ok 20 well || die "three nodes: $(cat "$tmp/status")"
ask "$url" "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)" >/dev/null || die "a table"
until_ok 10 serves "$url" 0 || fail "the first node of the URL is not taken"

# ---- drained: nobody comes, it replicates all the same, and answers who asks for it alone ----
member drain 0 on
give 1
until_ok 30 known 0 "; drained" || die "node 0 is not shown as drained: $(ask "$url" "SHOW CLUSTER")"
until_ok 20 well || die "after the drain: $(cat "$tmp/status")"
for i in 1 2 3; do until_ok 10 serves "$url" 1 || fail "clients do not keep away from a drained node: $(ask "$url" "SHOW CLUSTER")"; done
zero=$(only "$url" "$(address "$url" 1)")
until_ok 10 serves "$zero" 0 || fail "a drained node that is named alone does not serve"
ask "$url" "INSERT INTO t VALUES (1, 'elsewhere')" >/dev/null || fail "a write"
until_ok 10 answers "$zero" "SELECT v FROM t WHERE id = 1" elsewhere || fail "a drained node does not replicate"
[[ "$(get "$http" /readyz)" == *503*drained* ]] || fail "/readyz of a drained node: $(get "$http" /readyz)"
[[ "$(get "$http" /healthz)" == *200*ok* ]] || fail "/healthz of a drained node: $(get "$http" /healthz)"
[[ "$(get $((http + 1)) /readyz)" == *200*ready* ]] || fail "/readyz of another: $(get $((http + 1)) /readyz)"

# ---- standby: only where no other one is there, but before a drained one ----
member standby 1 on
give 2
until_ok 30 known 1 "; standby" || die "node 1 is not shown as standby"
until_ok 20 well || die "after standby: $(cat "$tmp/status")"
until_ok 10 serves "$url" 2 || fail "clients do not keep away from a standby node"
for route in random roundrobin nearest; do until_ok 10 serves "$url&route=$route" 2 || fail "route=$route goes to a node that is to be left alone"; done
kill -STOP "${node[2]}" # it accepts connections and says nothing
until_ok 10 serves "$url" 1 || fail "with the others silent or drained the standby node is not taken"
until_ok 10 serves "$url&route=nearest" 1 || fail "route=nearest stays with a port that says nothing"
kill -KILL "${node[1]}"
wait "${node[1]}" 2>/dev/null
until_ok 10 serves "$url" 0 || fail "with all others away the drained node is not taken"
ask "$url" "INSERT INTO t VALUES (2, 'in need')" >/dev/null || fail "a drained node takes no writes in need"
kill -CONT "${node[2]}"
start 1
until_ok 30 well || die "all back: $(cat "$tmp/status")"

# ---- back to normal ----
member drain 0 off
member standby 1 off
give 0
calm() { ! known 0 "; drained" && known 0 "ready" && known 1 "ready" && ! known 1 "; standby"; }
until_ok 30 calm || fail "flags stay: $(ask "$zero" "SHOW CLUSTER")"
until_ok 20 well || fail "at the end: $(cat "$tmp/status")"
until_ok 10 serves "$url" 0 || fail "node 0 is not taken again"
"$bin/quartetd" member "$tmp/c" drain 0 maybe >"$tmp/out" 2>&1 && fail "drain maybe"
grep -q "it is on or off" "$tmp/out" || fail "drain maybe says: $(cat "$tmp/out")"
[ $failed = 0 ] && echo "routes: drained, standby, silent and nearest nodes are chosen as they should be"
exit $failed
