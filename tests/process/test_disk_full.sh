#!/usr/bin/env bash
# test_disk_full.sh BIN - a small file system fills up: the write that does not fit is refused with a clear error, what was acknowledged
# is there, reads go on, and once there is room the same process writes again. Needs the right to mount a tmpfs, in a namespace of its own.
set -uo pipefail
bin=$1
if [ "${2:-}" != inside ]; then
    for how in "unshare --mount" "unshare --user --map-root-user --mount"; do
        if $how bash -c 'd=$(mktemp -d) && mount -t tmpfs -o size=1m none "$d"; rc=$?; umount "$d" 2>/dev/null; rmdir "$d"; exit $rc' 2>/dev/null; then
            exec $how bash "${BASH_SOURCE[0]}" "$bin" inside
        fi
    done
    echo "disk_full: no tmpfs may be mounted here; the unit tests of the store fill a simulated disk"
    exit 0
fi
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
mount -t tmpfs -o size=160m none "$tmp" || exit 1
at_end() { umount "$tmp" 2>/dev/null || umount -l "$tmp"; rm -f "$tmp.err"; }
head -c 112m /dev/zero >"$tmp/filler"
coproc SH { exec "$bin/quartet" "$tmp/db" --format list --force 2>"$tmp.err"; }
pid=$SH_PID
started+=("$pid")
exec 10>&"${SH[1]}" 11<&"${SH[0]}"
say() {
    local line=
    printf '%s\n' "$1" >&10
    IFS= read -r -t 60 -u 11 line
    echo "$line"
}
text=$(head -c 400000 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
[ "$(say 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); SELECT 0;')" = 0 ] || fail "no table: $(cat "$tmp.err")"
rows=0
while [ "$rows" -lt 200 ]; do
    n=$(say "INSERT INTO t VALUES ($((rows + 1)), '$text'); SELECT count(*) FROM t;")
    [ "$n" = $((rows + 1)) ] || break
    rows=$n
done
[ "$rows" -ge 5 ] && [ "$rows" -lt 200 ] || fail "the disk was full after $rows rows"
grep -qi 'full\|no space' "$tmp.err" || fail "no clear error: $(head -c 500 "$tmp.err")"
[ "$n" = "$rows" ] || fail "after the refused row there are $n rows, acknowledged were $rows"
[ "$(say 'SELECT count(*), length(max(v)) FROM t;')" = "$rows|800000" ] || fail "no reading while the disk is full"
rm "$tmp/filler"
again=0
for _ in $(seq 50); do
    n=$(say "INSERT INTO t VALUES (1000, 'room again'); SELECT count(*) FROM t;")
    if [ "$n" = $((rows + 1)) ]; then
        again=1
        break
    fi
    pause 0.1
done
[ "$again" = 1 ] || fail "no writing after there is room: $n rows, $(tail -n 2 "$tmp.err" | head -c 500)"
echo .quit >&10
wait "$pid"
started=()
got=$("$bin/quartet" "$tmp/db" -c "SELECT count(*), min(length(v)) FROM t" 2>&1)
[ "$got" = "$((rows + 1))|10" ] || fail "after a restart: $got, expected $((rows + 1))|10"
[ "$failed" = 0 ] && echo "disk_full: refused after $rows rows, read on, wrote again when there was room"
exit "$failed"
