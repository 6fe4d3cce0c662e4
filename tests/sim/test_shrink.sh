#!/usr/bin/env bash
# test_shrink.sh QUARTET_CHECK - a run that fails (by a planted bug) is made short, and the command that is printed replays it.
set -u
check=$1
out=$("$check" --seed 1 --runs 50 --plant COUNTER_REPLACES --shrink)
short=$(grep -- '--keep' <<<"$out" | sed 's/.*replay: [^ ]* //')
[ -n "$short" ] || { echo "FAILED: nothing was made short"; echo "$out" | head -40; exit 1; }
kept=$(grep -c '^  event' <<<"$out")
[ "$kept" -le 12 ] || { echo "FAILED: $kept events are not short"; exit 1; }
# shellcheck disable=SC2086
again=$("$check" $short --plant COUNTER_REPLACES --shrink)
[ $? = 0 ] || { echo "FAILED: the short run does not fail again"; echo "$again"; exit 1; }
# Without the bug the same events hold.
# shellcheck disable=SC2086
"$check" $short >/dev/null || { echo "FAILED: the short run fails without the bug"; exit 1; }
echo "made short to $kept events, which replay: $short"
