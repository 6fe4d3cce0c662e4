#!/bin/bash
# quartet drill with a few of its faults: nothing that was acknowledged is lost, and a node that stops in order leaves nothing in doubt. usage: test_drill.sh BIN [ROUNDS]
set -euo pipefail
bin=$1 rounds=${2:-1}
out=$("$bin/quartet" drill --json --rounds "$rounds" --commit-acks 1 stop kill two)
fail() { echo "$1"; echo "$out"; exit 1; }
for want in '"lost": 0' '"there_although_failed": 0' '"equal": true' '"fault": "two"'; do
    [[ $out == *"$want"* ]] || fail "the drill does not say $want"
done
grep '"fault": "stop"' <<<"$out" | grep -qv '"failed": 0, "unknown": 0,' && fail "a node that stopped in order left writes in doubt"
[[ $out =~ \"acknowledged\":\ [1-9] ]] || fail "nothing was written"
rc=0
"$bin/quartet" drill --rounds 0 >/dev/null 2>&1 || rc=$?
[ "$rc" = 64 ] || fail "--rounds 0 gave status $rc"
rc=0
timeout 1 "$bin/quartet" drill --rounds 200 kill >/dev/null 2>&1 || rc=$?
[ "$rc" = 124 ] || fail "--rounds 200 of one fault gave status $rc"
echo "drill: $rounds rounds of stop, kill and two: $(grep -o '"acknowledged": [0-9]*' <<<"$out"), none lost"
