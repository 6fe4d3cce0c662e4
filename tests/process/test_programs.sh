#!/usr/bin/env bash
# test_programs.sh BIN - quartet-demo --serve, quartetd and the shell as a user starts them: what is printed can be used as it is, a
# killed node is started again by quartetd, the shell moves to another node by itself, ports and keys stay, a directory has one owner.
set -uo pipefail
bin=$1
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
alive() { kill -0 "$1" 2>/dev/null; }
gone() { ! alive "$1"; }

serve() { # OUT: start --serve, wait for "ready", read pids and URLs
    "$bin/quartet-demo" --serve "$tmp/data" >"$1" 2>"$1.err" </dev/null &
    demo=$!
    started+=("$demo")
    if ! until_ok 40 grep -q '^ready$' "$1"; then
        fail "--serve is not ready: $(cat "$1" "$1.err" "$tmp"/data/*.log 2>/dev/null | tail -n 20)"
        exit 1
    fi
    mapfile -t pids < <(sed -n 's/^node [0-3] \([0-9]*\) quartet:.*/\1/p' "$1")
    mapfile -t urls < <(sed -n 's/^node [0-3] [0-9]* //p' "$1")
    cluster=$(sed -n 's/^cluster //p' "$1")
    [ "${#pids[@]}" = 4 ] && [ "${#urls[@]}" = 4 ] && [ -n "$cluster" ] || fail "--serve prints: $(cat "$1")"
    [ "$(tail -n 1 "$1")" = ready ] || fail "the last line is not ready"
}

# ---- --serve: what it prints is usable ----
serve "$tmp/serve1"
answers "$cluster" 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, '"'one'"'); SELECT count(*) FROM t' 1 || fail "no answer through the cluster's URL"
for k in 0 1 2 3; do
    until_ok 5 answers "${urls[k]}" 'SELECT v FROM t' one || fail "node $k: $(ask "${urls[k]}" 'SELECT v FROM t')"
    alive "${pids[k]}" || fail "node $k: no process ${pids[k]}"
done
[ "$(ask "$cluster" 'SHOW CLUSTER' | wc -l)" = 4 ] || fail "SHOW CLUSTER: $(ask "$cluster" 'SHOW CLUSTER')"

# ---- status, doctor, top: each node by itself ----
is_well() { timeout 20 "$bin/quartetd" status "$1" >"$tmp/status" 2>&1; }
until_ok 5 is_well "$cluster" || fail "status of a cluster that is well: $(cat "$tmp/status")"
[ "$(tail -n 1 "$tmp/status")" = "well: 4 of 4 nodes are well" ] && [ "$(grep -c '^node [0-3] .* ready, .*sees 3 others$' "$tmp/status")" = 4 ] || fail "status says: $(cat "$tmp/status")"
QUARTET_URL=$cluster timeout 20 "$bin/quartetd" doctor --dir "$tmp/data/0" >"$tmp/doctor" 2>&1 || fail "doctor finds fault with a cluster that is well: $(cat "$tmp/doctor")"
grep -q "^ok .*an fdatasync takes\|^note .*an fdatasync takes" "$tmp/doctor" && grep -q "^ok .*node 3 at .* is ready" "$tmp/doctor" || fail "doctor says: $(cat "$tmp/doctor")"
chmod 644 "$tmp/data/0/keys/node.key"
out=$(timeout 20 "$bin/quartetd" doctor --dir "$tmp/data/0" "$cluster" 2>&1)
[ $? = 1 ] && grep -q "^WRONG .*node.key can be read by others (mode 644)" <<<"$out" || fail "doctor does not mind a key that all can read: $out"
chmod 600 "$tmp/data/0/keys/node.key"
out=$(timeout 20 "$bin/quartet" top --interval 0.2 --count 2 "$cluster" 2>&1)
[ $? = 0 ] && [ "$(grep -c ' ready ' <<<"$out")" = 8 ] || fail "top shows: $out"
for words in "status" "doctor --dir" "status nonsense" "doctor --dir /nonsense/there/is quartet://"; do
    QUARTET_URL='' timeout 20 "$bin/quartetd" $words >"$tmp/out" 2>&1
    [ $? = 64 ] || fail "quartetd $words should be wrong usage: $(cat "$tmp/out")"
done

# ---- one directory, one process ----
out=$(timeout 20 "$bin/quartet" "$tmp/data/1" -c 'SELECT 1' 2>&1)
rc=$?
[ "$rc" = 2 ] && grep -q "in use by process ${pids[1]}" <<<"$out" || fail "a node's directory was opened by the shell: status $rc, $out"
out=$(timeout 20 "$bin/quartetd" --dir "$tmp/data/1" --die-with-parent 2>&1)
rc=$?
[ "$rc" = 1 ] && grep -q "in use by process ${pids[1]}" <<<"$out" || fail "a second quartetd: status $rc, $out"
out=$(timeout 20 "$bin/quartetd" --dir "$tmp/nosuch" --die-with-parent 2>&1)
rc=$?
[ "$rc" = 1 ] && [ -n "$out" ] || fail "quartetd without keys: status $rc, $out"

