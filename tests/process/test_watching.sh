#!/usr/bin/env bash
# test_watching.sh BIN NOTIFIED SOURCE - what an operator's tools see of a node: /metrics holds what OPERATIONS.md lists and nothing else, the log as JSON, what systemd is told and that it is
# told nothing by a node that hangs; the example configurations of HAProxy and Prometheus, where these are installed.
set -uo pipefail
bin=$(realpath "$1") notified=$2 source=$3
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$bin/quartetd" init --dir "$tmp/c" --nodes 2 --port "$(free_port 2)" --http-port "$(free_port 2)" >/dev/null || die "init"
url=$(cat "$tmp/c/admin.url")
"$notified" "$tmp/notify" >"$tmp/told" &
until_ok 5 test -S "$tmp/notify" || die "no socket"
declare -A node
start() { # SLOT
    NOTIFY_SOCKET=$([ "$1" = 0 ] && echo "$tmp/notify") WATCHDOG_USEC=400000 "$bin/quartetd" --dir "$tmp/c/$1" --log-format json --die-with-parent >>"$tmp/$1.out" 2>>"$tmp/$1.json" &
    node[$1]=$!
    started+=("$!")
}
start 0
start 1
well() { timeout 20 "$bin/quartetd" status "$url" >"$tmp/status" 2>&1; }
until_ok 20 well || die "the nodes do not come up: $(cat "$tmp/status" "$tmp/0.json")"
grep -a -o 'http[^ ]*' "$tmp/0.out" >/dev/null # nothing is promised there

# ---- /metrics against the page that documents it ----
get() { # SLOT PATH: the body
    local fd line
    exec {fd}<>"/dev/tcp/127.0.0.1/${http[$1]}" || return 1
    printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&"$fd"
    while IFS= read -r line <&"$fd" && [ "$line" != $'\r' ]; do :; done
    cat <&"$fd"
    exec {fd}>&-
}
http=()
for k in 0 1; do
    http[k]=$(tr -c '[:print:]' '\n' <"$tmp/c/$k/keys/member.qm" | grep -o '127\.0\.0\.1:[0-9]*' | sed -n "$((2 * k + 2))p" | cut -d: -f2)
done
ask "$url" "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')" >/dev/null || die "load"
compared() { get 0 /metrics | grep -q '^quartet_peer_compared_seconds_ago{slot="1"} '; }
until_ok 20 compared || fail "node 0 was never compared"
get 0 /metrics >"$tmp/metrics"
sed -n 's/^# TYPE \([a-z_]*\) \([a-z]*\)$/\1 \2/p' "$tmp/metrics" | sort >"$tmp/given"
sed -n '/^`GET \/metrics`/,/^`SHOW CLUSTER`/p' "$source/docs/OPERATIONS.md" | sed -n 's/^| \(`quartet_[^|]*\) | \([a-z]*\) |.*/\1 \2/p' |
    while read -r line; do for name in $(grep -o 'quartet_[a-z_]*' <<<"$line"); do echo "$name ${line##* }"; done; done | sort >"$tmp/listed"
[ "$(wc -l <"$tmp/given")" -gt 30 ] || fail "metrics: $(cat "$tmp/metrics")"
diff "$tmp/listed" "$tmp/given" >"$tmp/diff" || fail "OPERATIONS.md (<) and /metrics (>) differ: $(cat "$tmp/diff")"
sed 's/{.*//; s/ .*//; s/_\(bucket\|sum\|count\)$//' "$tmp/metrics" | grep '^quartet' | sort -u >"$tmp/names"
cut -d' ' -f1 "$tmp/given" | diff - "$tmp/names" >"$tmp/diff" || fail "a metric without a value, or without a head: $(cat "$tmp/diff")"
[ "$(sed -n 's/^quartet_commit_seconds_count //p' "$tmp/metrics")" -ge 2 ] || fail "commits are not timed: $(grep commit_seconds "$tmp/metrics")"
awk -F' ' '/^quartet_commit_seconds_bucket/ { if ($2 + 0 < last) exit 1; last = $2 + 0 }' "$tmp/metrics" || fail "a histogram that falls: $(grep commit_seconds "$tmp/metrics")"
[ "$(sed -n 's/^quartet_log_syncs_total //p' "$tmp/metrics")" -ge 1 ] || fail "no sync was counted"
[ "$(get 0 /readyz)" = ready ] || fail "/readyz: $(get 0 /readyz)"
for name in $(grep -o 'quartet_[a-z_]*' "$source/docs/example/quartet.rules.yml"); do
    grep -q "^${name%_bucket} " "$tmp/given" || fail "the example's rules ask for $name, which is not given"
done

