#!/usr/bin/env bash
# test_doctor.sh BIN - quartetd doctor: each finding on purpose. Versions are process/upgrade's, keys that others can read and a node that is down process/programs'.
set -uo pipefail
bin=$1
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

doctor() { timeout 20 "$bin/quartetd" doctor "$@" >"$tmp/doctor" 2>&1; }
finds() { grep -q "^$1 .*$2" "$tmp/doctor"; } # GRADE TEXT
told() { grep -A1 "^$1 .*$2" "$tmp/doctor" | grep -q "^  *-> "; } # GRADE TEXT: and what to do about it

"$bin/quartetd" init --dir "$tmp/c" --nodes 2 --port "$(free_port 2)" --http-port "$(free_port 2)" >/dev/null || die "init"
url=$(cat "$tmp/c/admin.url")

# ---- nobody is there ----
doctor "$url" && fail "a cluster that is not there is well"
[ "$(grep -c '^WRONG .*does not answer' "$tmp/doctor")" = 2 ] || fail "two nodes that are not there: $(cat "$tmp/doctor")"

# ---- the machine of one node ----
start 0
start 1
well() { timeout 20 "$bin/quartetd" status "$url" >"$tmp/status" 2>&1; }
until_ok 20 well || die "two nodes: $(cat "$tmp/status")"
all_well() { doctor --dir "$tmp/c/0" "$url"; } # the first answers come before the two have dialled each other
until_ok 20 all_well || fail "a cluster that is well: $(cat "$tmp/doctor")"
for text in "keys/node.key is there" "keys/member.qm is there" "MiB are free" "a process may have .* files open" "node 0 at .* is ready" "node 1 at .* is ready" "the port of node 0, .*, is open" "the port of node 1, .*, is open"; do
    finds ok "$text" || fail "no line '$text': $(cat "$tmp/doctor")"
done
grep -q "clocks are .* ms apart at most" "$tmp/doctor" || fail "nothing about clocks: $(cat "$tmp/doctor")" # a busy machine makes it a note
[ -z "$(find "$tmp/c/0" -name 'doctor-*')" ] || fail "a file stays behind: $(ls "$tmp/c/0")"
(ulimit -n 200 && doctor --dir "$tmp/c/0")
finds note "a process may have 200 files open" && told note "a process may have 200 files open" || fail "few open files: $(cat "$tmp/doctor")"
mv "$tmp/c/0/keys/member.qm" "$tmp/away"
doctor --dir "$tmp/c/0" && fail "no membership, and all is well"
finds WRONG "keys/member.qm: No such file" && told WRONG "keys/member.qm" || fail "no membership: $(cat "$tmp/doctor")"
mv "$tmp/away" "$tmp/c/0/keys/member.qm"
doctor --dir "$tmp/nowhere" && fail "no directory, and all is well"
finds WRONG "nowhere: No such file" || fail "no directory: $(cat "$tmp/doctor")"

# ---- a member that is away keeps logs and deleted rows on the others ----
ask "$url" "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)" >/dev/null || die "a table"
kill -TERM "${node[1]}"
wait "${node[1]}"
missing() { ! doctor "$url" && finds note "deleted rows and logs are kept for node 1" && told note "are kept for node 1"; }
until_ok 20 missing || fail "a member that is away: $(cat "$tmp/doctor")"
finds note "the port of node 1, .* cannot be reached from this machine" && told note "the port of node 1" || fail "a port that is closed: $(cat "$tmp/doctor")"
finds note "node 0 has no link to node 1" || fail "no link with a member that is away: $(cat "$tmp/doctor")"

# ---- clocks that are apart ----
if command -v faketime >/dev/null; then
    faketime -f +2s "$bin/quartetd" --dir "$tmp/c/1" --die-with-parent >>"$tmp/1.log" 2>&1 &
    node[1]=$!
    started+=("$!")
    apart() { doctor "$url"; finds WRONG "the clocks of nodes . and . are [12]... ms apart" && told WRONG "the clocks of nodes"; }
    until_ok 20 apart || fail "a clock two seconds ahead: $(cat "$tmp/doctor")"
    kill -TERM "${node[1]}"
    wait "${node[1]}" 2>/dev/null
fi
[ $failed = 0 ] && echo "doctor: each finding is found, and says what to do"
exit $failed