# ---- the shell moves to another node ----
coproc SHELL_PROC { exec "$bin/quartet" "$cluster" --format list --force 2>"$tmp/shell.err"; }
shell_pid=$SHELL_PROC_PID
started+=("$shell_pid")
exec 10>&"${SHELL_PROC[1]}" 11<&"${SHELL_PROC[0]}"
say() { # STATEMENT: the answer's first line
    local line=
    echo "$1" >&10
    IFS= read -r -t 20 -u 11 line
    echo "$line"
}
where=$(say .where)
victim=${where#node }
victim=${victim%% *}
case $victim in
[0-3]) ;;
*)
    fail ".where says: $where"
    victim=0
    ;;
esac
[ "$(say 'SELECT count(*) FROM t;')" = 1 ] || fail "the shell has no answer before the kill"
kill -KILL "${pids[victim]}"
started+=("${pids[@]}")
begin=$(date +%s%3N)
got=$(say 'SELECT count(*) + 41 FROM t;')
took=$(($(date +%s%3N) - begin))
[ "$got" = 42 ] || fail "after the kill of node $victim the shell answers: [$got] $(cat "$tmp/shell.err")"
[ "$took" -lt 3000 ] || fail "moving took $took ms"
grep -q "now on node" "$tmp/shell.err" || fail "the shell does not say that it moved: $(cat "$tmp/shell.err")"
now=$(say .where)
[ "$now" != "$where" ] || fail ".where still says $where"
[ "$(say "INSERT INTO t VALUES (2, 'two'); SELECT count(*) FROM t;")" = 2 ] || fail "the shell cannot write after it moved"
timeout 20 "$bin/quartetd" status "$cluster" >"$tmp/status" 2>&1
[ $? = 1 ] && grep -q "^node $victim .* no answer" "$tmp/status" && [ "$(tail -n 1 "$tmp/status")" = "impaired: 3 of 4 nodes are well" ] || fail "status with a dead node: $(cat "$tmp/status")"
out=$(timeout 20 "$bin/quartetd" doctor "$cluster" 2>&1)
[ $? = 1 ] && [ "$(grep -c '^WRONG .*does not answer' <<<"$out")" = 1 ] || fail "doctor with a dead node: $out"
echo .quit >&10
wait "$shell_pid" || fail "the shell ended with status $?"
echo "  the shell moved from $where to $now in $took ms"

# ---- a killed node comes back by quartetd ----
"$bin/quartetd" --dir "$tmp/data/$victim" --die-with-parent >"$tmp/again.out" 2>&1 &
again=$!
started+=("$again")
until_ok 10 grep -q '^ready' "$tmp/again.out" || fail "quartetd does not start again: $(cat "$tmp/again.out")"
until_ok 5 answers "${urls[victim]}" "SELECT v FROM t WHERE id = 2" two || fail "the node that came back: $(ask "${urls[victim]}" 'SELECT * FROM t')"

# ---- an end in order, and the same cluster again ----
kill -TERM "$again"
wait "$again" || fail "quartetd ended with status $?"
kill -TERM "$demo"
wait "$demo" || fail "--serve ended with status $?"
for k in 0 1 2 3; do
    until_ok 2 gone "${pids[k]}" || fail "node $k outlived --serve"
done
before=$cluster
serve "$tmp/serve2"
[ "$cluster" = "$before" ] || fail "another URL after the restart: $cluster"
for k in 0 1 2 3; do
    until_ok 5 answers "${urls[k]}" 'SELECT count(*) FROM t' 2 || fail "node $k after the restart: $(ask "${urls[k]}" 'SELECT count(*) FROM t')"
done

# ---- the parent's death ends the nodes ----
kill -KILL "$demo"
wait "$demo" 2>/dev/null
for k in 0 1 2 3; do
    until_ok 5 gone "${pids[k]}" || fail "node $k outlived the killed --serve"
done
"$bin/quartet-demo" --nonsense >/dev/null 2>&1
[ $? = 64 ] || fail "quartet-demo --nonsense should end with status 64"

# ---- quartetd init ----
"$bin/quartetd" init --dir "$tmp/made" --nodes 2 --port 17401 --http-port 17501 >"$tmp/init.out" || fail "quartetd init"
[ -d "$tmp/made/0/keys" ] && [ -d "$tmp/made/1/keys" ] && [ ! -e "$tmp/made/2" ] && [ -s "$tmp/made/admin.url" ] || fail "init made: $(ls "$tmp/made")"
[ -z "$(find "$tmp/made" -name '*.key' -perm /077)" ] || fail "others may read: $(find "$tmp/made" -name '*.key' -perm /077)"
"$bin/quartetd" init --dir "$tmp/made" --nodes 2 >/dev/null 2>&1 && fail "init over a cluster that is there"
[ "$failed" = 0 ] && echo "programs: served, moved, restarted, ended as they should"
exit "$failed"