# ---- the log as JSON: each line an object of its own, also where text from outside is in it ----
ask "${url/\/\//\/\/}" "SELECT 1" >/dev/null
printf 'no handshake "\\\n' >"/dev/tcp/127.0.0.1/$(address "$url" 1 | cut -d: -f2)"
until_ok 10 grep -q refused "$tmp/0.json" || fail "a stranger leaves no line"
n=0
while IFS= read -r line; do
    n=$((n + 1))
    grep -qE '^\{"time":"20[0-9-]*T[0-9:.]*Z","level":"[A-Z]*","component":"[a-z]*","text":".*"\}$' <<<"$line" || fail "not a line of the log: $line"
    printf '%s\n' "$line" >>"$tmp/lines.jsonl"
done <"$tmp/0.json"
"$bin/quartet" :memory: -c "CREATE TABLE l (time TEXT, level TEXT, component TEXT, text TEXT); COPY l FROM '$tmp/lines.jsonl'" >"$tmp/out" 2>&1 || fail "the log is no JSON: $(cat "$tmp/out")"
[ $n -gt 2 ] || fail "the log has $n lines"

# ---- systemd ----
[ "$(head -1 "$tmp/told")" = "READY=1;STATUS=serves" ] || fail "systemd hears first: $(head -1 "$tmp/told")"
dogs() { [ "$(grep -c "^WATCHDOG=1$" "$tmp/told")" -ge "$1" ]; }
until_ok 10 dogs 3 || fail "the watchdog is not fed: $(cat "$tmp/told")"
kill -STOP "${node[0]}"
before=$(grep -c WATCHDOG "$tmp/told")
pause 1
[ "$(grep -c WATCHDOG "$tmp/told")" -le $((before + 1)) ] || fail "a stopped node feeds the watchdog"
kill -CONT "${node[0]}"
until_ok 10 dogs $((before + 2)) || fail "the watchdog is not fed any more"
kill -HUP "${node[0]}"
until_ok 10 grep -q "^STATUS=starts anew" "$tmp/told" || fail "systemd does not hear of a new start"
until_ok 20 well || fail "the node does not come back: $(cat "$tmp/status")"
grep -q "^Type=notify" "$source/docs/example/quartetd@.service" || fail "the unit"
if command -v systemd-analyze >/dev/null; then
    sed "s|/usr/local/bin/quartetd|$bin/quartetd|; s|^User=.*|User=root|" "$source/docs/example/quartetd@.service" >"$tmp/quartetd@.service"
    systemd-analyze verify "$tmp/quartetd@.service" >"$tmp/out" 2>&1 # units of the machine's own may be wrong
    grep -q "quartetd@.service:" "$tmp/out" && fail "the unit: $(cat "$tmp/out")"
else
    echo "  systemd-analyze is not installed: the unit was not looked at"
fi

# ---- HAProxy ----
if command -v haproxy >/dev/null; then
    front=$(free_port)
    sed "s/127.0.0.1:7400/127.0.0.1:$front/; s/127.0.0.1:7401 port 7501/$(address "$url" 1) port ${http[0]}/; s/127.0.0.1:7402 port 7502/$(address "$url" 2) port ${http[1]}/; /server node[23]/d" \
        "$source/docs/example/haproxy.cfg" >"$tmp/haproxy.cfg"
    haproxy -c -f "$tmp/haproxy.cfg" >"$tmp/out" 2>&1 || fail "haproxy does not take its configuration: $(cat "$tmp/out")"
    haproxy -db -f "$tmp/haproxy.cfg" >"$tmp/haproxy.log" 2>&1 &
    started+=("$!")
    through=$(only "$url" "127.0.0.1:$front")
    until_ok 10 answers "$through" "SELECT count(*) FROM t" 2 || fail "through haproxy: $(ask "$through" "SELECT count(*) FROM t")"
    kill -TERM "${node[0]}"
    wait "${node[0]}"
    until_ok 10 answers "$through" "INSERT INTO t VALUES (3, 'c'); SELECT 1" 1 || fail "through haproxy, one node stopped: $(ask "$through" "SELECT 1")"
    start 0
    until_ok 20 well || fail "node 0 does not come back"
else
    echo "  haproxy is not installed: its example was not tried"
fi

# ---- Prometheus ----
if command -v promtool >/dev/null; then
    cp "$source/docs/example/prometheus.yml" "$source/docs/example/quartet.rules.yml" "$tmp"
    promtool check config "$tmp/prometheus.yml" >"$tmp/out" 2>&1 || fail "promtool: $(cat "$tmp/out")"
    promtool check metrics <"$tmp/metrics" >"$tmp/out" 2>&1 || fail "promtool on /metrics: $(cat "$tmp/out")"
else
    echo "  promtool is not installed: the examples were not checked by it"
fi
[ $failed = 0 ] && echo "watching: metrics, log, systemd and examples are as documented"
exit $failed
