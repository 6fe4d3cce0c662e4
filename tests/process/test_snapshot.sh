#!/usr/bin/env bash
# test_snapshot.sh BIN - three real nodes. One is away until the others' logs no longer hold what it lacks; it comes back, is told so, takes a snapshot of a member while clients go on
# writing, survives that its donor is killed midway, and then has the same tables and hash as the others, what only it had written included. Then an empty directory takes its place.
set -uo pipefail
bin=$1
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
pids=("" "" "") # by slot; "" while it is down
at_end() { for p in "${pids[@]}"; do [ -z "$p" ] || kill -KILL "$p" 2>/dev/null; done; wait 2>/dev/null; }
"$bin/quartetd" init --dir "$tmp/c" --nodes 3 --port "$(free_port 3)" --http-port "$(free_port 3)" >/dev/null || exit 1
url=$(cat "$tmp/c/admin.url")
start() {
    "$bin/quartetd" --dir "$tmp/c/$1" --log-bytes-min 1 --log-bytes-max 67108864 --die-with-parent >"$tmp/out.$1" 2>>"$tmp/log.$1" &
    pids[$1]=$!
}
stop() { # SLOT SIGNAL
    kill "-$2" "${pids[$1]}" 2>/dev/null
    wait "${pids[$1]}" 2>/dev/null
    pids[$1]=""
}
node_url() { only "$url" "$(address "$url" $(($1 + 1)))"; } # SLOT
tell() { # SLOT SQL: its answer, also in $tmp/said
    ask "$(node_url "$1")" "$2" >"$tmp/said"
    local rc=$?
    cat "$tmp/said"
    return $rc
}
until_true() { # SECONDS WHAT COMMAND...
    local seconds=$1 what=$2
    shift 2
    until_ok "$seconds" "$@" || { fail "$what: not within the time" && return 1; }
}
is_up() { answers "$(node_url "$1")" 'SELECT 1' 1; }
has() { grep -q "$2" "$tmp/log.$1"; }
tables() { tell "$1" "SELECT count(*), sum(n), sum(length(v)) FROM big; SELECT id, n FROM small ORDER BY id; SELECT count(*) FROM pace"; }
same_tables() { [ "$(tables 0)" = "$(tables 2)" ] && [ "$(tables 1)" = "$(tables 2)" ]; }
all_equal() { [ "$(tell 0 'SHOW CLUSTER' | grep -c '|yes$')" = 3 ] && same_tables; }

for k in 0 1 2; do start $k; done
for k in 0 1 2; do until_true 20 "node $k answers" is_up $k || exit 1; done
tell 0 "CREATE TABLE big (id INTEGER PRIMARY KEY, n INTEGER COUNTER, v TEXT, w INTEGER); CREATE INDEX big_w ON big (w); CREATE TABLE small (id INTEGER PRIMARY KEY, n INTEGER); CREATE TABLE pace (id UUID PRIMARY KEY);
       INSERT INTO small VALUES (1, 1), (2, 2)" >/dev/null || fail "tables: $(cat "$tmp/said")"
until_true 20 "the tables are everywhere" all_equal || exit 1

# Node 2 alone writes what nobody else has heard of, and is gone.
stop 0 TERM
stop 1 TERM
tell 2 "INSERT INTO small VALUES (3, 30); UPDATE small SET n = 20 WHERE id = 2" >/dev/null || fail "a node alone: $(cat "$tmp/said")"
stop 2 KILL
start 0
start 1
for k in 0 1; do until_true 20 "node $k answers" is_up $k || exit 1; done

# The others write more than their logs keep.
text=$(head -c 45000 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
for i in $(seq 1 7); do
    for j in $(seq 1 20); do
        for k in 1 2; do echo "INSERT INTO big VALUES ($((i * 1000 + j * 10 + k)), $k, '$i.$j.$k.$text', $j);"; done
    done >"$tmp/rows.sql"
    for r in 1 2 3 4; do # more log than rows
        timeout 60 "$bin/quartet" "$(node_url $((i % 2)))" -f "$tmp/rows.sql" >/dev/null 2>"$tmp/err" || fail "writing: $(head -c 300 "$tmp/err")"
        [ $r = 4 ] || tell $((i % 2)) "DELETE FROM big WHERE id >= $((i * 1000)) AND id < $((i * 1000 + 1000))" >/dev/null || fail "deleting: $(cat "$tmp/said")"
    done
done
until_true 20 "a log passes its limit" has 0 "the log passed" || exit 1
until_true 20 "the other's does" has 1 "the log passed" || exit 1

# Back again: it is told, uploads, and asks for a snapshot. A client goes on writing meanwhile.
(while [ ! -e "$tmp/enough" ]; do timeout 20 "$bin/quartet" "$url" -c "INSERT INTO pace VALUES (uuid())" >/dev/null 2>&1; done) &
pace=$!
start 2
until_true 30 "node 2 is told that it was left behind" has 2 "too old" || exit 1
until_true 30 "a snapshot is on its way" grep -qE "gets a snapshot" "$tmp/log.0" "$tmp/log.1"
donor=1
grep -q "gets a snapshot" "$tmp/log.0" && donor=0
stop $donor KILL
echo "  node $donor was killed while it gave"
until_true 5 "the donor is away" true
start $donor
until_true 90 "node 2 takes up a snapshot" has 2 "is installed" || exit 1
until_true 30 "node 2 answers" is_up 2
touch "$tmp/enough"
wait $pace
until_true 60 "all nodes are equal" all_equal || { tables 0 | head -5; tables 1 | head -5; tables 2 | head -5; tell 0 "SHOW CLUSTER"; }
[ "$(tell 0 'SELECT n FROM small ORDER BY id' | tr '\n' ' ')" = "1 20 30 " ] || fail "what only node 2 had written is lost: $(tell 0 'SELECT id, n FROM small')"
tell 2 "INSERT INTO small VALUES (4, 4)" >/dev/null || fail "node 2 takes no writes: $(cat "$tmp/said")"
until_true 20 "its write is everywhere" all_equal
echo "  the snapshot: $(grep -o 'the snapshot of node.*' "$tmp/log.2" | tail -1)"
until_true 30 "the state is confirmed" bash -c "[ ! -e '$tmp/c/2/snapshot.from' ]"

# An empty directory in the place of a lost one.
stop 2 KILL
mkdir "$tmp/keys" && cp -r "$tmp/c/2/keys" "$tmp/keys/" && rm -rf "$tmp/c/2" && mkdir "$tmp/c/2" && cp -r "$tmp/keys/keys" "$tmp/c/2/"
: >"$tmp/log.2"
start 2
until_true 90 "an empty node takes up a snapshot" has 2 "is installed" || exit 1
until_true 60 "all nodes are equal again" all_equal
tell 2 "INSERT INTO small VALUES (5, 5)" >/dev/null || fail "the new node takes no writes: $(cat "$tmp/said")"
until_true 20 "its write is everywhere" all_equal
stop 2 TERM
"$bin/quartet" verify "$tmp/c/2" >"$tmp/verify" 2>&1 || fail "verify: $(cat "$tmp/verify")"
left=$(ls "$tmp/c/2" | grep snapshot | tr '\n' ' ')
[ -z "$left" ] || fail "left in the directory: $left"
if [ $failed != 0 ]; then
    for k in 0 1 2; do
        echo "--- node $k"
        tail -15 "$tmp/log.$k" | cut -c1-300
    done
    exit 1
fi
echo "snapshot: a node left behind, and an empty one, took other members' states"
